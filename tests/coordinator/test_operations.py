"""Operations through a real coordinator, over real TLS, with scripted peers at both ends."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from cyxmake_common.action import TOOLCHAIN, ActionResult, Directory, OutputFile
from cyxmake_common.digest import EMPTY, Digest
from cyxmake_common.errors import BlobMissing
from cyxmake_common.outcome import Cause, OutcomeKind
from cyxmake_common.protocol.messages import (
    ActionCacheEntries,
    ActionCacheGet,
    Artifacts,
    ArtifactsGet,
    CacheEntry,
    Drain,
    FindMissing,
    JobComplete,
    JobFailed,
    JobProgress,
    JobReject,
    JobRequest,
    LeaseOffer,
    LeaseReject,
    LeaseResult,
    Missing,
    Peer,
    Status,
    StatusGet,
    ToolchainFacts,
    WorkerFacts,
)
from support.coordinators import Cluster, live_coordinator
from support.peers import (
    FakeClient,
    FakeWorker,
    compile_action,
    hang,
    succeed,
    success,
    worker_facts,
)


async def test_an_action_runs_and_its_result_reaches_the_client(cluster: Cluster) -> None:
    """The client hears of every stage, and the outputs are in the store when it hears the end."""
    await cluster.worker()
    action, blobs = compile_action()
    await cluster.client.upload(*blobs)
    name = cluster.client.request(action)
    verdict = await cluster.client.verdict(name)
    assert isinstance(verdict, JobComplete)
    result = ActionResult.from_bytes(verdict.result)
    assert (verdict.cached, verdict.worker, result.worker) == (False, "w1", "w1")
    assert await cluster.client.blobs.get_bytes(result.outputs[0].digest)
    stages = [m.stage for m in cluster.client.told[name] if isinstance(m, JobProgress)]
    assert stages == ["executing"]


async def test_the_second_request_is_answered_from_the_cache(cluster: Cluster) -> None:
    """An equal action is not run again, unless the client asks for that."""
    worker = await cluster.worker()
    action, blobs = compile_action()
    await cluster.client.upload(*blobs)
    await cluster.client.build(action)
    again = await cluster.client.build(action)
    assert isinstance(again, JobComplete)
    assert again.cached
    assert len(worker.offers) == 1
    forced = await cluster.client.build(action, skip_cache=True)
    assert isinstance(forced, JobComplete)
    assert not forced.cached
    assert len(worker.offers) == 2


async def test_do_not_cache_is_kept(cluster: Cluster) -> None:
    """An action that must not be cached runs each time."""
    worker = await cluster.worker()
    action, blobs = compile_action(do_not_cache=True)
    await cluster.client.upload(*blobs)
    for _ in range(2):
        verdict = await cluster.client.build(action)
        assert isinstance(verdict, JobComplete)
        assert not verdict.cached
    assert len(worker.offers) == 2


async def test_a_failed_tool_is_a_verdict_but_never_cached(cluster: Cluster) -> None:
    """A compile error completes the operation; the next request runs it again."""

    async def fail(worker: FakeWorker, offer: LeaseOffer) -> LeaseResult:
        await worker.upload(b"error: no")
        return success(offer, b"error: no", exit_code=1)

    worker = await cluster.worker(fail)
    action, blobs = compile_action("int")
    await cluster.client.upload(*blobs)
    for _ in range(2):
        verdict = await cluster.client.build(action)
        assert isinstance(verdict, JobComplete)
        assert ActionResult.from_bytes(verdict.result).exit_code == 1
        assert not verdict.cached
    assert len(worker.offers) == 2


async def test_missing_blobs_are_named(cluster: Cluster) -> None:
    """Each try names what lacks, down to a file in a subdirectory; then the action is taken."""
    await cluster.worker()
    action, blobs = compile_action()
    by_digest = {Digest.of(blob): blob for blob in blobs}
    tries = 0
    while True:
        verdict = await cluster.client.build(action)
        if not isinstance(verdict, JobReject):
            break
        assert verdict.code == "missing-blobs"
        assert verdict.missing
        await cluster.client.upload(*(by_digest[digest] for digest in verdict.missing))
        tries += 1
    assert isinstance(verdict, JobComplete)
    assert tries == 4  # the action; its command and root; the directory below; the file


async def test_no_worker(cluster: Cluster) -> None:
    """Without a worker the operation is refused at once, not queued for ever."""
    action, blobs = compile_action()
    await cluster.client.upload(*blobs)
    verdict = await cluster.client.build(action)
    assert isinstance(verdict, JobReject)
    assert verdict.code == "no-worker"


async def test_requirements_leave_our_own_properties_out(cluster: Cluster) -> None:
    """A worker must offer the platform, but nothing whose name is ours."""
    await cluster.worker(facts=worker_facts(OSFamily="linux"))
    fits, blobs = compile_action(
        "fits", platform=[("OSFamily", "linux"), ("cyxmake-root", "/home/me")]
    )
    other, more = compile_action("other", platform=[("OSFamily", "plan9")])
    await cluster.client.upload(*blobs, *more)
    assert isinstance(await cluster.client.build(fits), JobComplete)
    verdict = await cluster.client.build(other)
    assert isinstance(verdict, JobReject)
    assert "OSFamily=plan9" in verdict.detail


async def test_missing_toolchain_is_asked_for_and_then_used(cluster: Cluster) -> None:
    """The reject names the tree's blobs; when they are there, every worker may run the action."""
    await cluster.worker()
    compiler = b"\x7fELF a compiler"
    tree = Directory(files=(("cc", Digest.of(compiler), True),)).to_bytes()
    action, blobs = compile_action(platform=[(TOOLCHAIN, str(Digest.of(tree)))])
    await cluster.client.upload(*blobs)
    verdict = await cluster.client.build(action)
    assert isinstance(verdict, JobReject)
    assert (verdict.code, verdict.missing) == ("missing-toolchain", (Digest.of(tree),))
    await cluster.client.upload(tree)
    verdict = await cluster.client.build(action)
    assert isinstance(verdict, JobReject)
    assert (verdict.code, verdict.missing) == ("missing-toolchain", (Digest.of(compiler),))
    await cluster.client.upload(compiler)
    assert isinstance(await cluster.client.build(action), JobComplete)


