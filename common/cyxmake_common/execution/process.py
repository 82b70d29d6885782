"""Runs one process: time limit, captured output, and a kill that reaches its whole tree.

Knows nothing of actions, sandboxes or the cluster; how processes are made is in posix and windows.

Exit status: a process that ended by itself has `signal` 0 and `exit_code` 0 to 255, whatever the
number (137 is then the command's own 137). A process that a signal ended has that `signal` and
`exit_code` minus the signal. The two are never folded into 128 + n. On Windows `signal` is always 0
and `exit_code` is the unsigned 32 bits of the system.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

OUTPUT_LIMIT: Final = 64 << 20
"""Bytes kept of each stream; what a process writes beyond is read and thrown away."""


@dataclass(frozen=True, slots=True)
class ProcessRequest:
    """One process to run.

    `command` is an argument vector, or a string: that is a ninja edge's command, run by `/bin/sh
    -c`, or on Windows handed to the system as it is. `environment` None inherits ours, otherwise
    it is the whole environment. `timeout` 0 is none. `merge` puts stderr into stdout in the order
    written. `console` hands over our own terminal and captures nothing; Ctrl-C then reaches the
    process as well. After the time limit and on cancellation the process may clean up for `grace`
    seconds. `heard` is told of output as it comes, with 0 for stdout and 1 for stderr, in a thread
    of ours where there is one for each pipe.
    """

    command: tuple[str, ...] | str
    cwd: Path | None = None
    environment: Mapping[str, str] | None = None
    timeout: float = 0.0
    merge: bool = False
    console: bool = False
    output_limit: int = OUTPUT_LIMIT
    grace: float = 2.0
    heard: Callable[[int, bytes], None] | None = None


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """How a process ended; see the module for `exit_code` and `signal`.

    `max_rss` is the peak resident size in bytes of the largest process of the tree, 0 if unknown;
    on Linux it is never below our own size at the start of the process. `truncated` tells that
    output beyond the limit was dropped.
    """

    exit_code: int
    signal: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    seconds: float = 0.0
    timed_out: bool = False
    truncated: bool = False
    max_rss: int = 0

    @property
    def succeeded(self) -> bool:
        """Tell whether the process ended by itself with status 0."""
        return self.exit_code == 0 and not self.timed_out


async def run_process(request: ProcessRequest) -> ProcessResult:
    """Run a process until it has ended and nobody holds its output open any more, as ninja does.

    Raises OSError when the program cannot be started (not found, not executable, no such
    directory). When cancelled, kills the tree and waits for its end before CancelledError goes on.
    """
    if sys.platform == "win32":
        from cyxmake_common.execution.windows import run_with_threads as run
    else:
        from cyxmake_common.execution.posix import run_with_readers as run
    return await run(request)
