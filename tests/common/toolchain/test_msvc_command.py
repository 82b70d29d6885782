"""What command lines of cl and clang-cl mean, and how Windows cuts them into words."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyxmake_common.toolchain.arguments import parse_compile
from cyxmake_common.toolchain.compile_command import Language
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.msvc_command import (
    MsvcCommand,
    SourceDependencies,
    msvc_kind,
    parse_msvc,
    parse_source_dependencies,
)
from cyxmake_common.toolchain.msvc_tables import MsvcKind
from cyxmake_common.toolchain.windows_words import decode_response, split_command, split_words

_CMAKE = (
    r"C:\PROGRA~1\MICROS~1\bin\Hostx64\x64\cl.exe  /nologo /TP -DFMT_LIB -DNAME=\"x\""
    r' -IC:\src\include "-external:IC:\Program Files\boost" -external:W0 /DWIN32 /D_WINDOWS /EHsc'
    r" /O2 /Ob2 /DNDEBUG -std:c++17 -MD /showIncludes /FoCMakeFiles\fmt.dir\src\format.cc.obj"
    r" /FdCMakeFiles\fmt.dir\fmt.pdb /FS -c C:\src\src\format.cc"
)
_MSBUILD = (
    r'"C:\VS\VC\bin\CL.exe" /c /I"C:\src\include dir" /nologo /W3 /WX- /diagnostics:column /Od'
    r' /Ob0 /D _WINDOWS /D "CMAKE_INTDIR=\"Debug\"" /Gm- /EHsc /RTC1 /MDd /GS /fp:precise'
    r" /Zc:wchar_t /Zc:forScope /Zc:inline /GR /std:c++20 /permissive- /Z7 /Brepro"
    r' /Fo"a.dir\Debug\\" /Fd"a.dir\Debug\vc143.pdb" /external:W3 /Gd /TC /errorReport:queue'
    r" /sourceDependencies deps\a.json /utf-8 ..\a.txt"
)
_CLANG_CL = (
    r"C:\LLVM\bin\clang-cl.exe /nologo -TP -imsvcC:\sdk -Xclang -target-feature -Xclang +avx"
    r" /clang:-O3 /clang:-DA=1 /Zi --target=x86_64-pc-windows-msvc -m64 -Wno-unused"
    r" -fms-compatibility-version=19.3 -fsanitize-ignorelist=list.txt /FIconfig.h /Foout\a"
    r" -c -- C:\src\a.cc"
)


def command_of(text: str, files: dict[str, bytes] | None = None) -> MsvcCommand:
    """Return the command of a text that must be accepted."""
    words = split_command(text)
    assert not isinstance(words, LocalOnly), words
    command = parse_msvc(words, (files or {}).get)
    assert isinstance(command, MsvcCommand), command
    return command


def refusal_of(text: str, files: dict[str, bytes] | None = None) -> str:
    """Return the reason of a text that must be refused."""
    words = split_command(text)
    refusal = words if isinstance(words, LocalOnly) else parse_msvc(words, (files or {}).get)
    assert isinstance(refusal, LocalOnly), refusal
    return refusal.reason


def test_line_of_cmake() -> None:
    """CMake's line for Ninja names a program database, but without /Zi there is none."""
    command = command_of(_CMAKE)
    assert (command.kind, command.language) == (MsvcKind.CL, Language.CXX)
    assert command.source == r"C:\src\src\format.cc"
    assert command.outputs == (r"CMakeFiles\fmt.dir\src\format.cc.obj",)
    assert command.search.bracket == (r"C:\src\include",)
    assert command.search.system == (r"C:\Program Files\boost",)
    assert command.macro_values == (("NAME", '"x"'),)
    assert command.shows_includes
    assert not command.has_brepro


