"""Building until it works: which repairs are tried, and when it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cyxmake_cli.building.auto import (
    MOST_ATTEMPTS,
    Failure,
    FewerJobs,
    Repair,
    build_until,
)
from cyxmake_cli.building.perform import Report, Task
from cyxmake_cli.building.project import LocalProject, open_project
from cyxmake_cli.building.runner import CommandReport
from cyxmake_cli.systems.model import Verb
from cyxmake_common.errors import ExitStatus


def _project(tmp_path: Path) -> LocalProject:
    (tmp_path / "Makefile").touch()
    return open_project(tmp_path)


def _failed(project: LocalProject, task: Task, stderr: bytes = b"", signal: int = 0) -> Report:
    argv = ("make", f"-j{task.jobs}")
    command = CommandReport(Verb.BUILD, argv, ".", 2, signal, 0.1, 0, b"", stderr)
    return Report(project, task, ExitStatus.BUILD_FAILED, [command])


class _Knows:
    """Offers the same repairs for every failure."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys
        self.applied: list[str] = []

    def repairs(self, failure: Failure) -> Sequence[Repair]:
        return [Repair(key, key, lambda task, key=key: self._apply(task, key)) for key in self.keys]  # type: ignore[misc]

    def _apply(self, task: Task, key: str) -> Task | None:
        self.applied.append(key)
        return None if key == "refused" else replace(task, options=(*task.options, key))


def test_the_same_repair_is_not_tried_twice_for_the_same_failure(tmp_path: Path) -> None:
    """Two repairs that do not help are tried once each; one that is refused is no attempt."""
    project, knows, tries = _project(tmp_path), _Knows("one", "refused", "two"), []

    def attempt(task: Task) -> Report:
        tries.append(task.options)
        return _failed(project, task)

    report, applied = build_until(Task(Verb.BUILD), attempt, [knows], lambda text: None)
    assert report.status is ExitStatus.BUILD_FAILED
    assert applied == ["one", "two"]
    assert tries == [(), ("one",), ("one", "two")]
    assert knows.applied == ["one", "refused", "two"]


def test_it_ends_where_the_build_works(tmp_path: Path) -> None:
    """After a repair that helps nothing more is tried."""
    project = _project(tmp_path)

    def attempt(task: Task) -> Report:
        return Report(project, task) if "one" in task.options else _failed(project, task)

    report, applied = build_until(
        Task(Verb.BUILD), attempt, [_Knows("one", "two")], lambda text: None
    )
    assert (report.status, applied) == (ExitStatus.OK, ["one"])


def test_killed_compilers_get_more_room(tmp_path: Path) -> None:
    """Jobs are halved while compilers are killed, down to one; other failures are left alone."""
    project, tries = _project(tmp_path), []

    def attempt(task: Task) -> Report:
        tries.append(task.jobs)
        said = b"c++: fatal error: Killed signal terminated program cc1plus\n"
        return _failed(project, task, said)

    build_until(Task(Verb.BUILD), attempt, [FewerJobs(lambda: 8)], lambda text: None)
    assert tries == [0, 4, 2, 1]
    assert len(tries) < MOST_ATTEMPTS
    other = Failure(_failed(project, Task(Verb.BUILD), b"a.c:1: error: expected ';'"), None)
    assert FewerJobs(lambda: 8).repairs(Failure(other.report, other.report.failed)) == ()
