"""Which compiles read a clock that no variable freezes."""

from __future__ import annotations

import pytest

from cyxmake_common.includes.time_macros import may_read_clock, names_time
from cyxmake_common.toolchain.arguments import parse_compile
from cyxmake_common.toolchain.compile_command import CompileCommand

EPOCH = (("SOURCE_DATE_EPOCH", "5"),)


def command(text: str) -> CompileCommand:
    """Return a parsed command."""
    found = parse_compile(text.split())
    assert isinstance(found, CompileCommand)
    return found


@pytest.mark.parametrize(
    ("compiler", "epoch", "timestamp", "reads"),
    [
        ("gcc", True, False, False),
        ("gcc", True, True, True),
        ("gcc", False, False, True),
        ("clang", True, False, True),
    ],
)
def test_the_epoch_freezes_dates_for_gcc_only(
    compiler: str, epoch: bool, timestamp: bool, reads: bool
) -> None:
    """Never the time of a file, and never for a clang that does not know the variable."""
    environment = EPOCH if epoch else ()
    made = command(f"{compiler} -c a.c")
    assert may_read_clock(made, environment, time=True, timestamp=timestamp) == reads
    assert not may_read_clock(made, environment, time=False, timestamp=False)


def test_a_macro_on_the_command_line_may_name_the_time() -> None:
    """Then no file mentions it."""
    assert names_time(command("gcc -DM=__TIMESTAMP__ -c a.c"))
    assert not names_time(command("gcc -DM=1 -c a.c"))