def test_line_of_msbuild() -> None:
    """MSBuild's line puts options and values apart, and objects into a folder."""
    command = command_of(_MSBUILD)
    assert (command.source, command.language) == (r"..\a.txt", Language.C)
    assert command.outputs == (r"a.dir\Debug\a.obj", r"deps\a.json")
    assert command.search.bracket == (r"C:\src\include dir",)
    assert command.macro_values == (("CMAKE_INTDIR", '"Debug"'),)
    assert command.has_brepro
    assert not command.shows_includes


def test_line_of_clang_cl() -> None:
    """Options of clang stand beside those of cl; /Zi means debug information in the object."""
    command = command_of(_CLANG_CL)
    assert command.kind is MsvcKind.CLANG_CL
    assert (command.source, command.output) == (r"C:\src\a.cc", r"out\a.obj")
    assert command.search.system == (r"C:\sdk",)
    assert command.search_flags == ("--target=x86_64-pc-windows-msvc", "-m64")
    assert command.forced_includes == ("config.h",)
    assert command.macro_values == (("A", "1"),)
    assert command.inputs == ("list.txt",)


@pytest.mark.parametrize(
    ("program", "kind"),
    [
        ("cl", MsvcKind.CL),
        (r"C:\VS\CL.EXE", MsvcKind.CL),
        ("clang-cl", MsvcKind.CLANG_CL),
        ("/usr/bin/clang-cl-17", MsvcKind.CLANG_CL),
        (r"D:\LLVM\Clang-CL.exe", MsvcKind.CLANG_CL),
        ("clang", None),
        ("cl-17", None),
        ("ccl", None),
        ("cl.exe.bak", None),
        ("link.exe", None),
    ],
)
def test_compiler_names(program: str, kind: MsvcKind | None) -> None:
    """Drivers are known in any case and folder; their neighbours are not."""
    assert msvc_kind(program) is kind


