"""A cluster that this client is connected to: the one of a token, or an embedded one of its own.

Knows nothing of builds; whoever opens it closes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cyxmake_cli.cluster.client import ClusterClient
from cyxmake_cli.cluster.embedded import EmbeddedCluster
from cyxmake_common.net.token import JoinToken
from cyxmake_common.protocol.messages import Status


@dataclass(frozen=True, slots=True)
class Joined:
    """A live connection; `slots` is how many actions the cluster ran at a time when we joined."""

    client: ClusterClient
    slots: int
    embedded: EmbeddedCluster | None = None

    @classmethod
    async def with_token(cls, token: JoinToken, cache_dir: Path) -> Joined:
        """Connect to a token's cluster; raises CyxError."""
        client = await ClusterClient.connect(token, cache_dir)
        try:
            return cls(client, _slots(await client.status()))
        except BaseException:
            await client.close()
            raise

    @classmethod
    async def with_embedded(cls, cache_dir: Path, slots: int) -> Joined:
        """Start an embedded cluster, or join the one that is there; raises CyxError."""
        embedded = await EmbeddedCluster.start(cache_dir, slots)
        try:
            return cls(await ClusterClient.connect(embedded.token, cache_dir), slots, embedded)
        except BaseException:
            await embedded.stop()
            raise

    async def close(self) -> None:
        """Say goodbye; an embedded cluster ends unless another build uses it."""
        await self.client.close()
        if self.embedded is not None:
            await self.embedded.stop()


def _slots(status: Status) -> int:
    return sum(worker.slots for worker in status.workers if not worker.draining)
