"""Which compiles may put the time into their output: such a result holds for one moment only.

Knows no files: it is told what the scanner found in them.
"""

from __future__ import annotations

from typing import Final

from cyxmake_common.includes.search import Environment
from cyxmake_common.toolchain.compile_command import CompileCommand, CompilerKind

_TIME_MACROS: Final = ("__DATE__", "__TIME__", "__TIMESTAMP__")
_EPOCH: Final = "SOURCE_DATE_EPOCH"


def names_time(command: CompileCommand) -> bool:
    """Tell whether a macro on the command line may put the time into the object."""
    return any(name in argument for argument in command.argv for name in _TIME_MACROS)


def may_read_clock(
    command: CompileCommand, environment: Environment, *, time: bool, timestamp: bool
) -> bool:
    """Tell whether files that mention the `time` make the output depend on when it is made.

    `timestamp`: they mention the modification time of a file, which no variable freezes.
    """
    if not time:
        return False
    epoch = any(name == _EPOCH for name, _ in environment)
    # Older clangs do not look at the variable.
    return not epoch or timestamp or command.kind is not CompilerKind.GCC
