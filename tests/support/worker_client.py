"""A client reduced to what tests of workers need: uploads an action, submits it, reads the answer.

Knows nothing of build graphs, caches on disk or the command line.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cyxmake_common.action import (
    ISA,
    OS_FAMILY,
    ROOT,
    TOOLCHAIN,
    Action,
    ActionResult,
    Command,
)
from cyxmake_common.cas.tree import InputTree
from cyxmake_common.digest import Digest
from cyxmake_common.net.blobs import BlobClient
from cyxmake_common.net.token import JoinToken
from cyxmake_common.net.wss import Connection, Introduction, connect
from cyxmake_common.platform import isa, os_family
from cyxmake_common.protocol.messages import (
    ActionCacheEntries,
    ActionCacheGet,
    CacheEntry,
    Channel,
    FindMissing,
    JobAccept,
    JobCancel,
    JobComplete,
    JobFailed,
    JobProgress,
    JobReject,
    JobRequest,
    Missing,
    Status,
    StatusGet,
)
from cyxmake_common.toolchain.identity import Toolchain, ToolchainStore
from cyxmake_common.toolchain.local import LocalOnly

Answer = JobComplete | JobFailed | JobReject
Blobs = dict[Digest, bytes | Path]


@dataclass
class Job:
    """An action with every blob that it needs."""

    digest: Digest
    blobs: Blobs


@dataclass
class Project:
    """Files of a made-up project, and the compiler that is to build them."""

    root: str = "/project"
    files: dict[str, bytes] = field(default_factory=dict)
    toolchain: Toolchain | None = None
    programs: dict[str, Path] = field(default_factory=dict)
    directories: tuple[str, ...] = ()

    def job(
        self,
        arguments: tuple[str, ...],
        outputs: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        **action: object,
    ) -> Job:
        """Return the action of a command that runs in the project's root."""
        blobs: Blobs = {}
        tree = InputTree()
        for path, data in self.files.items():
            digest = Digest.of(data)
            blobs[digest] = data
            tree.add_file(path, digest)
        for path, file in self.programs.items():
            digest = Digest.of_file(file)
            blobs[digest] = file
            tree.add_file(path, digest, executable=True)
        for path in (self.root, "/tmp", *self.directories):
            tree.add_directory(path)
        root, directories = tree.build()
        blobs.update(directories)
        path_variable = self.toolchain.path if self.toolchain else "/bin"
        command = Command(
            arguments,
            tuple(sorted({"PATH": path_variable, **(environment or {})}.items())),
            outputs,
            self.root.lstrip("/"),
        ).to_bytes()
        platform = {ISA: isa(), OS_FAMILY: os_family(), ROOT: self.root}
        if self.toolchain is not None:
            platform[TOOLCHAIN] = str(self.toolchain.id)
            for digest, source in self.toolchain.blobs().items():
                blobs[digest] = source if isinstance(source, bytes) else Path(source)
        wanted = Action(
            Digest.of(command),
            root,
            platform=tuple(sorted(platform.items())),
            **action,  # type: ignore[arg-type]
        ).to_bytes()
        blobs[Digest.of(command)] = command
        blobs[Digest.of(wanted)] = wanted
        return Job(Digest.of(wanted), blobs)


def local_toolchain(cache: Path, compiler: str = "/usr/bin/gcc") -> Toolchain:
    """Return this machine's compiler as content."""
    found = ToolchainStore(cache, os.environ).get(compiler)
    assert not isinstance(found, LocalOnly), found
    return found


class WorkerClient:
    """One client's connections."""

    def __init__(self, token: JoinToken, control: Connection) -> None:
        self._token = token
        self._control = control
        self._numbers = itertools.count(1)
        self._answers: dict[str, asyncio.Future[Answer]] = {}
        self._executing: dict[str, asyncio.Event] = {}
        self.blobs = BlobClient(self._connect_bulk)
        self._pump = asyncio.create_task(self._receive())

    async def _connect_bulk(self) -> Connection:
        return await connect(
            self._token, Introduction(channel=Channel.BULK, session=self._control.session)
        )

    async def _receive(self) -> None:
        async for envelope in self._control.messages():
            message = envelope.message
            if isinstance(message, JobProgress):
                self._executing[message.operation].set()
            elif isinstance(message, JobComplete | JobFailed | JobReject):
                self._answers[message.operation].set_result(message)
            else:
                assert isinstance(message, JobAccept), message

    async def submit(self, job: Job) -> str:
        """Upload and submit; return the operation's name."""
        missing = await self._control.request(FindMissing(digests=tuple(job.blobs)))
        assert isinstance(missing, Missing)
        await self.blobs.put_many([(digest, job.blobs[digest]) for digest in missing.digests])
        name = f"op{next(self._numbers)}"
        self._answers[name] = asyncio.get_running_loop().create_future()
        self._executing[name] = asyncio.Event()
        request = JobRequest(operation=name, build="b", action=job.digest, skip_cache=True)
        self._control.send_soon(request)
        return name

    async def answer(self, name: str) -> Answer:
        """Wait for the end of an operation."""
        return await asyncio.wait_for(self._answers[name], 60)

    async def executing(self, name: str) -> None:
        """Wait until a worker says that it runs an operation's command."""
        await asyncio.wait_for(self._executing[name].wait(), 60)

    async def run(self, job: Job) -> Answer:
        """Submit and wait."""
        return await self.answer(await self.submit(job))

    async def cancel(self, name: str) -> None:
        """Take an operation back."""
        self._control.send_soon(JobCancel(operation=name))

    async def entries(self, key: Digest) -> tuple[CacheEntry, ...]:
        """Return the action cache's entries under a key."""
        answer = await self._control.request(ActionCacheGet(keys=(key,)))
        assert isinstance(answer, ActionCacheEntries)
        return answer.entries

    async def status(self) -> Status:
        """Return the coordinator's picture of the cluster."""
        answer = await self._control.request(StatusGet())
        assert isinstance(answer, Status)
        return answer

    async def output(self, answer: Answer, path: str) -> bytes:
        """Return the bytes of one output of a finished operation."""
        result = completed(answer)
        digest = next(output.digest for output in result.outputs if output.path == path)
        return await self.blobs.get_bytes(digest)

    async def close(self) -> None:
        """Close everything."""
        await self.blobs.close()
        await self._control.close()
        await self._pump


def completed(answer: Answer) -> ActionResult:
    """Return the result of an operation that was carried out."""
    assert isinstance(answer, JobComplete), answer
    return ActionResult.from_bytes(answer.result)


@contextlib.asynccontextmanager
async def client(token_text: str) -> AsyncIterator[WorkerClient]:
    """Connect as a client for the length of the block."""
    token = JoinToken.parse(token_text)
    made = WorkerClient(token, await connect(token, Introduction(program="test")))
    try:
        yield made
    finally:
        await made.close()
