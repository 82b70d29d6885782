"""The doors of a live coordinator: plain GETs, foreign sessions, peers that cannot be right."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cyxmake_common.digest import Digest
from cyxmake_common.errors import CyxError, Denied, DigestMismatch
from cyxmake_common.net.authority import authority_pem
from cyxmake_common.net.token import split_address
from cyxmake_common.net.wss import Introduction, connect
from cyxmake_common.outcome import OutcomeKind
from cyxmake_common.protocol.bulk import BatchPut, SmallBlob
from cyxmake_common.protocol.messages import (
    Channel,
    Drain,
    Heartbeat,
    JobComplete,
    JobFailed,
    LeaseOffer,
    LeaseReject,
    LeaseResult,
    Peer,
    RunningLease,
    StatusGet,
)
from support.coordinators import LiveCoordinator, live_coordinator
from support.peers import FakeClient, FakeWorker, compile_action, hang, success, worker_facts


@pytest.fixture
async def coordinator(tmp_path: Path) -> AsyncIterator[LiveCoordinator]:
    """A serving coordinator."""
    async with live_coordinator(tmp_path) as live:
        yield live


async def get(live: LiveCoordinator, path: str) -> tuple[int, bytes]:
    """GET a path over HTTPS; return status and body."""
    context = ssl.create_default_context(cadata=authority_pem(live.data.tls).decode())
    host, port = split_address(live.address)
    reader, writer = await asyncio.open_connection(
        host, port, ssl=context, server_hostname="coordinator.cyxmake"
    )
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


async def test_plain_gets(coordinator: LiveCoordinator) -> None:
    """Health and the authority are for everyone; nothing else is there."""
    assert await get(coordinator, "/healthz?verbose") == (200, b"ok\n")
    assert await get(coordinator, "/ca.pem") == (200, authority_pem(coordinator.data.tls))
    for path in ("/", "/status.json", "/../coordinator.db"):
        assert (await get(coordinator, path))[0] == 404


async def test_a_bulk_connection_cannot_join_another_tokens_session(
    coordinator: LiveCoordinator,
) -> None:
    """A session belongs to its token; with its own token, a second connection is welcome."""
    mine, theirs = [await coordinator.token(Peer.CLIENT) for _ in range(2)]
    client = await FakeClient.join(mine)
    bulk = Introduction(Channel.BULK, session=client.control.session)
    with pytest.raises(Denied, match="not accepted"):
        await connect(theirs, bulk)
    await (await connect(mine, bulk)).close()
    await client.leave()


async def test_three_wrong_blobs_end_the_session(coordinator: LiveCoordinator) -> None:
    """Bytes that are not what their digest says are refused each time; the third is the last."""
    worker = await FakeWorker.join(await coordinator.token(Peer.WORKER))
    bulk = await worker.bulk()
    wrong = BatchPut(blobs=(SmallBlob(digest=Digest.of(b"right"), data=b"wrong"),))
    for _ in range(3):
        with pytest.raises(DigestMismatch):
            await bulk.request(wrong)
    await worker.closed()
    await bulk.close()
    await worker.leave()


async def test_results_that_cannot_be_read_are_no_results(coordinator: LiveCoordinator) -> None:
    """Garbage, and a verdict without a result, are the worker's fault and not the tool's."""
    garbage = iter((b"\xff\xff", b""))

    async def answer(_worker: FakeWorker, offer: LeaseOffer) -> LeaseResult:
        return LeaseResult(
            lease=offer.lease, epoch=offer.epoch, kind=OutcomeKind.TOOL, result=next(garbage)
        )

    worker = await FakeWorker.join(await coordinator.token(Peer.WORKER), answer)
    client = await FakeClient.join(await coordinator.token(Peer.CLIENT))
    for part in ("cannot be read", "without a result"):
        action, blobs = compile_action(part)
        await client.upload(*blobs)
        verdict = await client.build(action)
        assert isinstance(verdict, JobFailed)
        assert verdict.kind is OutcomeKind.INFRASTRUCTURE
        assert part in verdict.detail
    await worker.leave()
    await client.leave()


async def test_only_an_administrator_drains(coordinator: LiveCoordinator) -> None:
    """A client that asks is told so, and the worker works on."""
    client = await FakeClient.join(await coordinator.token(Peer.CLIENT))
    with pytest.raises(Denied, match="administrator"):
        await client.control.request(Drain(worker="w1"))
    await client.leave()


async def test_signs_of_life_are_answered(coordinator: LiveCoordinator) -> None:
    """Both kinds of peer can tell a dead coordinator from a quiet one."""
    client = await FakeClient.join(await coordinator.token(Peer.CLIENT))
    worker = await FakeWorker.join(await coordinator.token(Peer.WORKER))
    for peer in (client, worker):
        assert isinstance(await peer.control.request(Heartbeat()), Heartbeat)
    await worker.leave()
    await client.leave()


async def test_a_silent_worker_is_let_go(tmp_path: Path) -> None:
    """No heartbeat for the time-out means a goodbye, and the action goes to somebody else."""
    async with live_coordinator(
        tmp_path, worker_timeout_seconds=1.0, heartbeat_seconds=0.2
    ) as coordinator:
        token = await coordinator.token(Peer.WORKER)
        mute = await FakeWorker.join(token, hang, worker_facts("mute"))
        mute.stop_beating()
        client = await FakeClient.join(await coordinator.token(Peer.CLIENT))
        action, blobs = compile_action()
        await client.upload(*blobs)
        name = client.request(action)
        await asyncio.wait_for(mute.offered.wait(), 5)
        other = await FakeWorker.join(token, facts=worker_facts("other"))
        verdict = await client.verdict(name)
        assert isinstance(verdict, JobComplete)
        assert verdict.worker == "other"
        assert (await asyncio.wait_for(mute.goodbye, 5)).reason == "silent"
        for peer in (mute, other, client):
            await peer.leave()


async def test_a_worker_that_comes_back_keeps_its_lease(coordinator: LiveCoordinator) -> None:
    """The connection breaks, the command runs on; the result counts when the worker is back."""
    token = await coordinator.token(Peer.WORKER)
    worker = await FakeWorker.join(token, hang)
    client = await FakeClient.join(await coordinator.token(Peer.CLIENT))
    action, blobs = compile_action()
    await client.upload(*blobs)
    name = client.request(action)
    await asyncio.wait_for(worker.offered.wait(), 5)
    offer = worker.offers[0]
    running = RunningLease(lease=offer.lease, epoch=offer.epoch, action=offer.action)
    # Its new session is there before the old one is known to be gone.
    again = await FakeWorker.join(token, hang, running=(running,))
    assert (await asyncio.wait_for(worker.goodbye, 5)).reason == "replaced"
    await again.upload(b"object")
    again.end(success(offer, b"object"))
    verdict = await client.verdict(name)
    assert isinstance(verdict, JobComplete)
    assert verdict.attempts == 1
    assert not again.offers
    for peer in (worker, again, client):
        await peer.leave()


async def test_a_reason_of_a_newer_worker_means_unsupported(coordinator: LiveCoordinator) -> None:
    """An unknown word in a refusal is no protocol error."""

    async def refuse(_worker: FakeWorker, offer: LeaseOffer) -> LeaseReject:
        return LeaseReject(lease=offer.lease, epoch=offer.epoch, reason="moon-phase")

    worker = await FakeWorker.join(await coordinator.token(Peer.WORKER), refuse)
    client = await FakeClient.join(await coordinator.token(Peer.CLIENT))
    action, blobs = compile_action()
    await client.upload(*blobs)
    verdict = await client.build(action)
    assert isinstance(verdict, JobFailed)
    assert "unsupported" in verdict.detail
    assert not worker.control.closed.is_set()
    for peer in (worker, client):
        await peer.leave()


async def test_a_cancel_that_overtakes_the_preparation(coordinator: LiveCoordinator) -> None:
    """An operation cancelled right after its request ends once, as cancelled."""
    worker = await FakeWorker.join(await coordinator.token(Peer.WORKER), hang)
    client = await FakeClient.join(await coordinator.token(Peer.CLIENT))
    action, blobs = compile_action()
    await client.upload(*blobs)
    name = client.request(action)
    client.cancel(name)
    verdict = await client.verdict(name)
    assert isinstance(verdict, JobFailed)
    assert verdict.kind is OutcomeKind.CANCELLED
    await client.control.request(StatusGet())
    assert [m for m in client.told[name] if isinstance(m, JobComplete | JobFailed)] == [verdict]
    for peer in (worker, client):
        await peer.leave()


async def test_many_operations_of_one_client(coordinator: LiveCoordinator) -> None:
    """More requests at once than are prepared at once are all answered."""
    worker = await FakeWorker.join(
        await coordinator.token(Peer.WORKER), facts=worker_facts(slots=64)
    )
    client = await FakeClient.join(await coordinator.token(Peer.CLIENT))
    made = [compile_action(f"int a{number};") for number in range(400)]
    await client.upload(*{blob for _, blobs in made for blob in blobs})
    names = [client.request(action) for action, _ in made]
    for name in names:
        assert isinstance(await client.verdict(name), JobComplete)
    for peer in (worker, client):
        await peer.leave()


async def test_a_question_that_fails_is_answered_by_an_error(coordinator: LiveCoordinator) -> None:
    """A message that nobody may send here is refused without ending the connection's answers."""
    client = await FakeClient.join(await coordinator.token(Peer.ADMIN))
    with pytest.raises(CyxError, match="no worker named"):
        await client.control.request(Drain(worker="nobody"))
    assert await client.control.request(StatusGet())
    await client.leave()