@pytest.mark.parametrize(
    ("text", "output"),
    [
        (r"cl /c src\a.b.cpp", "a.b.obj"),
        (r"cl /c /Foout/ a.c", "out/a.obj"),
        (r"cl /c /Fo:out\x.o a.c", r"out\x.o"),
        (r"cl /c /Foout.d\x a.c", r"out.d\x.obj"),
        (r"cl /c /Tpa.txt", "a.obj"),
        (r"cl /c /Tc a.txt", "a.obj"),
        (r"clang-cl -c -o x.obj a.c", "x.obj"),
        (r"cl /c a.c /link /OUT:a.exe b.lib", "a.obj"),
        (r"cl /c /MP a.c", "a.obj"),
        (r"cl /c -O2b2 -w14996 /wd4996 /GL- /arch:AVX2 /Zc:__cplusplus -Qspectre a.c", "a.obj"),
    ],
)
def test_object_names(text: str, output: str) -> None:
    """The object's name comes from /Fo, which may be a folder or lack a suffix, or the source."""
    assert command_of(text).output == output


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("cl a.c", "no /c"),
        ("cl /c a.c b.c", "2 inputs"),
        ("cl /c /MP a.c b.c", "2 inputs"),
        ("cl /c", "0 inputs"),
        ("cl /c *.c", "may be several inputs"),
        ("cl /c -", "standard input"),
        ("cl /c /Zi /Fdx.pdb /FS a.c", "/Zi writes a program database"),
        ("cl /c -ZI a.c", "-ZI writes a program database"),
        ("clang-cl /c /ZI a.c", "writes a program database"),
        ("cl /c /FAcs a.c", "writes a listing"),
        ("cl /c /Faa.asm a.c", "writes a listing"),
        ("cl /c /Fmx.map a.c", "writes a listing"),
        ("cl /c /Ycpch.h a.c", "uses a precompiled header"),
        ("cl /c /Yupch.h /Fpx.pch a.c", "uses a precompiled header"),
        ("cl /c /Fpx.pch a.c", "uses a precompiled header"),
        ("cl /c /interface a.c", "uses modules"),
        ("cl /c /internalPartition a.c", "uses modules"),
        ("cl /c /exportHeader a.h", "uses modules"),
        ("cl /c /reference m=m.ifc a.c", "uses modules"),
        ("cl /c /ifcOutput x.ifc a.c", "uses modules"),
        ("cl /c a.ixx", "uses modules"),
        ("cl /E a.c", "stops after preprocessing"),
        ("cl -EP a.c", "stops after preprocessing"),
        ("cl /P /Fix.i a.c", "stops after preprocessing"),
        ("cl /Zs a.c", "only checks the syntax"),
        ("cl /scanDependencies x.json a.c", "only lists dependencies"),
        ("cl /c /sourceDependencies:directives x.json a.c", "only lists dependencies"),
        ("cl /c /sourceDependencies out a.c", "dependencies are not one file"),
        ("cl /c /sourceDependencies", "has no value"),
        ("clang-cl /c /showIncludes:user a.c", "leaves system headers out"),
        ("cl /c /GL a.c", "leaves compiling to the linker"),
        ("cl /c /Gm a.c", "keeps a state"),
        ("cl /c /Fex.exe a.c", "names a program"),
        ("cl /c /docx.xdc a.c", "writes documentation"),
        ("cl /c /analyze:plugin x a.c", "runs analysers"),
        ("cl /c /clr a.c", "is not C or C++"),
        ("cl /c /source-charset:.932 a.c", "converts character sets"),
        ("cl /c /external:env:INC a.c", "takes directories from a variable"),
        ("cl /c /Bt+ a.c", "measures the compiler"),
        ("cl /c /Bxfoo a.c", "is the inner compiler"),
        ("cl /c /d1trimfile:x a.c", "passes options on unread"),
        ("cl /c /experimental:new a.c", "is experimental"),
        ("cl /? a.c", "only prints"),
        ("cl /C /c a.c", "stops after preprocessing"),
        ("cl /c /o1 a.c", "unknown option /o1"),
        ("cl /c /ehsc a.c", "unknown option /ehsc"),
        ("cl /c -fno-exceptions a.c", "unknown option -fno-exceptions"),
        ("cl /c /clang:-O3 a.c", "unknown option /clang:-O3"),
        ("cl /c /Fo a.c", "unknown option /Fo"),
        ("clang-cl /c /src/a.c", "unknown option /src/a.c"),
        ("cl /c a.asm", "is assembler"),
        ("cl /c a.obj", "an input for the linker"),
        ("cl /c a.xyz", "an unknown suffix"),
        ("cl /c /TC /TP a.c", "/TC and /TP"),
        ("cl /c /TC /Tpa.c", "contradicts"),
        ("cl /c /Foa.obj /Fob.obj a.c", "names several outputs"),
        ("cl /c /FoNUL a.c", "is no file"),
        ("clang-cl /c /Fo:x.obj a.c", "read differently"),
        ("clang-cl /c -Xclang -load a.c", "-Xclang -load is not known to be harmless"),
        ("clang-cl /c a.c -Xclang -target-feature", "-target-feature has no value"),
        ("clang-cl /c -mllvm -print-after-all a.c", "is not known to be harmless"),
        ("clang-cl /c /clang:-save-temps a.c", "keeps intermediate files"),
        ("clang-cl /c /clang:-MF a.c", "is not known to be harmless"),
        ("clang-cl /c /clang:-qqq a.c", "unknown option"),
        ("clang-cl /c /sourceDependencies x.json a.c", "is not written by"),
        ("clang-cl /c -march=native a.c", "this machine's processor"),
        ("clang-cl /c -fplugin=x.dll a.c", "loads a plugin"),
        ("clang-cl /c -gsplit-dwarf a.c", "unknown option"),
        ("link /c a.c", "is no known compiler"),
        ('cl /c "a.c', "a quote is not closed"),
        ('cl /c "a""b.c"', "doubled within quotes"),
        ('"cl"x /c a.c', "quoted in an unusual way"),
    ],
)
def test_reasons(text: str, reason: str) -> None:
    """What is shared, side-effecting, or not understood stays here and says why."""
    assert reason in refusal_of(text)


