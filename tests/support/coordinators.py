"""A whole coordinator inside the test's own event loop, on loopback and a free port."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from cyxmake_common.ids import Namespace
from cyxmake_common.net.authority import authority_fingerprint
from cyxmake_common.net.token import JoinToken
from cyxmake_common.protocol.messages import Peer, WorkerFacts
from cyxmake_coordinator.auth.tokens import Door, TokenWish
from cyxmake_coordinator.config import CoordinatorConfig
from cyxmake_coordinator.data_dir import DataDir
from cyxmake_coordinator.door import open_tokens
from cyxmake_coordinator.service import Stopping, serve
from support.peers import FakeClient, FakeWorker, Script


@dataclass
class LiveCoordinator:
    """A serving coordinator; `stop` ends it in order."""

    data: DataDir
    address: str
    stopping: Stopping
    task: asyncio.Task[None]

    async def token(
        self, role: Peer, namespace: str = "", expires: float | None = None
    ) -> JoinToken:
        """Make a token, as the command line would: through the file."""
        tokens = await open_tokens(self.data)
        try:
            wish = TokenWish(role, expires=expires, namespace=Namespace(namespace))
            return await tokens.create(
                wish, Door(self.address, authority_fingerprint(self.data.tls))
            )
        finally:
            await tokens.close()

    async def stop(self) -> None:
        """End it in order."""
        if not self.stopping.event.is_set():
            self.stopping.wish()
        await self.task


@contextlib.asynccontextmanager
async def live_coordinator(home: Path, **settings: object) -> AsyncIterator[LiveCoordinator]:
    """Serve for the length of the block."""
    config = CoordinatorConfig.model_validate(
        {"data_dir": home / "data", "port": 0, "heartbeat_seconds": 0.2, **settings}
    )
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stopping = Stopping()
    task = asyncio.ensure_future(serve(config, ready.set_result, stopping=stopping))
    task.add_done_callback(lambda _: ready.cancel())
    await asyncio.wait({ready})
    if ready.cancelled():
        await task
    address = ready.result().rpartition(" ")[2]
    live = LiveCoordinator(DataDir(config.data_dir), address, stopping, task)
    try:
        yield live
    finally:
        await live.stop()


@dataclass
class Cluster:
    """A coordinator with one client; workers join as a test needs them."""

    coordinator: LiveCoordinator
    client: FakeClient
    stack: contextlib.AsyncExitStack

    async def worker(
        self, script: Script | None = None, facts: WorkerFacts | None = None
    ) -> FakeWorker:
        """Let a worker join."""
        token = await self.coordinator.token(Peer.WORKER)
        return await self.stack.enter_async_context(await FakeWorker.join(token, script, facts))

    async def another_client(self, namespace: str = "") -> FakeClient:
        """Let another client join."""
        token = await self.coordinator.token(Peer.CLIENT, namespace)
        return await self.stack.enter_async_context(await FakeClient.join(token))
