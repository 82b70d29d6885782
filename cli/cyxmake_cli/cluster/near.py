"""What a long-lived client keeps of the cluster's answers, so that a repeated hit asks nobody.

Knows no files and no connections. Keeping is always safe: an entry is checked against today's files
whenever it is used, and a blob is its digest. A client that lives for one build keeps nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping

from cyxmake_common.digest import Digest
from cyxmake_common.protocol.messages import CacheEntry


class Near:
    """The entries of up to `keys` reduced keys, and up to `blob_bytes` of blobs, by last use."""

    def __init__(self, keys: int = 0, blob_bytes: int = 0) -> None:
        self._most_keys = keys
        self._most_bytes = blob_bytes
        self._entries: OrderedDict[Digest, tuple[CacheEntry, ...]] = OrderedDict()
        self._blobs: OrderedDict[Digest, bytes] = OrderedDict()
        self._bytes = 0

    def __repr__(self) -> str:
        return f"<Near {len(self._entries)} keys, {len(self._blobs)} blobs, {self._bytes} bytes>"

    def entries(self, key: Digest) -> tuple[CacheEntry, ...]:
        """Return what is kept under a key; there may be newer ones."""
        found = self._entries.get(key)
        if found is None:
            return ()
        self._entries.move_to_end(key)
        return found

    def keep_entries(self, key: Digest, entries: tuple[CacheEntry, ...]) -> None:
        """Keep an answer in place of an earlier one."""
        if not entries:
            return
        self._entries[key] = entries
        self._entries.move_to_end(key)
        while len(self._entries) > self._most_keys:
            self._entries.popitem(last=False)

    def blobs(self, digests: Collection[Digest]) -> dict[Digest, bytes]:
        """Return those of the blobs that are kept."""
        found = {digest: self._blobs[digest] for digest in digests if digest in self._blobs}
        for digest in found:
            self._blobs.move_to_end(digest)
        return found

    def keep_blobs(self, blobs: Mapping[Digest, bytes]) -> None:
        """Keep blobs; large ones are left to the cluster."""
        for digest, data in blobs.items():
            if len(data) * 8 > self._most_bytes or digest in self._blobs:
                continue
            self._blobs[digest] = data
            self._bytes += len(data)
        while self._bytes > self._most_bytes:
            self._bytes -= len(self._blobs.popitem(last=False)[1])
