"""Runs the steps of one action inside its sandbox, as process 1: some at a time, in their order.

Knows nothing of namespaces. Part of the spawner: standard library only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NoReturn, TypedDict

APART: Final = "outputs"
"""The directory beside the overlay in which each step's output is kept by its number."""


class StepRequest(TypedDict):
    """One command; `after` are numbers of earlier steps."""

    argv: list[str]
    directory: str
    environment: dict[str, str]
    after: list[int]


class StepEnd(TypedDict):
    """How a step ended: its wait status, -1 for one that never began."""

    status: int
    seconds: float


@dataclass
class Steps:
    """The state of one run; `start` becomes the command of a step in a child and never returns."""

    requests: list[StepRequest]
    jobs: int
    keep_going: bool
    start: Callable[[int, StepRequest], NoReturn]
    rss: int = 0
    cpu: float = 0.0
    failed: int = 0
    """The wait status of the first step that failed."""
    _ends: dict[int, StepEnd] = field(default_factory=dict)
    _running: dict[int, tuple[int, float]] = field(default_factory=dict)

    def run(self) -> list[StepEnd]:
        """Run everything that can be run; returns one end for each step."""
        waiting = list(range(len(self.requests)))
        while waiting or self._running:
            if not self.failed or self.keep_going:
                waiting = self._begin(waiting)
            if not self._running:
                break
            self._wait()
        never: StepEnd = {"status": -1, "seconds": 0.0}
        return [self._ends.get(number, never) for number in range(len(self.requests))]

    def _begin(self, waiting: list[int]) -> list[int]:
        left: list[int] = []
        for number in waiting:
            needed = self.requests[number]["after"]
            if any(self._ends[n]["status"] != 0 for n in needed if n in self._ends):
                self._ends[number] = {"status": -1, "seconds": 0.0}
            elif len(self._running) < self.jobs and all(n in self._ends for n in needed):
                self._fork(number)
            else:
                left.append(number)
        return left

    def _fork(self, number: int) -> None:
        pid = os.fork()
        if pid == 0:
            try:
                self.start(number, self.requests[number])
            finally:
                os._exit(127)
        self._running[pid] = number, time.monotonic()

    def _wait(self) -> None:
        while True:
            pid, status, usage = os.wait4(-1, 0)  # orphans come to us and are forgotten
            if pid in self._running:
                break
        number, began = self._running.pop(pid)
        self._ends[number] = {"status": status, "seconds": time.monotonic() - began}
        self.rss = max(self.rss, usage.ru_maxrss)
        self.cpu += usage.ru_utime + usage.ru_stime
        self.failed = self.failed or status
