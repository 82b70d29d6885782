"""A cluster ruled from a conversation: its coordinator, and workers that are sent away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import cluster
from support.terminal import Terminal

pytestmark = [pytest.mark.terminal, pytest.mark.timeout(300)]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory without a project."""
    made = tmp_path / "somewhere"
    made.mkdir()
    return made


def test_workers_are_drained_and_sent_away(place: Path, tmp_path: Path) -> None:
    """An administrator sees, drains and removes a worker; a client may only look."""
    home = tmp_path / "cluster"
    home.mkdir()
    with cluster(home, workers=1) as made:
        (name,) = made.workers
        admin = Terminal(place, tmp_path, CYXMAKE_TOKEN=made.token("admin"))
        try:
            assert f"{name}: ready, 0 of 2 slots busy" in admin.say("/workers")
            printed = admin.answer(f"drain the worker {name}", r"\[y/N\] ", "y")
            assert f"{name} takes no new work" in printed
            assert f"{name}: draining" in admin.say("how many workers are there?")
            printed = admin.answer("undo that", r"\[y/N\] ", "y")
            assert f"{name} takes work again" in printed
            admin.answer(f"/workers remove {name}", r"view\] ", "n")
            assert f"{name}: ready" in admin.say("/w")
            admin.answer(f"/workers remove {name}", r"view\] ", "y")
            assert made.workers[name].process.wait(30) == 0
            assert "no worker is connected" in admin.say("/workers stats")
        finally:
            admin.close()
        client = Terminal(place, tmp_path, CYXMAKE_TOKEN=made.token("client"))
        try:
            assert "no worker is connected" in client.say("/workers")
            # Not by its token, and there is no coordinator of this user on this machine.
            assert "[status" in client.say("/workers drain nobody")
        finally:
            client.close()


@pytest.fixture
def own(place: Path, tmp_path: Path) -> Iterator[Terminal]:
    """A conversation whose coordinator, if one is started, ends with it."""
    made = Terminal(place, tmp_path)
    yield made
    made.say(f"/coordinator stop --data-dir {tmp_path}/data")
    made.close()


def test_a_coordinator_is_started_looked_at_and_stopped(own: Terminal, tmp_path: Path) -> None:
    """Each of its slash commands does what its program does."""
    data = f"--data-dir {tmp_path}/data"
    assert "ready at wss://127.0.0.1:" in own.say(f"/coordinator start --port 0 {data}")
    assert "0 workers with 0 slots" in own.say(f"/coord status {data}")
    assert "cyx1." in own.say(f"/coordinator token --role client {data}")
    assert "has stopped" in own.say(f"/coordinator stop {data}")
    assert "no coordinator runs" in own.say(f"/coordinator stop {data}")