async def test_a_worker_that_has_the_toolchain_needs_no_upload(cluster: Cluster) -> None:
    """A toolchain that stands ready on a worker need not be in the store."""
    id_ = Digest.of(b"the tree of a compiler")
    facts = WorkerFacts(name="w1", slots=1, toolchains=(ToolchainFacts(id=id_, kind="gcc"),))
    await cluster.worker(facts=facts)
    action, blobs = compile_action(platform=[(TOOLCHAIN, str(id_))])
    await cluster.client.upload(*blobs)
    assert isinstance(await cluster.client.build(action), JobComplete)


async def test_single_flight(cluster: Cluster) -> None:
    """Equal actions of two clients run once; both get the result, one is told of the merge."""
    go = asyncio.Event()

    async def wait(worker: FakeWorker, offer: LeaseOffer) -> LeaseResult:
        await go.wait()
        return await succeed(worker, offer)

    worker = await cluster.worker(wait)
    other = await cluster.another_client()
    action, blobs = compile_action()
    await cluster.client.upload(*blobs)
    first = cluster.client.request(action)
    assert not (await cluster.client.accepted(first)).merged
    second = other.request(action)
    assert (await other.accepted(second)).merged
    go.set()
    for client, name in ((cluster.client, first), (other, second)):
        assert isinstance(await client.verdict(name), JobComplete)
    assert len(worker.offers) == 1


async def test_namespaces_share_nothing(cluster: Cluster) -> None:
    """A result of one namespace is not seen in another."""
    worker = await cluster.worker()
    other = await cluster.another_client("team-b")
    action, blobs = compile_action()
    await cluster.client.upload(*blobs)
    await cluster.client.build(action)
    verdict = await other.build(action)
    assert isinstance(verdict, JobComplete)
    assert not verdict.cached
    assert len(worker.offers) == 2


