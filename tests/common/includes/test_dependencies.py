"""The paths that must stay absent: exactly what a compiler tried before it found a file."""

from __future__ import annotations

import pytest

from cyxmake_common.includes.closure import IncludeClosure
from cyxmake_common.includes.dependencies import DependencyProbes, Probes
from cyxmake_common.toolchain.arguments import parse_compile
from cyxmake_common.toolchain.compile_command import CompileCommand
from support.fake_files import FakeFiles

BUILTIN = ("/usr/local/include", "/usr/include")


def probes(
    files: dict[str, bytes | str], deps: list[str], text: str = "clang -Ii -c a.c"
) -> Probes:
    """Return the probes of a command that runs in /p."""
    command = parse_compile(text.split())
    assert isinstance(command, CompileCommand)
    fake = FakeFiles(files)
    finder = DependencyProbes(IncludeClosure(fake), fake)
    return finder.probes(command, "/p", deps, BUILTIN)


def test_tried_before_found() -> None:
    """Every earlier place is absent, whether its directory exists or not."""
    files: dict[str, bytes | str] = {
        "/p/a.c": '#include "x.h"\n#include <y.h>',
        "/p/i/x.h": "",
        "/usr/include/y.h": "",
    }
    found = probes(files, ["a.c", "i/x.h", "/usr/include/y.h"], "clang -Inone -Ii -c a.c")
    assert set(found.absent) == {
        "/p/x.h",
        "/p/none/x.h",
        "/p/none/y.h",
        "/p/i/y.h",
        "/usr/local/include/y.h",
    }
    assert not found.present


def test_directives_never_reached_ask_for_nothing() -> None:
    """A file that was not read was asked for by nobody: its places may fill later."""
    files: dict[str, bytes | str] = {
        "/p/a.c": '#if 0\n#include "x.h"\n#include "windows.h"\n#endif',
        "/p/i/x.h": "",
    }
    assert probes(files, ["a.c"]) == Probes((), ())


def test_has_include(tmp_path: object) -> None:
    """A name asked for and not found is absent everywhere; one that was found is a dependency."""
    del tmp_path
    files: dict[str, bytes | str] = {
        "/p/a.c": '#define HAS(x) __has_include(x)\n#if __has_include("no.h") || HAS(<yes.h>)',
        "/p/i/yes.h": "",
    }
    found = probes(files, ["a.c"])
    assert set(found.absent) == {
        "/p/no.h",
        "/p/i/no.h",
        "/usr/local/include/no.h",
        "/usr/include/no.h",
    }
    assert found.present == ("/p/i/yes.h",)


def test_include_next_and_forced_and_first() -> None:
    """Every way to read a file leaves its tracks."""
    files: dict[str, bytes | str] = {
        "/p/src/a.c": "#include <n.h>",
        "/p/i/n.h": "#include_next <n.h>",
        "/usr/include/n.h": "",
        "/p/i/pre.h": "",
    }
    deps = ["src/a.c", "i/n.h", "/usr/include/n.h", "i/pre.h"]
    found = probes(files, deps, "gcc -Ij -Ii -include pre.h -c src/a.c")
    assert {"/p/j/n.h", "/usr/local/include/n.h", "/p/pre.h", "/p/j/pre.h"} <= set(found.absent)
    assert "/usr/include/stdc-predef.h" in found.absent
    assert "/p/src/pre.h" not in found.absent


def test_computed_includes() -> None:
    """The values of a macro are followed like names."""
    files: dict[str, bytes | str] = {
        "/p/a.c": "#define H G\n#define G <x.h>\n#include H\n#include K",
        "/usr/include/x.h": "",
        "/usr/include/k.h": "",
    }
    deps = ["a.c", "/usr/include/x.h", "/usr/include/k.h"]
    found = probes(files, deps, "clang -Ii -DK=<k.h> -c a.c")
    assert {"/p/i/x.h", "/p/i/k.h"} <= set(found.absent)


def test_assembler() -> None:
    """What the assembler reads is in no depfile: it is a dependency all the same (trap 24)."""
    files: dict[str, bytes | str] = {
        "/p/src/a.S": '.incbin "blob"\n.include "none.inc"',
        "/p/i/blob": "",
    }
    found = probes(files, ["src/a.S"], "clang -Ii -c src/a.S")
    assert found.present == ("/p/i/blob",)
    assert set(found.absent) == {"/p/blob", "/p/none.inc", "/p/i/none.inc"}
    plain = probes({"/p/a.s": '#include "x.h"', "/p/x.h": ""}, ["a.s"], "gcc -c a.s")
    assert plain == Probes((), ())


