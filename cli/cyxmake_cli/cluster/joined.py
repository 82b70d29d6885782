"""A cluster that this client is connected to: the one of a token, or an embedded one of its own.

Knows nothing of builds; whoever opens it closes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cyxmake_cli.cluster.client import ClusterClient
from cyxmake_cli.cluster.embedded import EmbeddedCluster
from cyxmake_common.net.token import JoinToken
from cyxmake_common.protocol.messages import WorkerStatus


@dataclass(frozen=True, slots=True)
class Joined:
    """A live connection to `workers`, as they were when we joined; draining ones left out."""

    client: ClusterClient
    workers: tuple[WorkerStatus, ...]
    embedded: EmbeddedCluster | None = None

    @property
    def slots(self) -> int:
        """Return how many actions the cluster runs at a time."""
        return sum(worker.slots for worker in self.workers)

    @classmethod
    async def with_token(cls, token: JoinToken, cache_dir: Path, patience: float = 0.0) -> Joined:
        """Connect to a token's cluster; it may be lost for `patience` seconds. Raises CyxError."""
        client = await ClusterClient.connect(token, cache_dir, patience)
        try:
            await client.measure()
            return cls(client, await _workers(client))
        except BaseException:
            await client.close()
            raise

    @classmethod
    async def with_embedded(cls, cache_dir: Path, slots: int) -> Joined:
        """Start an embedded cluster, or join the one that is there; raises CyxError."""
        embedded = await EmbeddedCluster.start(cache_dir, slots)
        try:
            client = await ClusterClient.connect(embedded.token, cache_dir)
            await client.measure()
            return cls(client, await _workers(client), embedded)
        except BaseException:
            await embedded.stop()
            raise

    async def close(self) -> None:
        """Say goodbye; an embedded cluster ends unless another build uses it."""
        await self.client.close()
        if self.embedded is not None:
            await self.embedded.stop()


async def _workers(client: ClusterClient) -> tuple[WorkerStatus, ...]:
    status = await client.status()
    return tuple(worker for worker in status.workers if not worker.draining)
