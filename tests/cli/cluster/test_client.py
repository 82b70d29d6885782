"""A client and a real coordinator: what travels with an action, and a coordinator started anew."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from cyxmake_cli.cluster.client import ClusterClient, Connected
from cyxmake_cli.cluster.way import Way
from cyxmake_common.action import ActionResult
from cyxmake_common.digest import Digest
from cyxmake_common.errors import ConnectionLost
from cyxmake_common.protocol.messages import JobComplete, LeaseOffer, LeaseResult, Peer
from support.coordinators import live_coordinator
from support.peers import FakeWorker, compile_action, succeed, worker_facts
from support.slow_link import slow_link


class Ranked(Way):
    """A way of some rank that remembers who ran it."""

    def __init__(self, rank: float) -> None:
        self.rank = rank
        self.workers: list[str] = []

    def executing(self, worker: str) -> None:
        """Note who runs it."""
        self.workers.append(worker)


async def test_ranks_decide_who_is_next(tmp_path: Path) -> None:
    """Of what waits the coordinator begins that first for whose end the most work waits."""
    gate, order = asyncio.Event(), list[Digest]()

    async def in_order(worker: FakeWorker, offer: LeaseOffer) -> LeaseResult:
        order.append(offer.action)
        await gate.wait()
        return await succeed(worker, offer)

    async with live_coordinator(tmp_path) as coordinator:
        client = await ClusterClient.connect(await coordinator.token(Peer.CLIENT), tmp_path)
        token = await coordinator.token(Peer.WORKER)
        async with await FakeWorker.join(token, in_order, worker_facts(slots=1)) as worker:
            made = [compile_action(name) for name in ("first", "second", "low", "high", "middle")]
            for _, blobs in made:
                await client.blobs.put_many([(Digest.of(blob), blob) for blob in blobs])
            ways = [Ranked(rank) for rank in (0, 0, 1, 9, 5)]
            tasks = []
            for (digest, _), way in zip(made, ways, strict=True):
                tasks.append(asyncio.create_task(client.execute(digest, way=way)))
                while len(worker.offers) < min(2, len(tasks)):  # one runs, one is ahead
                    await asyncio.sleep(0.01)
            await client.status()  # behind the requests, on the same connection
            gate.set()
            answers = await asyncio.gather(*tasks)
        await client.close()
    assert all(isinstance(answer, JobComplete) for answer in answers)
    names = {digest: name for (digest, _), name in zip(made, "12lhm", strict=True)}
    assert [names[digest] for digest in order] == ["1", "2", "h", "m", "l"]
    assert ways[3].workers == ["w1"]


async def test_a_coordinator_started_anew(tmp_path: Path) -> None:
    """Operations and questions go on with a coordinator that was away for a moment."""
    heard: list[Connected] = []
    digest, blobs = compile_action("one")
    async with live_coordinator(tmp_path) as coordinator:
        port = int(coordinator.address.rpartition(":")[2])
        token = await coordinator.token(Peer.CLIENT)
        joining = await coordinator.token(Peer.WORKER)
        client = await ClusterClient.connect(token, tmp_path, patience=30)
        client.hears = heard.append
        await client.blobs.put_many([(Digest.of(blob), blob) for blob in blobs])

        async def never(_worker: FakeWorker, _offer: LeaseOffer) -> None:
            return None

        worker = await FakeWorker.join(joining, never)
        waiting = asyncio.create_task(client.execute(digest))
        await asyncio.wait_for(worker.offered.wait(), 10)
        await client.status()  # so that it knows for whom to wait
        await worker.leave()
    while Connected.AWAY not in heard:
        await asyncio.sleep(0.01)
    question = asyncio.create_task(client.missing([Digest.of(b"nowhere")]))
    await asyncio.sleep(0.1)
    assert not question.done()
    assert not waiting.done()
    async with live_coordinator(tmp_path, port=port) as coordinator:
        async with await FakeWorker.join(joining) as worker:
            answer = await asyncio.wait_for(waiting, 20)
            assert isinstance(answer, JobComplete)
            assert ActionResult.from_bytes(answer.result).exit_code == 0
            assert await question == {Digest.of(b"nowhere")}
            assert heard == [Connected.AWAY, Connected.BACK]
            assert len(worker.offers) == 1
        await client.close()


async def test_a_broken_connection(tmp_path: Path) -> None:
    """A line that breaks while an action runs: it goes on, and its client gets the result."""
    heard: list[Connected] = []
    gate = asyncio.Event()

    async def patiently(worker: FakeWorker, offer: LeaseOffer) -> LeaseResult:
        await gate.wait()
        return await succeed(worker, offer)

    digest, blobs = compile_action("one")
    async with live_coordinator(tmp_path) as coordinator:
        token = await coordinator.token(Peer.CLIENT)
        joining = await coordinator.token(Peer.WORKER)
        port = int(coordinator.address.rpartition(":")[2])
        with slow_link(port, round_trip=0.001, bits_per_second=1e9) as line:
            there = replace(token, address=f"wss://127.0.0.1:{line.port}")
            client = await ClusterClient.connect(there, tmp_path, patience=30)
            client.hears = heard.append
            await client.blobs.put_many([(Digest.of(blob), blob) for blob in blobs])
            async with await FakeWorker.join(joining, patiently) as worker:
                waiting = asyncio.create_task(client.execute(digest))
                await asyncio.wait_for(worker.offered.wait(), 10)
                line.cut()
                while Connected.BACK not in heard:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(3.5)  # by now the coordinator has given up the old session
                gate.set()
                assert isinstance(await asyncio.wait_for(waiting, 10), JobComplete)
                assert (len(worker.offers), worker.revoked) == (1, [])
            await client.close()


async def test_a_coordinator_that_stays_away(tmp_path: Path) -> None:
    """After the limit everything that waits fails, and what comes later at once."""
    heard: list[Connected] = []
    digest, blobs = compile_action("one")
    async with live_coordinator(tmp_path) as coordinator:
        client = await ClusterClient.connect(
            await coordinator.token(Peer.CLIENT), tmp_path, patience=0.5
        )
        client.hears = heard.append
        await client.blobs.put_many([(Digest.of(blob), blob) for blob in blobs])
        token = await coordinator.token(Peer.WORKER)
        async with await FakeWorker.join(token, None, worker_facts(slots=1)) as worker:
            worker.stop_beating()
    waiting = asyncio.create_task(client.execute(digest))
    with pytest.raises(ConnectionLost):
        await asyncio.wait_for(waiting, 20)
    with pytest.raises(ConnectionLost):
        await client.missing([digest])
    assert heard == [Connected.AWAY, Connected.GONE]
    await client.close()