@pytest.mark.parametrize("spelling", ["i/x.h", "/p/i/x.h", "i/../i/x.h", "./i/x.h"])
def test_spelling_of_dependencies(spelling: str) -> None:
    """A dependency is the same file however the depfile spells it."""
    files: dict[str, bytes | str] = {
        "/p/a.c": '#include "x.h"',
        "/p/i/x.h": '#include "y.h"',
        "/p/i/y.h": "",
    }
    found = probes(files, ["a.c", spelling, "i/y.h"])
    assert found.absent == ("/p/x.h",)


def test_a_file_listed_by_its_real_path_counts_by_the_path_it_was_found() -> None:
    """gcc shortens the names of system headers: the symlink on the way may change."""
    files: dict[str, bytes | str] = {"/p/a.c": "#include <x.h>", "/p/v1/x.h": ""}
    command = parse_compile(["gcc", "-isystem", "/p/current", "-c", "a.c"])
    assert isinstance(command, CompileCommand)
    fake = FakeFiles(files, {"/p/current": "v1"})
    found = DependencyProbes(IncludeClosure(fake), fake).probes(command, "/p", ["a.c", "/p/v1/x.h"])
    assert found.certain
    assert found.present == ("/p/current/x.h",)


def test_an_alias_of_a_searched_folder_makes_the_search_uncertain() -> None:
    """A header in it does not count now, and will when the symlink is another one."""
    files: dict[str, bytes | str] = {
        "/p/a.c": "#include <x.h>",
        "/p/real/x.h": "",
        "/p/c/x.h": "",
    }
    command = parse_compile(["gcc", "-Ireal", "-Ic", "-isystem", "link", "-c", "a.c"])
    assert isinstance(command, CompileCommand)
    fake = FakeFiles(files, {"/p/link": "real"})
    found = DependencyProbes(IncludeClosure(fake), fake).probes(command, "/p", ["a.c", "c/x.h"])
    assert not found.certain


def test_a_file_that_no_search_explains_makes_it_uncertain() -> None:
    """The compiler searched in another way than we think."""
    files: dict[str, bytes | str] = {"/p/a.c": "#include <x.h>", "/elsewhere/x.h": ""}
    assert not probes(files, ["a.c", "/elsewhere/x.h"]).certain
    assert probes(files, ["a.c"]).certain


def test_what_an_included_assembler_file_includes() -> None:
    """The assembler lists nothing: each file that it includes is followed."""
    files: dict[str, bytes | str] = {
        "/p/a.S": '.include "one.inc"',
        "/p/one.inc": '.include "two.inc"',
        "/p/two.inc": "",
    }
    found = probes(files, ["a.S"], "gcc -c a.S")
    assert {"/p/one.inc", "/p/two.inc"} <= set(found.present)


def test_what_may_have_been_read_counts_as_read() -> None:
    """Of files that no depfile lists, all that the search leads to are present, as spelled."""
    files: dict[str, bytes | str] = {
        "/p/src/a.c": '#include "../i/x.h"',
        "/p/i/x.h": "#include <y.h>\n#if 0\n#include <z.h>\n#endif",
        "/usr/include/y.h": "",
        "/usr/include/z.h": "",
        "/usr/include/other.h": "",
    }
    command = parse_compile(["clang", "-Ii", "-c", "src/a.c"])
    assert isinstance(command, CompileCommand)
    fake = FakeFiles(files)
    finder = DependencyProbes(IncludeClosure(fake), fake)
    maybe = ["/p/src/a.c", "/p/i/x.h", "/usr/include/y.h", "/usr/include/z.h"]
    found = finder.probes(command, "/p", ["src/a.c"], BUILTIN, maybe=maybe)
    assert found.certain
    assert found.present == ("/p/src/../i/x.h", "/usr/include/y.h", "/usr/include/z.h")
    assert {"/p/i/y.h", "/p/i/z.h", "/usr/local/include/z.h"} <= set(found.absent)
    more = [*maybe, "/usr/include/other.h"]
    assert not finder.probes(command, "/p", ["src/a.c"], BUILTIN, maybe=more).certain
