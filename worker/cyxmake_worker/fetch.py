"""Brings blobs from the coordinator into the local store, each once at a time.

Knows nothing of trees or leases.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Protocol

from cyxmake_common.cas.store import BlobStore, read_all
from cyxmake_common.digest import Digest
from cyxmake_common.errors import BlobMissing


class MissingInputs(BlobMissing):
    """The coordinator lacks blobs that an action needs."""

    def __init__(self, digests: Collection[Digest]) -> None:
        super().__init__(f"{len(digests)} inputs are not in the coordinator's store")
        self.digests = tuple(sorted(digests))


class BlobOrigin(Protocol):
    """Where blobs come from."""

    async def get_many_to_store(
        self, digests: Collection[Digest], store: BlobStore
    ) -> frozenset[Digest]:
        """Copy blobs into a store; return those that the other side lacks."""
        ...


class Fetcher:
    """Fetches into one store; calls may overlap and ask for the same blobs."""

    def __init__(self, origin: BlobOrigin, store: BlobStore) -> None:
        self._origin = origin
        self._store = store
        self._flights: dict[Digest, asyncio.Task[frozenset[Digest]]] = {}

    def __repr__(self) -> str:
        return f"<Fetcher {len(self._flights)} blobs under way>"

    async def read(self, digest: Digest) -> bytes:
        """Return a small blob, fetched if need be; raises as `ensure`."""
        await self.ensure((digest,))
        return await read_all(self._store, digest)

    async def ensure(self, digests: Collection[Digest]) -> None:
        """Have blobs in the store; raises MissingInputs, ConnectionLost, StoreFull."""
        absent = await self._store.find_missing(digests)
        fresh = [digest for digest in absent if digest not in self._flights]
        if fresh:
            flight = asyncio.ensure_future(self._origin.get_many_to_store(fresh, self._store))
            self._flights.update(dict.fromkeys(fresh, flight))
            flight.add_done_callback(lambda done: self._landed(fresh, done))
        lost: set[Digest] = set()
        for flight in {self._flights[digest] for digest in absent}:
            # One caller's end must not end the transfer that others wait for.
            lost |= await asyncio.shield(flight)
        if not_here := absent & lost:
            raise MissingInputs(not_here)

    def _landed(self, digests: Sequence[Digest], flight: asyncio.Task[frozenset[Digest]]) -> None:
        for digest in digests:
            del self._flights[digest]
        if not flight.cancelled():
            flight.exception()  # seen, even when every caller has left
