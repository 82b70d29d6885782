"""A worker's rooms without a network: real store, roots, sandbox and recorder, blobs from a dict.

Knows nothing of connections; the coordinator's side is a set of blobs and a list of questions.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cyxmake_common.cas.disk import DiskStore
from cyxmake_common.cas.store import BlobStore, write_all
from cyxmake_common.digest import Digest
from cyxmake_common.errors import ConnectionLost
from cyxmake_common.ids import LeaseId
from cyxmake_common.net.blobs import BlobSource
from cyxmake_common.protocol.messages import FindMissing, LeaseResult, Message, Missing
from cyxmake_worker.core.events import Report
from cyxmake_worker.entries import EntryRecorder
from cyxmake_worker.executors.sandboxed import ExecutorSettings, SandboxedExecutor
from cyxmake_worker.fetch import Fetcher
from cyxmake_worker.inputs import InputRoots
from cyxmake_worker.proofs import ToolchainProofs
from cyxmake_worker.sandbox.probe import choose_sandbox
from cyxmake_worker.stand_ins import StandInExecutor, StandIns
from cyxmake_worker.substitutes import LocalTool
from cyxmake_worker.toolchains import LocalToolchains
from cyxmake_worker.work import LeaseJobs, Workshop
from support.worker_client import Job


@dataclass
class FarSide:
    """The coordinator's store: what it has, what was fetched, what came."""

    blobs: dict[Digest, bytes | Path] = field(default_factory=dict)
    fetched: list[Digest] = field(default_factory=list)
    uploaded: set[Digest] = field(default_factory=set)
    cut: bool = False

    async def get_many_to_store(
        self, digests: Collection[Digest], store: BlobStore
    ) -> frozenset[Digest]:
        """Copy blobs into a store, as BlobClient does."""
        if self.cut:
            raise ConnectionLost("cut by the test")
        for digest in digests:
            if digest in self.blobs:
                self.fetched.append(digest)
                source = self.blobs[digest]
                await write_all(store, _bytes(source), digest)
        return frozenset(d for d in digests if d not in self.blobs)

    async def put_many(self, items: Sequence[tuple[Digest, BlobSource]]) -> int:
        """Take outputs; checks that the bytes are what their digest says."""
        if self.cut:
            raise ConnectionLost("cut by the test")
        for digest, source in items:
            data = _bytes(source)
            assert Digest.of(data) == digest
            self.blobs[digest] = data
            self.uploaded.add(digest)
        return 0

    async def ask(self, message: Message) -> Message:
        """Answer FIND_MISSING."""
        assert isinstance(message, FindMissing)
        return Missing(digests=tuple(d for d in message.digests if d not in self.blobs))


def _bytes(source: bytes | Path) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()


@dataclass
class Bench:
    """A worker's work, ready to be driven stage by stage."""

    far: FarSide
    store: DiskStore
    work: LeaseJobs
    recorder: EntryRecorder
    proofs: ToolchainProofs
    count: int = 0

    async def run(self, job: Job) -> LeaseResult:
        """Do a whole lease and return its result."""
        self.count += 1
        lease = LeaseId(f"L{self.count}")
        self.far.blobs.update(job.blobs)
        report = await self.work.prepare(lease, job.digest)
        assert report is None, report
        await self.work.execute(lease)
        done: Report = await self.work.upload(lease)
        self.work.forget(lease)
        assert isinstance(done, LeaseResult)
        return done


@contextlib.asynccontextmanager
async def bench(
    home: Path,
    toolchains: LocalToolchains | None = None,
    seconds: float = 60.0,
    tools: Sequence[LocalTool] = (),
) -> AsyncIterator[Bench]:
    """Open the rooms below a directory; they must be able to execute."""
    async with contextlib.AsyncExitStack() as stack:
        store = await stack.enter_async_context(DiskStore(home / "cas", 4 << 30))
        chosen = await choose_sandbox(home / "run" / "sandbox")
        stack.push_async_callback(chosen.sandbox.close)
        far = FarSide()
        fetcher = Fetcher(far, store)
        roots = InputRoots(store, home / "run" / "roots", fetcher.ensure)
        await roots.open()
        stack.push_async_callback(roots.close)
        sandboxed = SandboxedExecutor(
            roots,
            chosen.sandbox,
            store,
            home / "run" / "scratch",
            ExecutorSettings("bench", seconds),
        )
        await sandboxed.open()
        stack.push_async_callback(sandboxed.close)
        local = toolchains or LocalToolchains()
        stand_ins = StandIns(tools, fetcher, store, local)
        executor = StandInExecutor(sandboxed, stand_ins)
        proofs = ToolchainProofs(executor, store, home / "proofs.json", "bench")
        stack.push_async_callback(proofs.close)
        recorder = EntryRecorder(store, store.path_of, executor)
        stack.callback(recorder.close)

        async def seed(root: Digest) -> None:
            await local.seed(root, store)
            await stand_ins.seed(root)

        workshop = Workshop(
            name="bench",
            fetcher=fetcher,
            store=store,
            roots=roots,
            seed=seed,
            stand_ins=stand_ins,
            executor=executor,
            proofs=proofs,
            uploader=far,
            recorder=recorder,
            ask=far.ask,
            tell=lambda message: None,
        )
        yield Bench(far, store, LeaseJobs(workshop), recorder, proofs)
