"""Why actions fail, and workers that cannot work, through a real coordinator and its messages."""

from __future__ import annotations

from cyxmake_common.action import ActionResult
from cyxmake_common.digest import Digest
from cyxmake_common.outcome import Cause, OutcomeKind
from cyxmake_common.protocol.messages import (
    JobComplete,
    JobFailed,
    JobReject,
    LeaseOffer,
    LeaseResult,
    Status,
    StatusGet,
)
from support.coordinators import Cluster
from support.peers import FakeClient, FakeWorker, compile_action, worker_facts

_CRASH = b"gcc: internal compiler error: Segmentation fault signal terminated program cc1\n"
_OUTPUT = b"src/a.c:3:10: fatal error: pcap.h: No such file or directory\n"


async def lacks_a_header(worker: FakeWorker, offer: LeaseOffer) -> LeaseResult:
    """Report a compile that failed for a header."""
    return await failed(worker, offer, _OUTPUT)


async def crashes(worker: FakeWorker, offer: LeaseOffer) -> LeaseResult:
    """Report a compiler that crashed, as it may where the memory is bad."""
    return await failed(worker, offer, _CRASH)


async def failed(worker: FakeWorker, offer: LeaseOffer, said: bytes) -> LeaseResult:
    """Report a tool that failed with a message."""
    await worker.upload(said)
    result = ActionResult(1, stderr=Digest.of(said), seconds=0.1)
    kind, data = OutcomeKind.TOOL, result.to_bytes()
    return LeaseResult(lease=offer.lease, epoch=offer.epoch, kind=kind, result=data)


async def has_no_room(_worker: FakeWorker, offer: LeaseOffer) -> LeaseResult:
    """Report an action that ended on a full disk."""
    kind, cause = OutcomeKind.RESOURCE, Cause.DISK
    return LeaseResult(lease=offer.lease, epoch=offer.epoch, kind=kind, cause=cause)


async def status_of(client: FakeClient) -> Status:
    """Ask for a picture of the cluster."""
    answer = await client.control.request(StatusGet())
    assert isinstance(answer, Status)
    return answer


async def test_failures_are_grouped_in_the_status(cluster: Cluster) -> None:
    """Two units, one cause; who builds in another namespace sees nothing of it."""
    await cluster.worker(script=lacks_a_header)
    for source in ("int one;", "int two;"):
        action, blobs = compile_action(source)
        await cluster.client.upload(*blobs)
        verdict = await cluster.client.build(action)
        assert isinstance(verdict, JobComplete)
    (cause,) = (await status_of(cluster.client)).causes
    assert (cause.category, cause.line) == ("missing_header", "missing header: pcap.h")
    assert (cause.failures, cause.workers) == (2, ("w1",))
    stranger = await cluster.another_client("others")
    assert (await status_of(stranger)).causes == ()


async def test_a_worker_that_crashes_alone_costs_no_build(cluster: Cluster) -> None:
    """Whoever gets an action first, the client hears the success; the bad worker is found out."""
    await cluster.worker(crashes, worker_facts("bad", slots=1))
    await cluster.worker(facts=worker_facts("good", slots=1))
    for number in range(8):
        action, blobs = compile_action(f"int a{number};")
        await cluster.client.upload(*blobs)
        verdict = await cluster.client.build(action)
        assert isinstance(verdict, JobComplete)
        assert ActionResult.from_bytes(verdict.result).exit_code == 0
        assert verdict.worker == "good"
    status = await status_of(cluster.client)
    counted = {counter.name: counter.value for counter in status.counters}
    assert counted["faults"] == counted["doubted"] > 0
    assert status.causes == ()


async def test_a_cluster_of_full_disks_gives_everything_back(cluster: Cluster) -> None:
    """One action finds that out; the next one is refused with the reason."""
    await cluster.worker(script=has_no_room)
    answers = []
    for source in ("int one;", "int two;"):
        action, blobs = compile_action(source)
        await cluster.client.upload(*blobs)
        answers.append(await cluster.client.build(action))
    first, second = answers
    assert isinstance(first, JobFailed)
    assert first.cause is Cause.DISK
    assert isinstance(second, JobReject)
    assert "w1 (disk-full)" in second.detail
    (worker,) = (await status_of(cluster.client)).workers
    assert worker.condition == "disk-full"
