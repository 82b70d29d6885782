"""Builds until it works: run, find a repair for what failed, apply it, run again.

Knows no repairs but the few of its own; `Repairer` is the seam for whoever knows more. The same
repair twice for the same failure ends it: what did not help once does not help twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from cyxmake_cli.building.perform import Report, Task
from cyxmake_cli.building.runner import CommandReport
from cyxmake_common.errors import ExitStatus

MOST_ATTEMPTS: Final = 10
_KILLED: Final = re.compile(
    rb"Killed signal terminated program|\bc(?:c1plus|c1)\b.*: .*[Kk]illed|: Killed$"
    rb"|virtual memory exhausted|Cannot allocate memory|signal: 9, SIGKILL",
    re.MULTILINE,
)
_SIGKILL: Final = 9


@dataclass(frozen=True, slots=True)
class Failure:
    """A build that failed: the command, or None where the cluster did the build."""

    report: Report
    command: CommandReport | None


@dataclass(frozen=True, slots=True)
class Repair:
    """Something that may help: `key` names it; `apply` does it, and returns how to go on.

    `apply` asks the gate for whatever it does; None: it was not allowed, or could not be done.
    """

    key: str
    summary: str
    apply: Callable[[Task], Task | None]


class Repairer(Protocol):
    """Somebody who knows repairs."""

    def repairs(self, failure: Failure) -> Sequence[Repair]:
        """Return what may help against a failure, the most promising first."""
        ...


def build_until(
    task: Task,
    attempt: Callable[[Task], Report],
    repairers: Sequence[Repairer],
    note: Callable[[str], None],
) -> tuple[Report, list[str]]:
    """Attempt a task until it succeeds or nothing more helps; returns the last report, and repairs.

    Raises CyxError when an attempt does.
    """
    tried: set[tuple[str, str]] = set()
    applied: list[str] = []
    report = attempt(task)
    for _ in range(MOST_ATTEMPTS - 1):
        if report.status is not ExitStatus.BUILD_FAILED:
            break
        failure = Failure(report, report.failed)
        found = [r for one in repairers for r in one.repairs(failure)]
        repair = next((r for r in found if (_sign(failure), r.key) not in tried), None)
        if repair is None:
            note("cyxmake: nothing more is known that would help")
            break
        tried.add((_sign(failure), repair.key))
        note(f"cyxmake: {repair.summary}")
        changed = repair.apply(task)
        if changed is None:
            continue
        task = changed
        applied.append(repair.key)
        report = attempt(task)
    return report, applied


def _sign(failure: Failure) -> str:
    """Return what makes two failures the same: the command, without numbers of jobs."""
    command = failure.command
    if command is None:
        return "cluster"
    return " ".join(word for word in command.argv if not re.fullmatch(r"(-j)?\d+", word))


class FewerJobs:
    """Where compilers were killed for want of memory, goes on with half as many at a time."""

    def __init__(self, jobs: Callable[[], int]) -> None:
        self._jobs = jobs

    def repairs(self, failure: Failure) -> Sequence[Repair]:
        """Return the repair, while there is more than one job."""
        command = failure.command
        if command is None:
            return ()
        killed = command.signal == _SIGKILL or _KILLED.search(command.stderr + command.stdout)
        before = failure.report.task.jobs or self._jobs()
        if not killed or before <= 1:
            return ()
        jobs = before // 2
        return (
            Repair(
                f"jobs={jobs}",
                f"a command was killed, probably for want of memory; on with {jobs} at a time",
                lambda task: replace(task, jobs=jobs),
            ),
        )
