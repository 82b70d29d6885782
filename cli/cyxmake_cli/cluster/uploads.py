"""Makes sure that blobs are in the cluster, each sent at most once in a build.

Knows nothing of trees or actions: digests come with the place where their bytes can be read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from pathlib import Path

from cyxmake_cli.cluster.client import ClusterClient
from cyxmake_cli.cluster.inputs import Source
from cyxmake_common.clock import monotonic
from cyxmake_common.digest import Digest
from cyxmake_common.errors import ConnectionLost


class Uploads:
    """What one build has made sure of."""

    def __init__(self, cluster: ClusterClient) -> None:
        self._cluster = cluster
        self._present: set[Digest] = set()
        self._running: dict[Digest, asyncio.Future[None]] = {}
        self._whole: set[Digest] = set()

    async def ensure(self, blobs: Mapping[Digest, Source], *, within: Digest | None = None) -> int:
        """Return, when every blob is in the cluster, the bytes sent; raises CyxError and OSError.

        `within` names a tree that the blobs make up: once ensured, asking again costs nothing.
        """
        if within is not None and within in self._whole:
            return 0
        fresh = [d for d in blobs if d not in self._present and d not in self._running]
        others = [self._running[d] for d in blobs if d in self._running]
        sent = await self._send(fresh, blobs) if fresh else 0
        for other in others:
            await asyncio.shield(other)
        if within is not None:
            self._whole.add(within)
        return sent

    async def again(self, lost: Collection[Digest], blobs: Mapping[Digest, Source]) -> None:
        """Send blobs that the cluster says it lacks, whatever was known of them."""
        self._present.difference_update(lost)
        self._whole.clear()
        await self.ensure({digest: blobs[digest] for digest in lost if digest in blobs})

    async def _send(self, fresh: list[Digest], blobs: Mapping[Digest, Source]) -> int:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._running.update(dict.fromkeys(fresh, done))
        try:
            missing = await self._cluster.missing(fresh)
            items = [(d, _readable(blobs[d])) for d in fresh if d in missing]
            sent = await self._put(items) if items else 0
            self._present.update(fresh)
            done.set_result(None)
            return sent
        except BaseException as error:
            # Whoever waits for these blobs hears the same; a cancelled caller must not cancel them.
            done.set_exception(
                ConnectionLost("the upload was given up")
                if isinstance(error, asyncio.CancelledError)
                else error
            )
            done.exception()
            raise
        finally:
            for digest in fresh:
                self._running.pop(digest, None)

    async def _put(self, items: list[tuple[Digest, Path | bytes]]) -> int:
        line, sent = self._cluster.link.up, 0
        line.begin(monotonic())
        try:
            sent = await self._cluster.blobs.put_many(items)
            return sent
        finally:
            line.end(monotonic(), sent)


def _readable(source: Source) -> Path | bytes:
    return Path(source) if isinstance(source, str) else source
