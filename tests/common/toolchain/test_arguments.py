"""What a compiler command line means, and which ones must stay on this machine."""

from __future__ import annotations

import pytest

from cyxmake_common.toolchain.arguments import compiler_kind, is_cxx_driver, parse_compile
from cyxmake_common.toolchain.compile_command import (
    CompileCommand,
    CompilerKind,
    Depfile,
    Language,
    SearchPath,
)
from cyxmake_common.toolchain.local import LocalOnly


def parsed(text: str, files: dict[str, bytes] | None = None) -> CompileCommand:
    """Return the command of a text that must be accepted."""
    command = parse_compile(text.split(), (files or {}).get)
    assert isinstance(command, CompileCommand), command
    return command


def refused(text: str, files: dict[str, bytes] | None = None) -> str:
    """Return the reason of a text that must be refused."""
    refusal = parse_compile(text.split(), (files or {}).get)
    assert isinstance(refusal, LocalOnly), refusal
    return refusal.reason


@pytest.mark.parametrize(
    ("program", "kind", "is_cxx"),
    [
        ("gcc", CompilerKind.GCC, False),
        ("/usr/bin/g++-12", CompilerKind.GCC, True),
        ("cc", CompilerKind.GCC, False),
        ("c++", CompilerKind.GCC, True),
        ("x86_64-linux-gnu-gcc-12.2.0", CompilerKind.GCC, False),
        ("arm-none-eabi-g++", CompilerKind.GCC, True),
        ("/opt/llvm/bin/clang-14", CompilerKind.CLANG, False),
        ("clang++", CompilerKind.CLANG, True),
        ("aarch64-linux-gnu-clang++-17", CompilerKind.CLANG, True),
        ("ld", None, False),
        ("clang-cl", None, False),
        ("clang-format", None, False),
        ("gccgo", None, False),
        ("gcc-ar", None, False),
        ("ccache", None, False),
        ("icc", None, False),
        ("nvcc", None, False),
        ("xgcc", None, False),
    ],
)
def test_compiler_names(program: str, kind: CompilerKind | None, is_cxx: bool) -> None:
    """Names of gcc and clang are known with target, version and folder; others are none."""
    assert compiler_kind(program) is kind
    assert is_cxx_driver(program) is is_cxx


def test_cmake_compile() -> None:
    """A line as CMake writes it is read in full."""
    command = parsed(
        "/usr/bin/c++ -DA=1 -DB -I/p/inc -I ../x -isystem /p/sys -iquote q -idirafter late -O2 -g"
        " -std=gnu++17 -include pre.h -imacros m.h -MD -MT o/a.o -MF o/a.o.d -o o/a.o -c /p/a.cc"
    )
    assert command.source == "/p/a.cc"
    assert command.output == "o/a.o"
    assert command.language is Language.CXX
    assert command.depfile == Depfile("o/a.o.d", True, ("o/a.o",))
    assert command.search == SearchPath(("q",), ("/p/inc", "../x"), ("/p/sys",), ("late",))
    assert command.forced_includes == ("pre.h",)
    assert command.macro_includes == ("m.h",)
    assert command.outputs == ("o/a.o", "o/a.o.d")
    assert command.search_flags == ()


@pytest.mark.parametrize(
    ("text", "depfile"),
    [
        ("gcc -MD -c d/a.b.c", Depfile("a.b.d", True)),
        ("gcc -MMD -c d/a.b.c -o o/x.y.o", Depfile("o/x.y.d", False)),
        ("gcc -MD -c a.c -o o/noext", Depfile("o/noext.d", True)),
        ("gcc -MD -MP -MFz.d -MQ q -MT t -c a.c", Depfile("z.d", True, ("q", "t"), True)),
        ("gcc -Wp,-MD,o/.a.o.d -c a.c", Depfile("o/.a.o.d", True)),
        ("gcc -Wp,-MMD,x.d,-MP -c a.c", Depfile("x.d", False, (), True)),
        ("gcc -c a.c", None),
    ],
)
def test_depfile_names(text: str, depfile: Depfile | None) -> None:
    """Depfiles are where gcc puts them (traps 1 and 3)."""
    assert parsed(text).depfile == depfile


