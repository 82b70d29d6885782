"""The work of a lease, stage by stage: what is fetched, executed, delivered and let go."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cyxmake_common.action import ActionResult
from cyxmake_common.digest import Digest
from cyxmake_common.errors import (
    BlobMissing,
    ConnectionLost,
    ProtocolError,
    SandboxError,
    StoreFull,
)
from cyxmake_common.ids import LeaseId
from cyxmake_common.outcome import Cause, OutcomeKind
from cyxmake_common.protocol.messages import LeaseReject, LeaseResult
from support.host_programs import with_libraries
from support.worker_bench import Bench, bench
from support.worker_client import Job, Project

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the namespace sandbox")

LEASE = LeaseId("L")


@pytest.fixture(scope="module")
def shell() -> Project:
    """Return a project whose commands are shell scripts."""
    found = with_libraries(("/bin/sh", "/bin/sleep"))
    return Project(programs={path: Path(os.path.realpath(path)) for path in found})


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Bench]:
    """Open a worker's rooms."""
    async with bench(tmp_path, seconds=20) as opened:
        yield opened


def script(project: Project, text: str, *outputs: str) -> Job:
    """Return the job of a shell script."""
    return project.job(("/bin/sh", "-c", text), outputs)


async def test_every_blob_of_a_result_is_delivered_before_it_is_told(
    room: Bench, shell: Project
) -> None:
    """Files, stdout and stderr are on the far side when the report is made."""
    done = await room.run(script(shell, "echo out; echo err >&2; echo x > made", "made"))
    result = ActionResult.from_bytes(done.result)
    assert done.kind is OutcomeKind.TOOL
    assert result.worker == "bench"
    assert {Digest.of(b"out\n"), Digest.of(b"err\n"), Digest.of(b"x\n")} == result.blobs()
    assert result.blobs() == room.far.uploaded
    again = await room.run(script(shell, "echo out; exit 2"))
    assert ActionResult.from_bytes(again.result).exit_code == 2
    assert room.far.uploaded == result.blobs(), "what the far side has is not sent again"


async def test_inputs_are_fetched_once_for_all_actions_on_a_root(
    room: Bench, shell: Project
) -> None:
    """The second action fetches its own two blobs and nothing else."""
    await room.run(script(shell, "exit 0"))
    before = len(room.far.fetched)
    await room.run(script(shell, "exit 1"))
    assert len(room.far.fetched) - before == 2


async def test_missing_inputs_hand_the_lease_back_with_their_names(
    room: Bench, shell: Project
) -> None:
    """The client can then bring exactly those."""
    job = script(shell, "exit 0")
    lost = Digest.of_file(next(iter(shell.programs.values())))
    room.far.blobs.update({d: b for d, b in job.blobs.items() if d != lost})
    report = await room.work.prepare(LEASE, job.digest)
    assert isinstance(report, LeaseReject)
    assert (report.reason, report.missing) == ("missing-inputs", (lost,))
    room.far.blobs.update(job.blobs)
    assert await room.work.prepare(LEASE, job.digest) is None
    unknown = await room.work.prepare(LeaseId("other"), Digest.of(b"no such action"))
    assert isinstance(unknown, LeaseReject)
    room.work.forget(LEASE)
    room.work.forget(LeaseId("other"))


async def test_a_cut_connection_interrupts_and_loses_nothing(room: Bench, shell: Project) -> None:
    """Fetching and delivering go on where they were; the command runs once."""
    job = script(shell, "echo once > made", "made")
    room.far.blobs.update(job.blobs)
    room.far.cut = True
    with pytest.raises(ConnectionLost):
        await room.work.prepare(LEASE, job.digest)
    room.far.cut = False
    assert await room.work.prepare(LEASE, job.digest) is None
    await room.work.execute(LEASE)
    room.far.cut = True
    with pytest.raises(ConnectionLost):
        await room.work.upload(LEASE)
    room.far.cut = False
    report = await room.work.upload(LEASE)
    assert isinstance(report, LeaseResult)
    assert report.kind is OutcomeKind.TOOL
    room.work.forget(LEASE)


async def test_a_forgotten_lease_pins_nothing(room: Bench, shell: Project) -> None:
    """The store may evict what no lease needs any more."""
    before = room.store.stats().pinned_blobs
    await room.run(script(shell, "echo x > made", "made"))
    assert room.store.stats().pinned_blobs == before
    room.work.forget(LeaseId("never seen"))


async def test_damaged_actions_are_reported_as_such(room: Bench) -> None:
    """Bytes that are no Action are nobody's verdict."""
    data = b"\xff\xff no action"
    room.far.blobs[Digest.of(data)] = data
    with pytest.raises(ProtocolError) as caught:
        await room.work.prepare(LEASE, Digest.of(data))
    report = room.work.failed(LEASE, caught.value)
    assert isinstance(report, LeaseResult)
    assert (report.kind, report.cause) == (OutcomeKind.INFRASTRUCTURE, Cause.PROTOCOL)
    room.work.forget(LEASE)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (BlobMissing("gone"), Cause.MISSING_INPUT),
        (StoreFull("full"), Cause.DISK),
        (SandboxError("no namespaces"), Cause.SANDBOX),
        (ProtocolError("nonsense"), Cause.PROTOCOL),
        (RuntimeError("a bug"), Cause.NONE),
    ],
)
async def test_failures_of_ours_never_look_like_verdicts(
    room: Bench, error: Exception, cause: Cause
) -> None:
    """Each is infrastructure, with its cause and the worker's name."""
    report = room.work.failed(LEASE, error)
    assert isinstance(report, LeaseResult)
    assert (report.kind, report.cause) == (OutcomeKind.INFRASTRUCTURE, cause)
    assert report.detail.startswith("bench: ")