async def test_a_result_without_its_blobs_is_run_elsewhere(cluster: Cluster) -> None:
    """A worker that reports outputs it never uploaded is not believed; the next one is."""

    async def lie(_worker: FakeWorker, offer: LeaseOffer) -> LeaseResult:
        return success(offer, b"never uploaded")

    liar = await cluster.worker(lie, worker_facts("a-liar", slots=8))
    action, blobs = compile_action()
    await cluster.client.upload(*blobs)
    name = cluster.client.request(action)
    await asyncio.wait_for(liar.offered.wait(), 5)
    honest = await cluster.worker(facts=worker_facts("honest"))
    verdict = await cluster.client.verdict(name)
    if isinstance(verdict, JobFailed):  # the liar was alone for a moment too long
        assert verdict.kind is OutcomeKind.INFRASTRUCTURE
        verdict = await cluster.client.build(action)
    assert isinstance(verdict, JobComplete)
    assert verdict.worker == "honest"
    assert honest.offers


async def test_a_worker_that_keeps_lying_is_disconnected(cluster: Cluster) -> None:
    """The third result without blobs ends the worker's session."""

    async def lie(_worker: FakeWorker, offer: LeaseOffer) -> LeaseResult:
        return success(offer, b"never uploaded " + offer.lease.encode())

    liar = await cluster.worker(lie)
    for number in range(3):
        action, blobs = compile_action(f"int a{number};")
        await cluster.client.upload(*blobs)
        assert isinstance(await cluster.client.build(action), JobFailed)
    await liar.closed()
    assert "result without its blobs" in liar.control.close_reason


async def test_inputs_that_a_worker_misses_are_asked_of_the_client(cluster: Cluster) -> None:
    """A blob that is gone is named to the client; one that is there is the worker's fault."""
    action, blobs = compile_action()
    gone = Digest.of(b"evicted")

    async def miss(_worker: FakeWorker, offer: LeaseOffer) -> LeaseReject:
        return LeaseReject(
            lease=offer.lease, epoch=offer.epoch, reason="missing-inputs", missing=(gone,)
        )

    await cluster.worker(miss)
    await cluster.client.upload(*blobs)
    verdict = await cluster.client.build(action)
    assert isinstance(verdict, JobFailed)
    assert (verdict.cause, verdict.missing) == (Cause.MISSING_INPUT, (gone,))
    await cluster.client.upload(b"evicted")
    verdict = await cluster.client.build(action)
    assert isinstance(verdict, JobFailed)
    assert (verdict.kind, verdict.missing) == (OutcomeKind.INFRASTRUCTURE, ())


async def test_an_evicted_toolchain_is_asked_for_again(cluster: Cluster) -> None:
    """A worker could not fetch the toolchain: the client hears which blobs of its tree lack."""
    # Larger than what the coordinator keeps in memory.
    compiler = b"\x7fELF a compiler".ljust(20_000, b"x")
    tree = Directory(files=(("cc", Digest.of(compiler), True),)).to_bytes()
    action, blobs = compile_action(platform=[(TOOLCHAIN, str(Digest.of(tree)))])
    evicted = False

    async def miss(worker: FakeWorker, offer: LeaseOffer) -> LeaseResult:
        if evicted:
            return await succeed(worker, offer)
        (path,) = cluster.coordinator.data.cas.glob(f"blobs/*/{Digest.of(compiler).hash}-*")
        path.unlink()
        with pytest.raises(BlobMissing):
            await worker.blobs.get_bytes(Digest.of(compiler))
        return LeaseResult(
            lease=offer.lease,
            epoch=offer.epoch,
            kind=OutcomeKind.INFRASTRUCTURE,
            cause=Cause.MISSING_INPUT,
            missing=(Digest.of(compiler),),
        )

    await cluster.worker(miss)
    await cluster.client.upload(*blobs, tree, compiler)
    verdict = await cluster.client.build(action)
    assert isinstance(verdict, JobFailed)
    assert verdict.cause is Cause.MISSING_INPUT
    assert set(verdict.missing) == {Digest.of(compiler), Digest.of(tree)}
    evicted = True
    refused = await cluster.client.build(action)
    assert isinstance(refused, JobReject)
    assert (refused.code, refused.missing) == ("missing-toolchain", (Digest.of(compiler),))
    await cluster.client.upload(compiler)
    assert isinstance(await cluster.client.build(action), JobComplete)


