"""Fetches blobs: the small ones that are wanted in one turn of the loop come in one message.

Knows nothing of what they are. A wiped directory is filled from the cache by hundreds of units that
want two small files each, at the same moment: a message for each of them costs both sides more than
the files do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from cyxmake_cli.cluster.client import ClusterClient
from cyxmake_common.clock import monotonic
from cyxmake_common.digest import Digest
from cyxmake_common.protocol.transfer import BATCH_BYTES, SMALL_BYTES


class Fetches:
    """Fetches what several callers want; unlike a Coalescer's, requests don't wait for each other.

    A request that waits for another's answer would leave the line idle for a round trip.
    """

    def __init__(self, cluster: ClusterClient) -> None:
        self._cluster = cluster
        self._gathering: dict[Digest, None] = {}
        self._room = 0
        """Bytes that the request which is being put together may still take."""
        self._request: asyncio.Task[dict[Digest, bytes]] | None = None

    def __repr__(self) -> str:
        return f"<Fetches {len(self._gathering)} blobs in the next request>"

    async def fetch(self, wanted: Collection[Digest]) -> dict[Digest, bytes]:
        """Return those of the blobs that the cluster has; raises CyxError."""
        size = sum(digest.size for digest in wanted)
        if any(digest.size > SMALL_BYTES for digest in wanted):
            return await self._get(wanted)
        if self._request is None or size > self._room:
            self._gathering, self._room = {}, BATCH_BYTES
            self._request = asyncio.create_task(self._run(self._gathering))
            self._request.add_done_callback(_look)
        self._gathering.update(dict.fromkeys(wanted))
        self._room -= size
        # Shielded: who no longer wants his own ends nobody else's request.
        fetched = await asyncio.shield(self._request)
        return {digest: fetched[digest] for digest in wanted if digest in fetched}

    async def _run(self, gathering: dict[Digest, None]) -> dict[Digest, bytes]:
        await asyncio.sleep(0)  # let everyone who is ready in this turn of the loop join
        if gathering is self._gathering:
            self._request = None
        return await self._get(gathering)

    async def _get(self, digests: Collection[Digest]) -> dict[Digest, bytes]:
        line = self._cluster.link.down
        line.begin(monotonic())
        try:
            return await self._cluster.blobs.get_many_bytes(digests)
        finally:
            size = sum(digest.size for digest in digests)
            line.end(monotonic(), size, waited=self._cluster.link.round_trip)


def _look(request: asyncio.Task[dict[Digest, bytes]]) -> None:
    if not request.cancelled():
        request.exception()  # seen here: callers that were cancelled leave nobody to look
