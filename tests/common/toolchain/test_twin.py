"""Which compiles another machine's gcc may do, by what name, and that a captured gcc tells it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cyxmake_common.stand_in import STAND_IN, lacking, text_hint
from cyxmake_common.toolchain.identity import Toolchain, ToolchainStore
from cyxmake_common.toolchain.manifest import ToolchainManifest
from cyxmake_common.toolchain.twin import Twin, language_of

GCC = Twin(
    release="12.2.0",
    target="aarch64-linux-gnu",
    assembler="2.40",
    text="GCC: (Debian 12.2.0-14) 12.2.0",
    folders=("/usr/lib/gcc/aarch64-linux-gnu/12/include",),
    searched={"c": ("/usr/include",), "c++": ("/usr/include/c++/12", "/usr/include")},
    one_library=True,
    probes=(),
)
PLAIN = "gcc 12.2.0 aarch64-linux-gnu, as 2.40"
NAMED = f"{PLAIN}; GCC: (Debian 12.2.0-14) 12.2.0"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("gcc -O2 -c a.c -o a.o", NAMED),
        ("gcc -O2 -fno-ident -c a.c -o a.o", PLAIN),
        ("gcc -fno-ident -fident -c a.c -o a.o", NAMED),
        ("gcc -Qn -g -MD -MF a.d -c a.c -o a.o", PLAIN),
        ("gcc -c a.s -o a.o", PLAIN),
        ("gcc -march=armv8.2-a -fno-ident -c a.c -o a.o", PLAIN),
        ("g++ -fno-ident -x c++ -c a.c -o a.o", PLAIN),
        ("gcc -nostdinc -fno-ident -c a.c -o a.o", ""),
        ("gcc -flto -fno-ident -c a.c -o a.o", ""),
        ("gcc --coverage -fno-ident -c a.c -o a.o", ""),
        ("gcc -frecord-gcc-switches -fno-ident -c a.c -o a.o", ""),
        ("gcc -x c -fno-ident -c a.cpp -o a.o", PLAIN),
        ("gcc -fno-ident -c a.c @more -o a.o", ""),
    ],
)
def test_what_a_twin_may_do(words: str, name: str) -> None:
    """Without the text any packager's gcc, with it the same one's; nothing that shows which."""
    assert GCC.properties(words.split(), ()) == (((STAND_IN, name),) if name else ())


def test_variables_that_come_between_folders_keep_it_here() -> None:
    """C_INCLUDE_PATH stands before the compiler's own folders, and would stand behind ours."""
    assert GCC.properties(["gcc", "-c", "a.c"], (("C_INCLUDE_PATH", "/x"),)) == ()


def test_only_the_text_differs() -> None:
    """The other packager's gcc does not fit a compile with the text, and the way out is named."""
    offered = tuple((STAND_IN, name) for name in (PLAIN, f"{PLAIN}; GCC: (Other) 12.2.0"))
    needs = (("ISA", "x86-64"), ("OSFamily", "linux"))
    assert lacking((*needs, (STAND_IN, NAMED)), offered) == frozenset(needs)
    assert "build.no_ident" in text_hint((*needs, (STAND_IN, NAMED)), offered)
    assert lacking((*needs, (STAND_IN, PLAIN)), offered) == frozenset()
    assert text_hint((*needs, (STAND_IN, PLAIN)), offered) == ""


@pytest.mark.parametrize(
    ("words", "language"),
    [
        ("gcc -E -P a.c", "c"),
        ("g++ -E a.c", "c++"),
        ("g++ -x c a.c", "c"),
        ("gcc -c a.cc -o a.c", "c++"),
        ("gcc -c a.c -o a.cc", "c"),
        ("gcc -xc++ -c a.h", "c++"),
    ],
)
def test_the_language_decides_about_headers(words: str, language: str) -> None:
    """By -x, else the driver, else the source's name."""
    assert language_of(words.split()) == language


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_a_gcc_is_known_by_its_probes(tmp_path: Path) -> None:
    """Macros and objects of both languages."""
    found = ToolchainStore(tmp_path / "first").get(str(shutil.which("gcc")))
    assert isinstance(found, Toolchain)
    twin = found.twin
    assert twin is not None
    assert {test.output for test in twin.probes} >= {"c.macros", "c.g.o", "c.pic.o"}
    assert twin.text.startswith("GCC: (")
    again = ToolchainStore(tmp_path / "first").get(str(shutil.which("gcc")))
    assert isinstance(again, Toolchain)
    assert again.twin == twin
    told = [d for d in found.directories.values() if d.startswith(b"{")]
    assert ToolchainManifest.from_bytes(told[0]).twin == twin
