"""Runs a command of the table as a process of its own, on the terminal of the conversation.

Knows nothing of commands. Ctrl-C is for the command: it hears it as on any command line, and the
conversation goes on. One that does not listen is ended at the third.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

from cyxmake_cli.repl.intents.model import Argv
from cyxmake_common.errors import ExitStatus
from cyxmake_common.execution.process import ProcessRequest, run_process

Run = Callable[[Argv], int]
"""Runs a command and returns its exit status."""

_PATIENCE = 3


def run_command(argv: Argv) -> int:
    """Run `cyxmake` with these arguments; returns its exit status."""
    # -P: a module of the project that stands here must not stand in for one of ours.
    command = (sys.executable, "-P", "-m", "cyxmake_cli.main", *argv)
    sys.stdout.flush()
    sys.stderr.flush()
    with _terminal_kept():
        status = asyncio.run(_run(command))
    return int(ExitStatus.CANCELLED) if status == -signal.SIGINT else status


async def _run(command: tuple[str, ...]) -> int:
    loop, pressed = asyncio.get_running_loop(), 0
    task = asyncio.ensure_future(run_process(ProcessRequest(command, console=True)))

    def interrupted(_signal: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        pressed += 1  # the terminal has told the command, too
        if pressed >= _PATIENCE:
            loop.call_soon_threadsafe(task.cancel)

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        result = await task
    except asyncio.CancelledError:
        return int(ExitStatus.CANCELLED)
    finally:
        signal.signal(signal.SIGINT, before)
    return result.exit_code


@contextlib.contextmanager
def _terminal_kept() -> Iterator[None]:
    """Set the terminal's modes back afterwards: a command that was killed may leave them."""
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield
        return
    import termios

    modes = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, modes)
