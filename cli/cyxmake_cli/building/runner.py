"""Runs planned commands here, one after the other, through the one door for processes.

Knows nothing of build systems. Both streams are captured and shown as they come; how a command
ended is told apart by exit status, signal and time.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from errno import ENOENT
from pathlib import Path
from typing import Any, BinaryIO

from cyxmake_cli.building.screen import Screen
from cyxmake_cli.systems.model import Verb
from cyxmake_cli.systems.plan import PlannedCommand
from cyxmake_common.errors import ProjectError
from cyxmake_common.execution.process import ProcessRequest, run_process


@dataclass(frozen=True, slots=True)
class CommandReport:
    """How one command ended; `signal` 0 and `exit_code` as in `execution.process`."""

    verb: Verb
    argv: tuple[str, ...]
    cwd: str
    exit_code: int
    signal: int
    seconds: float
    max_rss: int
    stdout: bytes = b""
    stderr: bytes = b""

    @property
    def succeeded(self) -> bool:
        """Tell whether the command ended by itself with status 0."""
        return self.exit_code == 0

    def as_json(self) -> dict[str, Any]:
        """Return what the JSON documents and the history say of it: all but the output."""
        found = asdict(self)
        del found["stdout"], found["stderr"]
        return found | {"seconds": round(self.seconds, 3)}

    def verdict(self) -> str:
        """Return in words how it failed."""
        if self.signal:
            import signal

            try:
                return f"ended by {signal.Signals(self.signal).name}"
            except ValueError:
                return f"ended by signal {self.signal}"
        return f"exit status {self.exit_code}"


class CannotRun(ProjectError):
    """A program cannot be started at all."""

    def __init__(self, command: PlannedCommand, error: OSError) -> None:
        program, reason = command.argv[0], error.strerror or str(error)
        super().__init__(
            f"{program} cannot be run: {reason}",
            next_step=f"install {program}, or see `cyxmake doctor`",
        )
        self.command = command
        self.said = f"sh: 1: {program}: {'not found' if error.errno == ENOENT else reason}"
        """What a shell would have said."""


Listener = Callable[[int, bytes], None]


def run_commands(
    commands: tuple[PlannedCommand, ...], screen: Screen, log: BinaryIO | None = None
) -> tuple[CommandReport, ...]:
    """Run commands until one fails; raises ProjectError for a program that cannot be started.

    An interrupt ends the whole tree of the command and goes on as KeyboardInterrupt.
    """
    done: list[CommandReport] = []
    for command in commands:
        report = run_command(command, screen, log)
        done.append(report)
        if not report.succeeded:
            break
    return tuple(done)


def run_command(
    command: PlannedCommand, screen: Screen, log: BinaryIO | None = None
) -> CommandReport:
    """Run one command; see `run_commands`."""
    sys.stdout.flush()
    environ = {**os.environ, **screen.environment(), **dict(command.environment)}

    def heard(stream: int, data: bytes) -> None:
        if log is not None:
            with suppress(
                OSError
            ):  # a log that the disk has no room for is no failure of the build
                log.write(data)
        screen.heard(stream, data)

    try:
        Path(command.cwd).mkdir(parents=True, exist_ok=True)
        result = asyncio.run(
            run_process(
                ProcessRequest(
                    command.argv, cwd=Path(command.cwd), environment=environ, heard=heard
                )
            )
        )
    except OSError as error:
        raise CannotRun(command, error) from error
    return CommandReport(
        command.verb,
        command.argv,
        command.cwd,
        result.exit_code,
        result.signal,
        result.seconds,
        result.max_rss,
        result.stdout,
        result.stderr,
    )
