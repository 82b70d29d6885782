"""Which edges become units, and what a unit says."""

from __future__ import annotations

import pytest

from cyxmake_cli.strategies.compile_units import (
    NOT_A_COMPILE,
    CompileUnit,
    EdgeFacts,
    plan_unit,
    split_edge,
)
from cyxmake_common.digest import EMPTY
from cyxmake_common.toolchain.compile_command import CompilerKind
from cyxmake_common.toolchain.identity import Toolchain
from cyxmake_common.toolchain.local import LocalOnly

GCC = Toolchain(
    EMPTY,
    CompilerKind.GCC,
    "12",
    "x86_64-linux-gnu",
    ("/usr/bin/gcc",),
    {},
    {},
    {},
    path="/usr/bin",
)


def plan(command: str, *outputs: str) -> CompileUnit | LocalOnly:
    """Plan one edge of /p/build."""
    argv = split_edge(EdgeFacts(command, outputs))
    if isinstance(argv, LocalOnly):
        return argv
    return plan_unit(argv, outputs, "/p/build", GCC, "/usr/bin/gcc", {"HOME": "/h", "CPATH": "/x"})


def test_a_plain_compile_is_a_unit() -> None:
    """Source, outputs, directory and the environment that matters are named."""
    unit = plan("/usr/bin/gcc -O2 -MD -MF a.o.d -o a.o -c ../a.c", "a.o")
    assert isinstance(unit, CompileUnit)
    assert unit.source == "/p/build/../a.c"
    assert unit.outputs == ("a.o", "a.o.d")
    assert dict(unit.environment) == {"PATH": "/usr/bin", "CPATH": "/x"}


def test_absolute_outputs_become_relative() -> None:
    """Output paths of an action are relative to its directory."""
    unit = plan("gcc -o /p/build/sub/a.o -c /p/a.c", "sub/a.o")
    assert isinstance(unit, CompileUnit)
    assert unit.outputs == ("sub/a.o",)
    assert unit.source == "/p/a.c"


def test_look_alikes_have_the_same_tools_and_options() -> None:
    """Whatever they compile, and wherever the compiler writes beside it."""
    line = "gcc {} -MD -MT {}.o -MF {}.o.d -o {}.o -c ../src/{}.c"
    names = [line.format(flags, *[name] * 4) for flags in ("-O2 -DX", "-O2") for name in "ab"]
    units = [plan(command, command.split()[-3]) for command in names]
    alike = [unit.alike() for unit in units if isinstance(unit, CompileUnit)]
    assert len(alike) == 4
    assert alike[0] == alike[1] != alike[2] == alike[3]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("ar qc libx.a a.o", "not a compile"),
        (": && gcc a.o -o a && :", "not a compile"),
        ("gcc -c a.c -o a.o && touch b", "operator"),
        ("gcc -c a.c -o $HOME/a.o", "expansion"),
        ("gcc -c a.c b.c", "2 inputs"),
        ("tool -c a.c -o a.o", "compiler"),
        ("gcc --unheard-of -c a.c -o a.o", "--unheard-of"),
    ],
)
def test_everything_else_stays_local_with_a_reason(command: str, reason: str) -> None:
    """What is not surely a plain compile is never sent."""
    answer = plan(command, "a.o")
    assert isinstance(answer, LocalOnly)
    assert reason in answer.reason


def test_an_output_that_the_command_does_not_write_keeps_it_local() -> None:
    """A command that promises more than its object is not understood."""
    answer = plan("gcc -c a.c -o a.o", "a.o", "a.map")
    assert isinstance(answer, LocalOnly)
    assert "a.map" in answer.reason


def test_terminal_edges_stay_local() -> None:
    """Console edges need this machine."""
    console = split_edge(EdgeFacts("gcc -c a.c -o a.o", ("a.o",), uses_console=True))
    assert isinstance(console, LocalOnly) and console != NOT_A_COMPILE


def test_response_files_are_inputs() -> None:
    """What they hold counts; one that cannot be read keeps the compile here."""
    argv = ["gcc", "@a.rsp", "-c", "a.c", "-o", "a.o"]
    unit = plan_unit(
        argv, ("a.o",), "/p", GCC, "/usr/bin/gcc", {}, {"a.rsp": b"-I'x y'"}.__getitem__
    )
    assert isinstance(unit, CompileUnit)
    assert unit.command.inputs == ("a.rsp",) and unit.command.search.bracket == ("x y",)
    assert unit.command.argv == tuple(argv)
    assert isinstance(plan_unit(argv, ("a.o",), "/p", GCC, "/usr/bin/gcc", {}), LocalOnly)
