"""A wrapper of the action cache that shows only results whose every blob can be had.

Knows nothing of where entries or blobs are kept. An entry that lost a blob is forgotten: the action
is run again, which is a miss and never an error.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from cyxmake_common.action import ActionResult
from cyxmake_common.cache.store import ActionCache, Identity, Times
from cyxmake_common.cas.store import BlobStore
from cyxmake_common.digest import Digest
from cyxmake_common.errors import ProtocolError
from cyxmake_common.ids import Namespace
from cyxmake_common.protocol.messages import CacheEntry

_NOTHING: Final[frozenset[Digest]] = frozenset()


class CompleteActionCache:
    """Filters what another action cache finds by what a blob store holds."""

    def __init__(self, inner: ActionCache, store: BlobStore) -> None:
        self._inner = inner
        self._store = store

    def __repr__(self) -> str:
        return f"<CompleteActionCache over {self._inner!r}>"

    async def get(self, namespace: Namespace, keys: Collection[Digest]) -> tuple[CacheEntry, ...]:
        """Return the complete entries; their blobs count as used now."""
        entries = await self._inner.get(namespace, keys)
        if not entries:
            return ()
        blobs = [_blobs(entry) for entry in entries]
        wanted = _NOTHING.union(*(some for some in blobs if some is not None))
        missing = await self._store.find_missing(wanted) if wanted else _NOTHING
        good: list[CacheEntry] = []
        bad: list[CacheEntry] = []
        for entry, needs in zip(entries, blobs, strict=True):
            whole = needs is not None and needs.isdisjoint(missing)
            (good if whole else bad).append(entry)
        await self._forget(namespace, bad)
        return tuple(good)

    def may_hold(self, key: Digest) -> bool:
        """Tell at once whether asking for a key can be worth it; False for one never put."""
        return self._inner.may_hold(key)

    async def times(
        self, namespace: Namespace, keys: Collection[Digest]
    ) -> Mapping[Identity, Times]:
        """Return when entries were stored and last used, complete or not."""
        return await self._inner.times(namespace, keys)

    async def put(self, namespace: Namespace, *entries: CacheEntry) -> None:
        """Keep entries; the caller has seen that their blobs are there."""
        await self._inner.put(namespace, *entries)

    async def remove(self, namespace: Namespace, entries: Collection[CacheEntry]) -> None:
        """Forget entries."""
        await self._inner.remove(namespace, entries)

    async def _forget(self, namespace: Namespace, entries: Sequence[CacheEntry]) -> None:
        if entries:
            await self._inner.remove(namespace, entries)


def _blobs(entry: CacheEntry) -> frozenset[Digest] | None:
    try:
        return ActionResult.from_bytes(entry.result).blobs()
    except ProtocolError:
        return None