@pytest.mark.parametrize("encoding", ["ascii", "utf-8-sig", "utf-16"])
def test_response_files(encoding: str) -> None:
    """Response files are cut at any blank, and read in the encodings that build tools write."""
    text = '/c /D "A=\\"1 2\\""\r\n/I"C:\\a b\\\\"\r\na.c'
    command = command_of("cl @x.rsp /nologo", {"x.rsp": text.encode(encoding)})
    assert command.macro_values == (("A", '"1 2"'),)
    assert command.search.bracket == ("C:\\a b\\",)
    assert command.inputs == ("x.rsp",)


def test_nested_response_files() -> None:
    """Only clang-cl follows a response file out of another, and nobody for ever."""
    files = {"x": b"@y", "y": b"/c a.c", "z": b"@z"}
    assert command_of("clang-cl @x", files).inputs == ("x", "y")
    assert "nested too deeply" in refusal_of("cl @x", files)
    assert "nested too deeply" in refusal_of("clang-cl @z", files)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"/c \xe4.c", "code page"),
        (b"\xff\xfea", "code page"),
        (b"/c\0 a.c", "not plain text"),
        (b'/c "a.c', "a quote is not closed"),
        (None, "can't be read"),
    ],
)
def test_bad_response_files(data: bytes | None, reason: str) -> None:
    """A response file that means another thing elsewhere, or nothing, keeps its command here."""
    assert reason in refusal_of("cl @x", {} if data is None else {"x": data})
    assert data is None or decode_response(data)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (r'"abc" d e', ["abc", "d", "e"]),
        (r"a\\\b d\"e f", [r"a\\\b", 'd"e', "f"]),
        (r"a\\\"b c d", [r"a\"b".replace('\\"', '\\"'), "c", "d"]),
        (r'a\\"b c" d e', [r"a\b c", "d", "e"]),
        (r'"" x', ["", "x"]),
        (r"  'a b' ", ["'a", "b'"]),
        (r'/I"a b"\c', [r"/Ia b\c"]),
    ],
)
def test_quoting(text: str, words: list[str]) -> None:
    """The examples that Microsoft gives for its rules, and some that compilers meet."""
    assert split_words(text) == words


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0")) | st.text('\\" a\t'),
        max_size=6,
    )
)
def test_words_come_back(words: list[str]) -> None:
    """What the standard library quotes for Windows is cut into the same words again."""
    assert split_words(subprocess.list2cmdline(words)) == words


def test_source_dependencies() -> None:
    """The JSON list gives headers and imports; anything else is an error that can be caught."""
    data = (
        b'{"Version": "1.2", "Data": {"Source": "c:\\\\a.cpp", "ProvidedModule": "",'
        b' "Includes": ["c:\\\\a.h"], "PCH": "c:\\\\p.pch",'
        b' "ImportedModules": [{"Name": "m", "BMI": "m.ifc"}, "n"],'
        b' "ImportedHeaderUnits": [{"Header": "c:\\\\u.h", "BMI": "u.ifc"}]}}'
    )
    assert parse_source_dependencies(data) == SourceDependencies(
        "c:\\a.cpp", ("c:\\a.h",), "c:\\p.pch", ("m", "n", "c:\\u.h")
    )
    for broken in (b"", b"[]", b'{"Data": {"Source": "a", "Includes": [1]}}', b"\xff{}"):
        with pytest.raises(ValueError, match="not a list of source dependencies"):
            parse_source_dependencies(broken)


def test_builds_here_keep_it_local() -> None:
    """Until there are workers that run it, a line of cl is no compile that is sent."""
    assert parse_compile(["cl", "/c", "a.c"]) == LocalOnly("cl is no known compiler")
    assert parse_compile(["clang-cl", "/c", "a.c"]) == LocalOnly("clang-cl is no known compiler")
