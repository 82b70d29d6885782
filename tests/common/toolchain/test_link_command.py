"""What a driver's command line says about a link, and which ones stay here."""

from __future__ import annotations

import pytest

from cyxmake_common.toolchain.archive_command import ArchiveCommand, parse_archive
from cyxmake_common.toolchain.link_command import LinkCommand, parse_link
from cyxmake_common.toolchain.linker_script import script_names, thin_members
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.shell import split_chain


def link(text: str, **files: bytes) -> LinkCommand:
    """Parse a command that has to be understood."""
    command = parse_link(text.split(), files.get)
    assert isinstance(command, LinkCommand), command
    return command


def test_inputs_libraries_and_search() -> None:
    """Objects, libraries and directories are found wherever they stand: for driver and linker."""
    command = link(
        "g++ -O2 -g a.o -L/x -Ly libc.a -lz -l:exact.so -Wl,--start-group,d.a,-lq,-Llast"
        " -Wl,--end-group -Xlinker -lw -pthread -o prog"
    )
    assert command.inputs == ("a.o", "libc.a", "d.a")
    assert command.libraries == ("z", ":exact.so", "q", "w")
    assert command.search == ("/x", "y", "last")
    assert command.outputs == ("prog",)


def test_options_that_name_files() -> None:
    """Scripts and lists are inputs, maps are outputs, run-paths lead to needed libraries."""
    command = link(
        "gcc -shared -Wl,--version-script=v.map -Wl,--dynamic-list,d.list -T t.ld -o l.so a.o"
        " -Wl,-rpath,/r:/s -Wl,-rpath-link=q -Wl,-Map,m/../x.map -Wl,--dependency-file=l.d"
        " -Wl,-soname -Wl,l.so.1 -Wl,-z,now -fuse-ld=gold"
    )
    assert set(command.read) == {"v.map", "d.list"}
    assert command.scripts == ("t.ld",)
    assert command.needed_search == ("/r", "/s", "q")
    assert command.side_outputs == ("x.map", "l.d")
    assert command.linker == "gold"


def test_response_files_are_read() -> None:
    """What stands in a response file counts, and the file itself is an input."""
    command = link("cc @objects.rsp -o p", **{"objects.rsp": b"a.o 'b c.o' -lm\n"})
    assert command.inputs == ("a.o", "b c.o")
    assert command.response_files == ("objects.rsp",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("gcc a.c -o p", "no object"),
        ("gcc a.o", "not one file"),
        ("gcc -o p -lm", "no objects"),
        ("gcc a.o -o p -march=native", "is not known in a link"),
        ("gcc a.o -o p -m32", "chooses other libraries"),
        ("gcc a.o -o p --sysroot=/s", "is not known in a link"),
        ("gcc a.o -o p -B/x", "finds other programs"),
        ("gcc a.o -o p -specs=s", "configuration"),
        ("gcc a.o -o p -Wl,--build-id=uuid", "new every time"),
        ("gcc a.o -o p -Wl,-plugin,x.so", "plugin"),
        ("gcc a.o -o p -Wl,--no-such", "of the linker"),
        ("gcc a.o -o p -Wl,--soname", "no value"),
        ("gcc a.o -o p -Wl,-soname b.o", "no value"),
        ("gcc a.o -o p -Wl,-Map=-", "depend on the run"),
        ("gcc a.o -o p -flto -Wl,-Map=x", "temporary"),
        ("gcc a.o -o p -flto=jobserver", "job server"),
        ("gcc a.o -o p -flto -gsplit-dwarf -g", "more files"),
        ("gcc a.o -o p -fuse-ld=/bin/ld", "not known"),
        ("gcc -c a.o -o p", "is not known in a link"),
        ("gcc a.o -o p -fprofile-use", "profile"),
        ("ld a.o -o p", "no known compiler"),
    ],
)
def test_what_stays_here(text: str, reason: str) -> None:
    """A link that is not fully understood is never sent."""
    command = parse_link(text.split())
    assert isinstance(command, LocalOnly)
    assert reason in command.reason


def archive(text: str) -> ArchiveCommand | LocalOnly:
    """Parse an edge's command as the shell would split it."""
    commands = split_chain(text)
    assert not isinstance(commands, LocalOnly)
    return parse_archive(commands)


def test_archives_as_generators_write_them() -> None:
    """CMake's and Meson's forms: a fresh archive, by the commands behind the removal."""
    cmake = archive(
        ": && /usr/bin/cmake -E rm -f l.a && /usr/bin/ar qc l.a  a.o && ranlib l.a && :"
    )
    assert isinstance(cmake, ArchiveCommand)
    assert (cmake.fresh, cmake.keys, cmake.members) == (True, "qc", ("a.o",))
    assert [argv[0] for argv in cmake.argvs] == ["/usr/bin/ar", "ranlib"]
    meson = archive("rm -f l.a && gcc-ar csrDT l.a a.o b.o")
    assert isinstance(meson, ArchiveCommand)
    assert (meson.fresh, meson.is_thin) == (True, True)
    plain = archive("ar rcs l.a a.o")
    assert isinstance(plain, ArchiveCommand)
    assert not plain.fresh


@pytest.mark.parametrize(
    "text",
    [
        "ar x l.a",
        "ar rcU l.a a.o",
        "ar rcs l.a",
        "ar rcs l.a --output=x a.o",
        "rm -f other.a && ar qc l.a a.o",
        "ar qc l.a a.o && strip l.a",
        "ar qc l.a a.o && ranlib other.a",
        "rm -f l.a",
    ],
)
def test_archives_that_stay_here(text: str) -> None:
    """Extraction, other letters and further commands are not understood."""
    assert isinstance(archive(text), LocalOnly)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (": && gcc 'a && b.o' -o p && :", [["gcc", "a && b.o", "-o", "p"]]),
        ("a&&b", [["a"], ["b"]]),
        ('a "x&&y" \\&\\& && b', [["a", "x&&y", "&&"], ["b"]]),
    ],
)
def test_chains(text: str, parts: list[list[str]]) -> None:
    """Commands are cut where the shell would, and quotes hold them together."""
    assert split_chain(text) == parts


@pytest.mark.parametrize(
    "text", ["a & b", "a && b || c", "a && b; c", "a &&& b", "a && b &", "&& a"]
)
def test_chains_that_need_a_shell(text: str) -> None:
    """Anything but && is refused."""
    assert isinstance(split_chain(text), LocalOnly)


def test_linker_scripts() -> None:
    """Nested lists, comments and quotes; a script that searches elsewhere is refused."""
    text = b'/* INPUT(no) */ GROUP ( /a/libc.so.6 AS_NEEDED ( "b c.so" ) -lx )\nINCLUDE more.ld'
    names = script_names(text)
    assert not isinstance(names, LocalOnly)
    assert names.inputs == ("/a/libc.so.6", "b c.so", "-lx")
    assert names.includes == ("more.ld",)
    assert isinstance(script_names(b"SEARCH_DIR(/x) INPUT(-la)"), LocalOnly)
    assert isinstance(script_names(b"\0\1"), LocalOnly)


def test_damaged_thin_archives() -> None:
    """What is cut off names nothing."""
    assert isinstance(thin_members(b"!<thin>\nshort"), LocalOnly)
    assert isinstance(thin_members(b"!<thin>\n" + b"x" * 60), LocalOnly)