@pytest.mark.parametrize(
    ("text", "outputs"),
    [
        ("gcc -c d/a.c", ("a.o",)),
        ("gcc -S d/a.c", ("a.s",)),
        ("gcc -c -S a.c -o x", ("x",)),
        ("gcc -g -gsplit-dwarf -c a.c -o o/x.c.o", ("o/x.c.o", "o/x.c.dwo")),
        ("gcc -fstack-usage -fcallgraph-info=su -c a.c", ("a.o", "a.su", "a.ci")),
        ("gcc --coverage -ftest-coverage -c a.c -o y", ("y", "y.gcno")),
        ("gcc --coverage -fstack-usage -gsplit-dwarf -g -c a.S", ("a.o", "a.dwo")),
        ("clang --serialize-diagnostics x.dia -c a.c", ("a.o", "x.dia")),
    ],
)
def test_side_outputs(text: str, outputs: tuple[str, ...]) -> None:
    """Second outputs are named after the output (traps 5 to 7)."""
    assert parsed(text).outputs == outputs


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        # traps 3 and 4
        ("gcc -E a.c", "preprocessing"),
        ("gcc -M -c a.c", "dependencies"),
        ("gcc -MM -c a.c", "dependencies"),
        ("gcc -MD -MG -c a.c", "dependencies"),
        ("gcc -fsyntax-only -c a.c", "syntax"),
        ("gcc -c -dM a.c", "dumps"),
        ("gcc -Wp,-P -c a.c", "harmless"),
        ("gcc -Xpreprocessor -DX -c a.c", "unread"),
        ("gcc -Wp,-MD,a.d -MD -c a.c", "two ways"),
        ("gcc -MD -MMD -c a.c", "both"),
        ("gcc -MD -MF - -c a.c", "depfile"),
        ("gcc -MF x.d -c a.c", "-MD"),
        # trap 5
        ("gcc -save-temps -c a.c", "intermediate"),
        ("gcc -save-temps=obj -c a.c", "intermediate"),
        ("gcc -fdump-tree-all -c a.c", "dumps"),
        ("clang -ftime-trace -c a.c", "run"),
        ("gcc -fopt-info-vec=log -c a.c", "dumps"),
        ("gcc -Wa,-a=list -c a.c", "harmless"),
        ("gcc -Wa,-al -c a.c", "harmless"),
        ("gcc -frepo -c a.cc", "repositories"),
        ("gcc -fsave-optimization-record -c a.c", "run"),
        ("gcc -gsplit-dwarf -S a.c", "-gsplit-dwarf"),
        ("gcc -gsplit-dwarf -g0 -c a.c", "-g0"),
        ("gcc -fstack-usage -flto -c a.c", "-flto"),
        ("clang -gsplit-dwarf -c a.c", "-g"),
        ("clang -MJ x.json -c a.c", "index"),
        # trap 8
        ("gcc -fprofile-use -c a.c", "profile"),
        ("gcc -fprofile-use=p -c a.c", "profile"),
        ("clang -fprofile-use -c a.c", "profile"),
        ("clang -fprofile-sample-use=p -c a.c", "profile"),
        ("gcc -fauto-profile=p -c a.c", "profile"),
        # trap 9
        ("gcc a.o b.o -o app", "no -c"),
        ("gcc a.c", "no -c"),
        ("gcc -c a.c b.c", "2 inputs"),
        ("gcc -c", "0 inputs"),
        ("gcc -c a.c -o -", "no file"),
        ("gcc -c a.c -o /dev/null", "no file"),
        ("gcc -c -xc -", "standard input"),
        ("gcc -c a.c -o x -o y", "several outputs"),
        ("clang -arch x86_64 -arch arm64 -c a.c", "machines"),
        # traps 27 to 30
        ("ccache gcc -c a.c", "no known compiler"),
        ("gcc -march=native -c a.c", "processor"),
        ("gcc -mtune=native -c a.c", "processor"),
        ("gcc -mcpu=native+crypto -c a.c", "processor"),
        ("gcc -fplugin=p.so -c a.c", "plugin"),
        ("clang -Xclang -load -Xclang p.so -c a.c", "harmless"),
        ("clang -mllvm -time-passes -c a.c", "harmless"),
        ("gcc -specs=x -c a.c", "configuration"),
        ("gcc -B/x -c a.c", "programs"),
        ("gcc -B /x -c a.c", "programs"),
        ("clang --config x.cfg -c a.c", "configuration"),
        ("clang -ivfsoverlay x.yaml -c a.c", "overlay"),
        # traps 35 to 38
        ("gcc -c a.h", "precompiled"),
        ("gcc -x c++-header -c a.hpp", "not compiled remotely"),
        ("gcc -fmodules-ts -c a.cc", "modules"),
        ("clang -fmodules -c a.c", "modules"),
        ("clang -fmodule-file=x -c a.cc", "modules"),
        ("clang++ -c a.cppm", "modules"),
        ("gcc -fcompare-debug -c a.c", "twice"),
        # languages and the rest
        ("gcc -MD -c a.i", "preprocessed"),
        ("gcc -include x.h -c a.ii", "preprocessed"),
        ("gcc -c a.m", "Objective-C"),
        ("gcc -c a.f90", "suffix"),
        ("gcc -x fortran -c a.x", "not compiled remotely"),
        ("gcc -c a.o", "linker"),
        ("gcc -v -c a.c", "prints"),
        ("gcc --version", "prints"),
        ("gcc -c a.c -I", "no value"),
        ("gcc -finput-charset=latin1 -c a.c", "character sets"),
        ("clang -fms-compatibility -c a.c", "MSVC"),
        ("gcc -c -- a.c", "unknown option --"),
        ("gcc -zap -qq -c a.c", "unknown option -qq"),
        ("gcc -c -std= a.c", "unknown option"),
        ("gcc --frobnicate -c a.c", "unknown option --frobnicate"),
        ("gcc -traditional-cpp -c a.c", "preprocessor"),
        ("gcc -foffload=nvptx-none -c a.c", "accelerator"),
        ("clang -I- -c a.c", "preprocessor"),
        ("", "empty"),
    ],
)
def test_what_stays_here(text: str, reason: str) -> None:
    """Whatever is no plain compile, or is not understood, stays here and says why."""
    assert reason in refused(text)