async def test_a_worker_asks_and_drains_itself(cluster: Cluster) -> None:
    """A worker may look for blobs, see the cluster, and take no new work by its own wish."""
    worker = await cluster.worker()
    unknown = Digest.of(b"unknown")
    missing = await worker.control.request(FindMissing(digests=(unknown,)))
    assert missing == Missing(digests=(unknown,))
    assert isinstance(await worker.control.request(StatusGet()), Status)
    worker.control.send_soon(Drain(on=True))
    await worker.control.request(StatusGet())
    action, blobs = compile_action()
    await cluster.client.upload(*blobs)
    verdict = await cluster.client.build(action)
    assert isinstance(verdict, JobReject)
    assert verdict.code == "draining"


async def test_cancel_revokes_the_lease(cluster: Cluster) -> None:
    """A cancelled operation ends at once; the worker is told to stop."""
    worker = await cluster.worker(hang)
    action, blobs = compile_action()
    await cluster.client.upload(*blobs)
    name = cluster.client.request(action)
    await asyncio.wait_for(worker.offered.wait(), 5)
    cluster.client.cancel(name)
    verdict = await cluster.client.verdict(name)
    assert isinstance(verdict, JobFailed)
    assert verdict.kind is OutcomeKind.CANCELLED
    async with asyncio.timeout(5):
        while not worker.revoked:
            await worker.control.request(StatusGet())


async def test_a_client_that_leaves_cancels_its_operations(cluster: Cluster) -> None:
    """What nobody waits for is not run on."""
    worker = await cluster.worker(hang)
    other = await cluster.another_client()
    action, blobs = compile_action()
    await other.upload(*blobs)
    other.request(action)
    await asyncio.wait_for(worker.offered.wait(), 5)
    await other.leave()
    async with asyncio.timeout(5):
        while not worker.revoked:
            await worker.control.request(StatusGet())


async def test_a_lost_worker_means_another_worker(cluster: Cluster) -> None:
    """A lease ends with its worker's connection, and the action goes elsewhere."""
    first = await cluster.worker(hang, worker_facts("first"))
    action, blobs = compile_action()
    await cluster.client.upload(*blobs)
    name = cluster.client.request(action)
    await asyncio.wait_for(first.offered.wait(), 5)
    await cluster.worker(facts=worker_facts("second"))
    await first.leave()
    verdict = await cluster.client.verdict(name)
    assert isinstance(verdict, JobComplete)
    assert (verdict.worker, verdict.attempts) == ("second", 2)


async def test_the_workers_entry_is_found_under_its_key(cluster: Cluster) -> None:
    """A cache entry holds the verified result, whatever the worker wrote into it."""
    key, manifest = Digest.of(b"key"), Digest.of(b"manifest")

    async def with_entry(worker: FakeWorker, offer: LeaseOffer) -> LeaseResult:
        await worker.upload(b"object")
        entry = CacheEntry(key=key, manifest=manifest, paths=b"p", result=b"made up")
        return success(offer, b"object", entry=entry)

    await cluster.worker(with_entry)
    action, blobs = compile_action()
    await cluster.client.upload(*blobs)
    verdict = await cluster.client.build(action)
    assert isinstance(verdict, JobComplete)
    answer = await cluster.client.control.request(ActionCacheGet(keys=(key, EMPTY)))
    assert isinstance(answer, ActionCacheEntries)
    assert [(e.manifest, e.result) for e in answer.entries] == [(manifest, verdict.result)]


async def test_only_the_depfile_of_an_entry_may_be_a_template(cluster: Cluster) -> None:
    """Of the worker's own copy of a result one digest is taken: the named depfile's."""
    key, manifest = Digest.of(b"key"), Digest.of(b"manifest")
    template = Digest.of(b"template")

    async def with_entry(worker: FakeWorker, offer: LeaseOffer) -> LeaseResult:
        await worker.upload(b"object")
        await worker.upload(b"template")
        claimed = ActionResult(0, (OutputFile("a.o", template), OutputFile("b.o", template)))
        entry = CacheEntry(
            key=key, manifest=manifest, paths=b"p", depfile="a.o", layout="gcc",
            result=claimed.to_bytes(),
        )  # fmt: skip
        return success(offer, b"object", entry=entry)

    await cluster.worker(with_entry)
    action, blobs = compile_action()
    await cluster.client.upload(*blobs)
    assert isinstance(await cluster.client.build(action), JobComplete)
    answer = await cluster.client.control.request(ActionCacheGet(keys=(key,)))
    assert isinstance(answer, ActionCacheEntries)
    kept = ActionResult.from_bytes(answer.entries[0].result)
    assert kept.outputs == (OutputFile("a.o", template),)


