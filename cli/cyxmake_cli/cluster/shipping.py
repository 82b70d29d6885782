"""Brings toolchains to the cluster before the first action needs them, a slice at a time.

Knows nothing of when that pays. Slices leave room on the line for what somebody waits for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from cyxmake_cli.cluster.client import ClusterClient
from cyxmake_cli.cluster.uploads import Uploads
from cyxmake_cli.cluster.way import Tools
from cyxmake_common.digest import Digest

_SLICE_BYTES: Final = 1 << 20


class Shipper:
    """Ships what the cluster lacks; `there` are the toolchains that stand ready on workers."""

    def __init__(
        self, cluster: ClusterClient, uploads: Uploads, there: Collection[Digest] = ()
    ) -> None:
        self._cluster = cluster
        self._uploads = uploads
        self._there = frozenset(there)

    async def lacking(self, tools: Tools) -> int:
        """Return how many bytes of a toolchain the cluster lacks; raises CyxError."""
        if tools.id in self._there:
            return 0
        return sum(digest.size for digest in await self._cluster.missing(tuple(tools.blobs())))

    async def ship(self, tools: Tools) -> None:
        """Upload a toolchain; raises CyxError and OSError."""
        blobs = tools.blobs()
        missing = await self._cluster.missing(tuple(blobs))
        for part in _slices(missing):
            await self._uploads.ensure({digest: blobs[digest] for digest in part})
        await self._uploads.ensure(blobs, within=tools.id)


def _slices(digests: Collection[Digest]) -> Iterator[list[Digest]]:
    part: list[Digest] = []
    size = 0
    for digest in sorted(digests):
        part.append(digest)
        size += digest.size
        if size >= _SLICE_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