@pytest.mark.parametrize(
    "flags",
    [
        "-Wall -Wextra -Werror=format -W -w -pedantic -ansi -pthread -pipe",
        "-O -O0 -Os -Ofast -g -g3 -ggdb -gdwarf-4 -gz -grecord-gcc-switches",
        "-fPIC -fno-exceptions -fvisibility=hidden -fstack-protector-strong -fmodulo-sched",
        "-flto -flto=auto -ffat-lto-objects -fno-lto",
        "-march=x86-64-v3 -mtune=generic -msse4.2 -mno-avx -m64",
        "-Wa,--noexecstack -Wa,-mbranches-within-32B-boundaries -Wl,-O1 -lm -L/x -static",
        "-Wp,-D_FORTIFY_SOURCE=2,-UX --param max-inline-insns-single=10 --param=ssp-buffer-size=4",
        "-ffile-prefix-map=/a=b -fdebug-prefix-map=/a=b -fmacro-prefix-map=/a=b",
        "-fsanitize=address -fno-omit-frame-pointer -fsanitize-recover=all",
        "-fdiagnostics-color=always -fno-diagnostics-show-caret -fmessage-length=0",
        "-DX -D Y=1 -UZ -U W -undef -trigraphs -H",
        "-frandom-seed=1 -fprofile-arcs -pg -finstrument-functions",
        "-x c -std=c11 -nostdinc -isystem /x",
    ],
)
def test_common_flags_are_sent(flags: str) -> None:
    """Ordinary options are no reason to stay here."""
    parsed(f"gcc {flags} -c a.c")


