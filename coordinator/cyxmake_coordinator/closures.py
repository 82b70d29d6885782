"""Whether a tree is whole: every Directory and file below a root, looked up in the CAS.

Knows nothing of operations. A tree found whole is believed for a short time, because thousands of
actions share a root; looking again also marks its blobs as used, which keeps them from eviction.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from cyxmake_common.action import Directory
from cyxmake_common.cas.store import BlobStore, read_all
from cyxmake_common.digest import Digest
from cyxmake_common.errors import BlobMissing, ProtocolError

_MAX_DIRECTORY_BYTES: Final = 16 << 20
_MAX_DIRECTORIES: Final = 200_000
_REMEMBERED_DIGESTS: Final = 300_000
_REMEMBERED_ROOTS: Final = 50_000
_PAUSE_EVERY: Final = 64


@dataclass(frozen=True, slots=True)
class _Children:
    """What one Directory blob names."""

    directories: tuple[Digest, ...]
    files: tuple[Digest, ...]

    @property
    def weight(self) -> int:
        return 1 + len(self.directories) + len(self.files)


class Closures:
    """Looks trees up in one store; `fresh_seconds` is how long a whole tree is believed."""

    def __init__(
        self, store: BlobStore, now: Callable[[], float], fresh_seconds: float = 30.0
    ) -> None:
        self._store = store
        self._now = now
        self._fresh = fresh_seconds
        self._whole: OrderedDict[Digest, float] = OrderedDict()
        self._walks: dict[Digest, asyncio.Task[tuple[Digest, ...]]] = {}
        self._parsed: OrderedDict[Digest, _Children] = OrderedDict()
        self._weight = 0

    def __repr__(self) -> str:
        return f"<Closures {len(self._whole)} whole, {len(self._walks)} being walked>"

    def is_whole(self, root: Digest) -> bool:
        """Tell whether a tree is believed to be whole just now."""
        return self._whole.get(root, -1.0) > self._now()

    async def missing(self, root: Digest) -> tuple[Digest, ...]:
        """Return the blobs that the tree lacks, sorted; raises ProtocolError for a broken tree.

        Below a Directory that is missing itself nothing can be seen: ask again when it is there.
        """
        if self.is_whole(root):
            return ()
        return await self.look_again(root)

    async def look_again(self, root: Digest) -> tuple[Digest, ...]:
        """Return what the tree lacks now, whatever was believed of it."""
        walk = self._walks.get(root)
        if walk is None:
            walk = asyncio.ensure_future(self._walk(root))
            self._walks[root] = walk
            walk.add_done_callback(lambda done: self._ended(root, done))
        # One caller's cancellation must not end the walk that others wait for.
        return await asyncio.shield(walk)

    def doubt(self, root: Digest) -> None:
        """Forget that a tree was whole: somebody could not find a blob of it."""
        self._whole.pop(root, None)

    async def close(self) -> None:
        """End the walks that are under way."""
        for walk in list(self._walks.values()):
            walk.cancel()
        await asyncio.gather(*self._walks.values(), return_exceptions=True)

    def _ended(self, root: Digest, walk: asyncio.Task[tuple[Digest, ...]]) -> None:
        del self._walks[root]
        if not walk.cancelled():
            walk.exception()  # seen, even when every caller has left

    async def _walk(self, root: Digest) -> tuple[Digest, ...]:
        self._whole.pop(root, None)
        seen, level, missing = {root}, [root], set[Digest]()
        files: set[Digest] = set()
        while level:
            deeper: list[Digest] = []
            for number, directory in enumerate(level, 1):
                if number % _PAUSE_EVERY == 0:
                    await asyncio.sleep(0)
                children = await self._children(directory)
                if children is None:
                    missing.add(directory)
                    continue
                files.update(children.files)
                fresh = [child for child in children.directories if child not in seen]
                seen.update(fresh)
                deeper += dict.fromkeys(fresh)
            if len(seen) > _MAX_DIRECTORIES:
                raise ProtocolError(f"the tree {root} has more than {_MAX_DIRECTORIES} directories")
            level = deeper
        # Parsed directories come from memory: their blobs must be looked up like any other.
        missing |= await self._store.find_missing(seen | files)
        if not missing:
            self._believe(root)
        return tuple(sorted(missing))

    async def _children(self, directory: Digest) -> _Children | None:
        known = self._parsed.get(directory)
        if known is not None:
            self._parsed.move_to_end(directory)
            return known
        if directory.size > _MAX_DIRECTORY_BYTES:
            raise ProtocolError(f"a directory of {directory.size} bytes is too large")
        try:
            data = await read_all(self._store, directory)
        except BlobMissing:
            return None
        parsed = Directory.from_bytes(data)
        children = _Children(
            directories=_distinct(digest for _, digest in parsed.directories),
            files=_distinct(digest for _, digest, _ in parsed.files),
        )
        self._remember(directory, children)
        return children

    def _remember(self, directory: Digest, children: _Children) -> None:
        if directory not in self._parsed:
            self._weight += children.weight
        self._parsed[directory] = children
        while self._weight > _REMEMBERED_DIGESTS and len(self._parsed) > 1:
            _, oldest = self._parsed.popitem(last=False)
            self._weight -= oldest.weight

    def _believe(self, root: Digest) -> None:
        self._whole[root] = self._now() + self._fresh
        while len(self._whole) > _REMEMBERED_ROOTS:
            self._whole.popitem(last=False)


def _distinct(digests: Iterable[Digest]) -> tuple[Digest, ...]:
    return tuple(dict.fromkeys(digests))