async def test_artifacts_and_find_missing(cluster: Cluster) -> None:
    """Questions about the store are answered with what is there."""
    await cluster.worker()
    action, blobs = compile_action()
    await cluster.client.upload(*blobs)
    nothing = await cluster.client.control.request(ArtifactsGet(action=action))
    assert nothing == Artifacts(found=False)
    await cluster.client.build(action)
    answer = await cluster.client.control.request(ArtifactsGet(action=action))
    assert isinstance(answer, Artifacts)
    assert [artifact.path for artifact in answer.artifacts] == ["a.o"]
    unknown = Digest.of(b"unknown")
    missing = await cluster.client.control.request(FindMissing(digests=(action, unknown)))
    assert missing == Missing(digests=(unknown,))


async def test_a_duplicate_name_is_refused_and_the_first_goes_on(cluster: Cluster) -> None:
    """Two operations of one client cannot have one name."""
    worker = await cluster.worker(hang)
    action, blobs = compile_action()
    await cluster.client.upload(*blobs)
    name = cluster.client.request(action)
    await cluster.client.accepted(name)
    await asyncio.wait_for(worker.offered.wait(), 5)
    cluster.client.control.send_soon(JobRequest(operation=name, build="b", action=action))
    refusal = await cluster.client.heard(name, JobReject)
    assert isinstance(refusal, JobReject)
    assert refusal.code == "duplicate-operation"
    await worker.upload(b"x")
    worker.end(success(worker.offers[0], b"x"))
    assert isinstance(await cluster.client.heard(name, JobComplete), JobComplete)


async def test_status_counts(cluster: Cluster) -> None:
    """The picture of the cluster has its workers and its figures; administrators are no clients."""
    await cluster.worker(facts=worker_facts("big", slots=7))
    action, blobs = compile_action()
    await cluster.client.upload(*blobs)
    await cluster.client.build(action)
    admin = await FakeClient.join(await cluster.coordinator.token(Peer.ADMIN))
    status = await admin.control.request(StatusGet())
    await admin.leave()
    assert isinstance(status, Status)
    assert [(w.name, w.slots, w.completed) for w in status.workers] == [("big", 7, 1)]
    assert (status.clients, status.completed, status.queued) == (1, 1, 0)
    assert status.cas_blobs > 5


async def test_a_result_that_two_workers_deny_leaves_the_cache(tmp_path: Path) -> None:
    """An audit finds the worker that stands alone; what it made is built again by another."""

    key = Digest.of(b"reduced key")

    async def lie(worker: FakeWorker, offer: LeaseOffer) -> LeaseResult:
        await worker.upload(b"wrong")
        entry = CacheEntry(key=key, manifest=Digest.of(b"m"), paths=b"p", result=b"made up")
        return success(offer, b"wrong", entry=entry)

    async with (
        live_coordinator(tmp_path, audit_every=1) as coordinator,
        contextlib.AsyncExitStack() as stack,
    ):
        token = await coordinator.token(Peer.CLIENT)
        client = await stack.enter_async_context(await FakeClient.join(token))
        cluster = Cluster(coordinator, client, stack)
        await cluster.worker(lie)
        action, blobs = compile_action()
        await client.upload(*blobs)
        await client.build(action)
        for name in ("w2", "w3"):
            await cluster.worker(facts=worker_facts(name))
        async with asyncio.timeout(20):
            while True:
                status = await client.control.request(StatusGet())
                assert isinstance(status, Status)
                if any(worker.condition == "quarantined" for worker in status.workers):
                    break
                await asyncio.sleep(0.05)
        assert {c.name: c.value for c in status.counters}["quarantined"] == 1
        again = await client.build(action)
        assert isinstance(again, JobComplete)
        assert not again.cached
        assert again.worker in ("w2", "w3")
        entries = await client.control.request(ActionCacheGet(keys=(key,)))
        assert isinstance(entries, ActionCacheEntries)
        assert not entries.entries