def test_clang_flags_are_sent() -> None:
    """Ordinary options of clang, with the few inner ones that are known."""
    parsed(
        "clang++ --target=x86_64-linux-gnu -stdlib=libc++ -Qunused-arguments -fcolor-diagnostics"
        " -Xclang -fno-pch-timestamp -mllvm -inline-threshold=100 -fno-integrated-as -c a.cc"
    )


def test_language_follows_driver_and_x() -> None:
    """g++ takes C as C++ (trap 28); -x overrules the suffix and `none` gives it back."""
    assert parsed("g++ -c a.c").language is Language.CXX
    assert parsed("gcc -c a.C").language is Language.CXX
    assert parsed("gcc -x c++ -c a.c").language is Language.CXX
    assert parsed("gcc -xassembler-with-cpp -c a.c").language is Language.ASSEMBLER_WITH_CPP
    assert parsed("gcc -x c++ -x none -c a.c").language is Language.C
    assert parsed("gcc -c a.c -x c++").language is Language.C
    assert parsed("gcc -c a.s").language is Language.ASSEMBLER


def test_kind_may_be_told() -> None:
    """`cc` may be clang: the captured kind decides."""
    command = parse_compile(["cc", "-c", "a.c"], kind=CompilerKind.CLANG)
    assert isinstance(command, CompileCommand)
    assert command.kind is CompilerKind.CLANG


def test_response_files() -> None:
    """Response files are expanded for the meaning, kept in the command, and listed (trap 18)."""
    files = {"a.rsp": b'-DX="a b"\n@b.rsp', "b.rsp": b"-I inc\\ dir -c"}
    command = parsed("gcc @a.rsp a.c", files)
    assert command.argv == ("gcc", "@a.rsp", "a.c")
    assert command.inputs == ("a.rsp", "b.rsp")
    assert command.search.bracket == ("inc dir",)
    assert "can't be read" in refused("gcc @missing.rsp -c a.c", files)
    assert "nested" in refused("gcc @r -c a.c", {"r": b"@r"})


def test_files_named_by_flags_are_inputs() -> None:
    """Ignore lists of sanitizers are read by the compiler (trap 30)."""
    command = parsed("clang -fsanitize=address -fsanitize-ignorelist=list.txt -c a.c")
    assert command.inputs == ("list.txt",)
    for option in ("-fprofile-use", "-fprofile-instr-use"):
        assert parsed(f"clang {option}=a.profdata -c a.c").inputs == ("a.profdata",)


def test_sysroot_is_put_before_marked_directories() -> None:
    """`=` and `$SYSROOT` stand for the root of system headers; it changes the built-in search."""
    command = parsed("gcc --sysroot=/sr -I=/a -isystem $SYSROOT/b -I/c -c a.c")
    assert command.search.bracket == ("/sr/a", "/c")
    assert command.search.system == ("/sr/b",)
    assert command.search_flags == ("--sysroot=/sr",)
    assert parsed("gcc -I=/a -c a.c").search.bracket == ("/a",)


def test_search_flags() -> None:
    """Flags that choose other built-in directories are named, in order."""
    command = parsed("gcc -m32 -nostdinc++ -O2 -isysroot /r -c a.cc")
    assert command.search_flags == ("-m32", "-nostdinc++", "-isysroot", "/r")


def test_macro_values_are_kept() -> None:
    """Values of -D that may name a file are kept for includes by macro."""
    command = parse_compile(["gcc", '-DH="a.h"', "-D", "G=<b.h>", "-Wp,-DW=K", "-c", "a.c"])
    assert isinstance(command, CompileCommand)
    assert command.macro_values == (("H", '"a.h"'), ("G", "<b.h>"), ("W", "K"))
