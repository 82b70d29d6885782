"""The journal of a scheduler, and what those who read it find in it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from cyxmake_common.cache.store import SqliteActionCache
from cyxmake_common.ids import Namespace
from cyxmake_common.protocol.messages import CacheEntry, JobComplete, Peer
from cyxmake_common.telemetry.log import LogFormat, configure_logging
from cyxmake_coordinator.core.effects import CompleteOperation, Effect
from cyxmake_coordinator.core.events import Event
from cyxmake_coordinator.core.settings import Settings
from cyxmake_coordinator.journal import JournallingScheduler, tell_ends
from support.coordinators import live_coordinator
from support.journal import Line, loss_of, read_journal, wrongs
from support.peers import FakeClient, FakeWorker, compile_action
from support.scheduling import Core, assigned


class Journalled(Core):
    """A scheduler core that writes its journal."""

    def __init__(self) -> None:
        super().__init__(Settings(prefetch=0))
        self.scheduler = JournallingScheduler(self.scheduler.settings, incarnation="t")
        self.state = self.scheduler.state

    def do(self, event: Event) -> list[Effect]:
        """Feed an event, and tell of ends as a shell whose cache has kept the results."""
        effects = super().do(event)
        tell_ends(e for e in effects if isinstance(e, CompleteOperation))
        return effects


def test_a_lost_workers_late_result_does_not_count(tmp_path: Path) -> None:
    """What is assigned, lost, moved, ended and fenced off stands there; nothing of it is wrong."""
    log = tmp_path / "log"
    end = configure_logging("debug", LogFormat.JSON, log)
    core = Journalled()
    core.join("w1")
    lease = core.run("o1")
    core.join("w2")
    core.now += 2.5
    core.beat("w2")
    core.now += 2.0
    moved = assigned(core.tick())
    core.join("w1")
    core.finish(lease)
    core.finish(moved)
    end()
    lines = read_journal(log)
    told = [line.event for line in lines]
    assert told == [
        "worker_came", "operation_submitted", "lease_assigned", "worker_came", "worker_given_up",
        "lease_assigned", "worker_came", "lease_finished", "lease_finished", "action_ended",
    ]  # fmt: skip
    assert [line.fields["counts"] for line in lines if line.event == "lease_finished"] == [
        False,
        True,
    ]
    assert wrongs(lines) == []
    assert loss_of(lines, "w1", lines[0].at).moved[0] < 1


async def test_an_end_is_told_when_no_crash_can_take_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until its result is in the cache, the journal has the lease's end and not the action's."""
    log, asked, may_go_on = tmp_path / "log", asyncio.Event(), asyncio.Event()
    put = SqliteActionCache.put

    async def slow_put(cache: SqliteActionCache, space: Namespace, *entries: CacheEntry) -> None:
        asked.set()
        await may_go_on.wait()
        await put(cache, space, *entries)

    monkeypatch.setattr(SqliteActionCache, "put", slow_put)
    end = configure_logging("debug", LogFormat.JSON, log)

    def told() -> list[str]:
        return [line.event for line in read_journal(log)]

    async with live_coordinator(tmp_path, log_level="debug") as coordinator:
        worker = await FakeWorker.join(await coordinator.token(Peer.WORKER))
        client = await FakeClient.join(await coordinator.token(Peer.CLIENT))
        action, blobs = compile_action()
        await client.upload(*blobs)
        name = client.request(action)
        await asyncio.wait_for(asked.wait(), 10)
        assert "lease_finished" in told()
        assert "action_ended" not in told()
        may_go_on.set()
        assert isinstance(await client.verdict(name), JobComplete)
        assert told().count("action_ended") == 1
        await worker.leave()
        await client.leave()
    end()


def test_wrongs_are_found(tmp_path: Path) -> None:
    """An action that ends twice or is given out after its end, a lease with two results."""

    def line(event: str, **fields: object) -> str:
        return json.dumps({"event": event, "timestamp": "2026-01-01T00:00:00Z", **fields}) + "\n"

    ended = line("action_ended", action="a", succeeded=True)
    failed = line("action_ended", action="b", succeeded=False)
    given = line("lease_assigned", action="a", worker="w", lease="1")
    other = line("lease_assigned", action="b", worker="w", lease="1")
    counted = line("lease_finished", lease="1", counts=True)
    fenced = line("lease_finished", lease="1", counts=False)

    def found(*texts: str) -> list[str]:
        log = tmp_path / "log"
        log.write_text("".join(texts) + '{"torn')
        return wrongs(read_journal(log))

    assert found(given, counted, ended, fenced, failed, other, failed) == []
    assert len(found(ended, ended)) == 1
    assert len(found(ended, given)) == 1
    assert len(found(counted, counted)) == 1
    assert len(found(line("task_failed", level="error"))) == 1
    assert isinstance(read_journal(tmp_path / "log")[0], Line)
