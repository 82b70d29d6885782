"""Several hosts and everything that happens between them: each build ends right all the same.

Every test ends by asking the coordinator's journal whether a finished action was run again.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import chaos
from support.journal import loss_of, wrongs
from support.netns import Delay
from support.netns_cluster import COORDINATOR, FAKE_CLOCK, USER, Site, site, skewed
from support.netns_projects import Project

FOUND = 5.0
"""Seconds until a lost worker is given up."""

MOVED = 1.0
"""Seconds until another worker has what the lost one had."""

JOBS = ("-j", "6")
"""Half of the slots: what is lost finds another one at once."""


@contextmanager
def building(made: Site, project: Project, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Build from nothing; at the end of the block the build has to be right."""
    project.reset()
    build = made.begin(project.source, *arguments, *project.targets)
    yield build
    end(made, project, build)


def end(made: Site, project: Project, build: subprocess.Popen[str]) -> str:
    """Wait for a build; it is right, and the coordinator has done nothing twice."""
    output, _ = build.communicate(timeout=150)
    assert build.returncode == 0, output
    assert project.faults() == [], output
    assert wrongs(made.journal()) == []
    return output


def ends_on(made: Site) -> set[object]:
    """Return which workers ended actions."""
    return {line.fields["worker"] for line in made.journal() if line.is_("action_ended")}


def test_whole_leveldb(leveldb: Project, tmp_path: Path) -> None:
    """Three workers on hosts of their own build LevelDB; every file is the local build's."""
    with site(tmp_path) as made, building(made, leveldb):
        pass
    assert ends_on(made) == set(made.workers)


@pytest.mark.parametrize("fault", ["partition", "freeze", "kill", "deaf", "mute"])
def test_lost_worker(small: Project, tmp_path: Path, fault: str) -> None:
    """A worker that is cut off, one way or both, frozen or killed is found out and replaced.

    When it can be heard again what it says of its old work counts for nothing.
    """
    with site(tmp_path, slots=4) as made, building(made, small, *JOBS):
        made.wait_for("lease_assigned", worker="w1")
        since = time.time()
        match fault:
            case "partition":
                made.network.isolate("w1")
            case "freeze":
                made.freeze("w1")
            case "kill":
                made.kill("w1")
            case "deaf":
                made.network.cut(COORDINATOR, "w1")
            case _:
                made.network.cut("w1", COORDINATOR)
        if fault != "kill":
            made.wait_for("worker_given_up", worker="w1")
            made.network.heal("w1")
            made.thaw("w1")
    loss = loss_of(made.journal(), "w1", since)
    print(f"\n{fault}: {loss}")
    assert loss.found <= FOUND
    assert max(loss.moved, default=0.0) <= MOVED


@pytest.mark.parametrize("fault", ["partition", "deaf", "mute"])
def test_lost_user(small: Project, tmp_path: Path, fault: str) -> None:
    """A user's machine that is cut off ends its build by itself; what ran for it is stopped."""
    with site(tmp_path) as made:
        with building(made, small):
            made.wait_for("lease_assigned", count=3)
            match fault:
                case "partition":
                    made.network.isolate(USER)
                case "deaf":
                    made.network.cut(COORDINATOR, USER)
                case _:
                    made.network.cut(USER, COORDINATOR)
        made.network.heal(USER)
        with building(made, small):
            pass
    assert ends_on(made)


@pytest.mark.parametrize("fault", ["delay", "loss", "slow"])
def test_poor_network(small: Project, tmp_path: Path, fault: str) -> None:
    """20 ms each way, 5 % of all packets lost, or a link of 20 Mbit/s only cost time."""
    delay = Delay(0.02, 0.005) if fault == "delay" else None
    with site(tmp_path, delay=delay) as made:
        for name in (USER, *made.workers):
            if fault == "loss":
                made.network.lose(name, 0.05)
        if fault == "slow":
            made.network.slow("w1", 20)
        with building(made, small):
            pass
    assert ends_on(made)


def test_full_disk_of_a_worker(small: Project, tmp_path: Path) -> None:
    """A worker whose disk is full from the start, or fills up, is no reason to fail."""
    with site(tmp_path, disks={"w0": 16, "w1": 400}) as made, building(made, small):
        made.wait_for("lease_assigned", worker="w1")
        made.fill("w1")
    assert ends_on(made) >= {"w2"}


def test_full_disk_of_the_coordinator(small: Project, tmp_path: Path) -> None:
    """A coordinator whose disk fills up serves no worse than none; when there is room, it does."""
    with site(tmp_path, disks={COORDINATOR: 400}) as made:
        made.token("client")
        made.fill(COORDINATOR)
        small.reset()
        build = made.begin(small.source)
        output, _ = build.communicate(timeout=150)
        assert build.returncode == 0, output
        assert small.faults() == [], output
        made.empty(COORDINATOR)
        small.reset()
        build = made.begin(small.source)
        output, _ = build.communicate(timeout=150)
        assert build.returncode == 0, output
        assert small.faults() == [], output
    assert ends_on(made)


@pytest.mark.skipif(not FAKE_CLOCK.exists(), reason="libfaketime is not installed")
def test_wrong_clocks(small: Project, tmp_path: Path) -> None:
    """Workers an hour early and an hour late serve as any other."""
    clocks = {"w0": skewed("+1h"), "w1": skewed("-1h")}
    with site(tmp_path, slots=1, worker_env=clocks) as made, building(made, small):
        pass
    assert ends_on(made) == set(made.workers)


def test_restarted_coordinator(small: Project, tmp_path: Path) -> None:
    """kill -9 and a new start of the coordinator: workers come back, and nothing is done twice."""
    with site(tmp_path) as made:
        with building(made, small):
            made.wait_for("action_ended")
            made.kill(COORDINATOR)
            made.coordinate()
        for name in made.workers:
            made.wait_for("worker_came", count=2, worker=name)
        with building(made, small):
            pass


def test_faults_at_random(leveldb_part: Project, tmp_path: Path) -> None:
    """A run of tests/bench/chaos.py: four faults, among them a frozen coordinator."""
    assert chaos.run(103, leveldb_part, tmp_path / "run")[1] == []
