"""What a failed compile says is missing, and where this machine has it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cyxmake_cli.cluster.healing import Missed, missed, places
from cyxmake_cli.strategies.compile_units import CompileUnit
from cyxmake_common.toolchain.arguments import parse_compile
from cyxmake_common.toolchain.compile_command import CompileCommand
from cyxmake_common.toolchain.identity import Toolchain


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "In file included from ../src/a.c:1:\n"
            "../src/a.h:3:10: fatal error: x/y.h: No such file or directory\n    3 | #include X\n",
            Missed("x/y.h", "../src/a.h"),
        ),
        ("a.c:2:10: fatal error: 'b c.h' file not found\n", Missed("b c.h", "a.c")),
        (
            "/tmp/x.s: Assembler messages:\n/tmp/x.s:3: Error: file not found: d.bin\n",
            Missed("d.bin", "/tmp/x.s"),
        ),
        (
            "a.S:3: Error: can't open p.inc for reading: No such file or directory\n",
            Missed("p.inc", "a.S"),
        ),
        (
            "<inline asm>:2:9: error: Could not find incbin file 'd.bin'\n",
            Missed("d.bin", "<inline asm>"),
        ),
        ("cc1: fatal error: pre.h: No such file or directory\n", Missed("pre.h", "cc1")),
        ("a.c:1:1: error: expected ';' before 'int'\n", None),
        ('a.c:1: warning: "No such file or directory"\n', None),
    ],
)
def test_messages(message: str, expected: Missed | None) -> None:
    """The name and who asked are read from the words of both compilers and assemblers."""
    assert missed(message.encode()) == expected


def test_every_place_counts(tmp_path: Path) -> None:
    """All files of the name along the search path are found, whichever the compiler would take."""
    for name in ("build", "src/inner", "first", "system", "other"):
        (tmp_path / name).mkdir(parents=True)
    for folder in ("src/inner", "first", "system", "other"):
        (tmp_path / folder / "x.h").write_text("")
    argv = ["gcc", "-I../first", "-isystem", "../system", "-c", "../src/a.c"]
    command = parse_compile(argv)
    assert isinstance(command, CompileCommand)
    unit = CompileUnit(command, _NO_TOOLCHAIN, "/gcc", (), str(tmp_path / "build"), ("a.o",))
    wanted = [tmp_path / "build/.." / name for name in ("src/inner", "first", "system")]
    found = places(Missed("x.h", "../src/inner/a.h"), unit, ())
    assert found == tuple(f"{folder}/x.h" for folder in wanted)
    assert places(Missed("y.h"), unit, ()) == ()
    at_root = str(tmp_path / "other/x.h")
    assert places(Missed(at_root), replace(unit), ("/usr/include",)) == (at_root,)


_NO_TOOLCHAIN = Toolchain.__new__(Toolchain)
"""Where nothing asks for the compiler."""
