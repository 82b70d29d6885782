"""Input roots on disk: each tree of digests becomes a directory of hard links, once, and is reused.

Knows nothing of actions or sandboxes; missing blobs come from a function that is handed in.

Theory of operation. A root is built under a temporary name and renamed when it is complete, so
that a name `<hash>-<size>` is a whole tree or does not exist. Everything is removed at the start:
what the last run left cannot be trusted without hashing it. A root in use is counted and stays;
unused ones go, least recently used first, when there are too many or they hold too much. Names
were checked when the directories were parsed, a directory is always made by us and never found,
so nothing is ever written through a link.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_common.cas.disk import DiskStore
from cyxmake_common.cas.disk_writer import in_thread
from cyxmake_common.cas.store import read_all
from cyxmake_common.cas.tree_walk import (
    TreeCrawl,
    TreeDirectory,
    TreeFile,
    TreeSymlink,
    walk_tree,
)
from cyxmake_common.digest import Digest
from cyxmake_common.errors import ProtocolError, StoreFull
from cyxmake_worker.sandbox.removal import remove_children, remove_tree
from cyxmake_worker.windows_names import clashing, unsafe_name

Fetch = Callable[[Collection[Digest]], Awaitable[None]]
"""Brings blobs into the store; may raise whatever its transport raises."""

Evicted = Callable[[Digest], None]
"""Told of every tree that is given up."""

_DIRECTORY_MODE: Final = 0o777
_LARGE_PROGRAM: Final = 4 << 20
_FILES_PER_TURN: Final = 100


class UnfitTree(ProtocolError):
    """A tree that this machine's file system cannot hold as it is; another's may."""


@dataclass(frozen=True, slots=True)
class RootLimits:
    """How many unused and used roots are kept, and how many bytes they may hold together."""

    roots: int = 64
    bytes: int = 20 << 30


@dataclass(frozen=True, slots=True)
class Layer:
    """A materialised tree; read-only, and there until it is released."""

    digest: Digest
    path: Path


@dataclass(slots=True)
class _Root:
    """One tree: being built or there, with the number of its users."""

    building: asyncio.Task[int]
    users: int = 0
    bytes: int = 0


class InputRoots:
    """Materialises trees; `open` before and `close` after use."""

    def __init__(
        self,
        store: DiskStore,
        directory: Path,
        fetch: Fetch,
        limits: RootLimits | None = None,
        evicted: Evicted | None = None,
        *,
        windows: bool = sys.platform == "win32",
    ) -> None:
        self._store = store
        self._fetch = fetch
        self._limits = limits or RootLimits()
        self._evicted = evicted
        self._windows = windows
        self._directory = directory
        self._serial = 0
        # Insertion order is the order of last use.
        self._roots: dict[Digest, _Root] = {}
        self._removals: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        used = sum(root.users > 0 for root in self._roots.values())
        return f"<InputRoots {len(self._roots)} roots, {used} in use, {self.used_bytes} bytes>"

    def __contains__(self, tree: Digest) -> bool:
        root = self._roots.get(tree)
        return root is not None and root.building.done()

    @property
    def used_bytes(self) -> int:
        """Return the bytes that the files of all roots have; a file in two roots counts twice."""
        return sum(root.bytes for root in self._roots.values())

    async def open(self) -> None:
        """Make the directory, private to us, and remove what an earlier run left in it."""
        await in_thread(lambda: remove_children(self._directory))
        self._directory.chmod(0o700)

    async def close(self) -> None:
        """Stop what is being built and wait for removals; the roots stay until the next `open`."""
        building = [root.building for root in self._roots.values() if not root.building.done()]
        for task in building:
            task.cancel()
        await asyncio.gather(*building, *self._removals, return_exceptions=True)

    @asynccontextmanager
    async def hold(self, tree: Digest) -> AsyncIterator[Layer]:
        """Acquire a tree for the time of a block; see `acquire`."""
        layer = await self.acquire(tree)
        try:
            yield layer
        finally:
            self.release(layer)

    async def acquire(self, tree: Digest) -> Layer:
        """Return a tree as a directory, which stays until it is released.

        Raises BlobMissing when `fetch` did not bring a blob, ProtocolError for a tree that is
        malformed or that this file system cannot hold, StoreFull, and whatever `fetch` raises.
        """
        root = self._roots.pop(tree, None)
        if root is None:
            root = _Root(asyncio.get_running_loop().create_task(self._build(tree)))
        self._roots[tree] = root
        root.users += 1
        try:
            root.bytes = await asyncio.shield(root.building)
        except BaseException:
            root.users -= 1
            if root.users == 0 and not root.building.done():
                root.building.cancel()
            if self._roots.get(tree) is root and (root.users == 0 or root.building.done()):
                del self._roots[tree]
            raise
        self._evict()
        return Layer(tree, self._path(tree))

    def release(self, layer: Layer) -> None:
        """Give a tree back; it is kept for the next user while there is room."""
        self._roots[layer.digest].users -= 1
        self._evict()

    def _path(self, tree: Digest) -> Path:
        return self._directory / f"{tree.hash}-{tree.size}"

    def _temporary(self, kind: str) -> Path:
        self._serial += 1
        return self._directory / f"{kind}-{self._serial}"

    def _evict(self) -> None:
        """Let unused roots go until the limits hold again."""
        count, size = len(self._roots), self.used_bytes
        for tree, root in list(self._roots.items()):
            if count <= self._limits.roots and size <= self._limits.bytes:
                return
            if root.users == 0 and root.building.done():
                del self._roots[tree]
                count, size = count - 1, size - root.bytes
                gone = self._temporary("gone")
                self._path(tree).rename(gone)
                self._remove_later(gone)
                if self._evicted is not None:
                    self._evicted(tree)

    def _remove_later(self, path: Path) -> None:
        task = asyncio.get_running_loop().create_task(in_thread(lambda: remove_tree(path)))
        self._removals.add(task)
        task.add_done_callback(self._removals.discard)

    # ── building ────────────────────────────────────────────────────────────────────────────────

    async def _build(self, tree: Digest) -> int:
        """Materialise a tree; returns the bytes of its files."""
        pinned: list[Digest] = []
        temporary = self._temporary("new")
        try:
            crawl = await self._crawl(tree, pinned)
            if self._windows:
                _check_names(tree, crawl)
            await self._bring(crawl.files, pinned)
            size = await self._lay(tree, crawl, temporary)
            temporary.rename(self._path(tree))
        except OSError as error:
            self._remove_later(temporary)
            raise _explain(error, tree) from error
        except BaseException:
            self._remove_later(temporary)
            raise
        finally:
            self._store.unpin(pinned)
        return size

    async def _crawl(self, tree: Digest, pinned: list[Digest]) -> TreeCrawl:
        """Load every directory of a tree, one level at a time."""
        crawl = TreeCrawl(tree)
        while wanted := crawl.wanted:
            await self._bring(wanted, pinned)
            for digest in wanted:
                crawl.receive(digest, await read_all(self._store, digest))
        return crawl

    async def _bring(self, digests: Collection[Digest], pinned: list[Digest]) -> None:
        """Pin blobs and fetch those that are not here, in one call."""
        self._store.pin(digests)
        pinned.extend(digests)
        missing = await self._store.find_missing(digests)
        if missing:
            await self._fetch(missing)

    async def _lay(self, tree: Digest, crawl: TreeCrawl, top: Path) -> int:
        size = count = 0
        laid: dict[Digest, str] = {}
        prefix = os.fspath(top)
        for entry in walk_tree(tree, crawl.blobs.__getitem__):
            path = prefix + entry.path
            match entry:
                case TreeDirectory():
                    os.mkdir(path.rstrip("/"))  # noqa: PTH102 - strings: once per entry
                    # Commands may be another user, who has to create files beside the sources. The
                    # overlay keeps that out of here, and no other user gets into our directory.
                    os.chmod(path, _DIRECTORY_MODE)  # noqa: PTH101
                case TreeSymlink(_, target):
                    os.symlink(target, path)  # noqa: PTH211
                case TreeFile(_, digest, executable):
                    first = laid.setdefault(digest, path)
                    if first is path or (executable and digest.size > _LARGE_PROGRAM):
                        await self._store.link(digest, Path(path), executable)
                    else:
                        # Two names of one inode are one file to a compiler: it would name it by
                        # the other one in debug information.
                        shutil.copyfile(first, path)
                        os.chmod(path, 0o555 if executable else 0o444)  # noqa: PTH101
                    size += digest.size
                    count += 1
                    if count % _FILES_PER_TURN == 0:
                        await asyncio.sleep(0)  # heartbeats must not wait for a large tree
        return size


def _check_names(tree: Digest, crawl: TreeCrawl) -> None:
    """Refuse what Windows would hold under other names, or not at all; raises UnfitTree."""
    listed: dict[str, list[str]] = {}
    for entry in walk_tree(tree, crawl.blobs.__getitem__):
        directory, _, name = entry.path.rpartition("/")
        if isinstance(entry, TreeSymlink):
            raise UnfitTree(f"{entry.path} is a symbolic link, which Windows does not have")
        if name and (why := unsafe_name(name)):
            raise UnfitTree(f"{entry.path} cannot be on Windows: its name {why}")
        if name:
            listed.setdefault(directory, []).append(name)
    for directory, names in listed.items():
        other = clashing(names)
        if other is not None:
            raise UnfitTree(f"{directory}/{other} is another file's name on Windows")


def _explain(error: OSError, tree: Digest) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(f"no room for the input root {tree}: {error}")
    return ProtocolError(f"the input root {tree} cannot be made here: {error}")
