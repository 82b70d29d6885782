"""Builds of several users at once: each gets its share, and a small one is not kept waiting.

Measured by the coordinator's journal, in lengths of actions: a busy machine makes all of them
longer alike.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.builds import nothing_to_do
from support.journal import Line, read_journal, wrongs
from support.processes import Cluster, begin, cluster

pytestmark = pytest.mark.load

SLOTS = 6
JOBS = ("-j", str(3 * SLOTS))
DEBUG = ("--log-level", "debug", "--log-json")


@dataclass
class Run:
    """One action as the coordinator saw it."""

    user: str
    build: str
    submitted: float
    started: float = 0.0
    ended: float = 0.0


def make_project(directory: Path, units: int) -> Path:
    """Write a project of C files that all take the same time, and are no other project's."""
    directory.mkdir()
    names = []
    for number in range(units):
        names.append(f"u{number}.c")
        body = "".join(
            f"int {directory.name}_{number}_{i}(int a, int b)"
            f" {{ for (int i = 0; i < b; i++) a += i * {i} ^ b; return a; }}\n"
            for i in range(20)
        )
        (directory / names[-1]).write_text(f"#include <stdio.h>\n{body}")
    (directory / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(many C)\nset(CMAKE_C_FLAGS -O1)\n"
        f"add_library(many STATIC {' '.join(names)})\n"
    )
    return directory


def runs(lines: list[Line]) -> list[Run]:
    """Return all actions that ended, in the order in which they were submitted."""
    wanted: dict[object, Run] = {}
    leases: dict[object, object] = {}
    for line in lines:
        action, lease = line.fields.get("action"), line.fields.get("lease")
        match line.event:
            case "operation_submitted":
                user, build = str(line.fields["user"]), str(line.fields["build"])
                wanted[action] = Run(user, build, line.at)
            case "lease_assigned":
                leases[lease] = action
            case "lease_started":
                run = wanted[leases[lease]]
                run.started = run.started or line.at
            case "action_ended":
                wanted[action].ended = line.at
    return [run for run in wanted.values() if run.ended]


def build_all(made: Cluster, *projects: Path) -> list[Run]:
    """Build projects at the same time, each as another user; returns what ran."""
    with contextlib.ExitStack() as stack:
        builds = []
        for project in projects:
            builds.append(begin(made, project, *JOBS))
            stack.callback(builds[-1].kill)
        for project, build in zip(projects, builds, strict=True):
            finish(build)
            assert nothing_to_do(project / "build")
    lines = read_journal(made.coordinator.log)
    assert wrongs(lines) == []
    return runs(lines)


def finish(build: subprocess.Popen[str]) -> None:
    """Wait for a build, which succeeds."""
    output, _ = build.communicate(timeout=200)
    assert build.returncode == 0, output


def length(found: list[Run]) -> float:
    """Return how long an action takes once it has a slot."""
    return statistics.median(run.ended - run.started for run in found)


@pytest.mark.timeout(400)
def test_three_users_share_alike(tmp_path: Path) -> None:
    """While three users all have work waiting, each gets a third of the slots' time, +-10 %."""
    projects = [make_project(tmp_path / name, 40) for name in ("one", "two", "three")]
    with cluster(tmp_path, workers=1, slots=SLOTS, serve=DEBUG) as made:
        found = build_all(made, *projects)
    users = sorted({run.user for run in found})
    assert len(users) == 3
    begun = max(min(run.started for run in found if run.user == user) for user in users)
    # Until somebody's last action has its slot.
    ended = min(max(run.started for run in found if run.user == user) for user in users)
    shares = []
    for user in users:
        spans = [(max(r.started, begun), min(r.ended, ended)) for r in found if r.user == user]
        shares.append(sum(max(0.0, end - start) for start, end in spans))
    shares = [share / sum(shares) for share in shares]
    print(f"\nin {ended - begun:.1f} s of {len(found)} actions: {[f'{s:.3f}' for s in shares]}")
    assert all(abs(share - 1 / 3) < 1 / 30 for share in shares), shares


@pytest.mark.timeout(400)
def test_small_build_beside_a_large_one(tmp_path: Path) -> None:
    """Five units beside a hundred wait for less than two lengths of an action, each."""
    large, little = make_project(tmp_path / "large", 100), make_project(tmp_path / "little", 5)
    with cluster(tmp_path, workers=1, slots=SLOTS, serve=DEBUG) as made:
        rest = begin(made, large, *JOBS)
        assert rest.stdout is not None
        while "[w0]" not in (line := rest.stdout.readline()):
            assert line, "the large build ended without the cluster"
        build_all(made, little)
        finish(rest)
        found = runs(read_journal(made.coordinator.log))
    builds = {run.build for run in found}
    small = min(builds, key=lambda build: sum(run.build == build for run in found))
    waits = [run.started - run.submitted for run in found if run.build == small]
    unit = length(found)
    print(f"\nwaits of {[f'{wait / unit:.2f}' for wait in waits]} lengths of {unit:.2f} s")
    assert len(waits) == 5
    assert max(waits) < 2 * unit
    # There was somebody to wait for.
    last = max(run.ended for run in found if run.build == small)
    assert sum(run.started > last for run in found) > SLOTS
