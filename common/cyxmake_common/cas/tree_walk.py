"""Reads an input root from its Directory blobs: which blobs are needed, and what they hold.

Knows nothing of stores: blobs are handed in. Trees come from clients, so their depth and their
number of entries are limited; names are checked where a Directory is decoded, symlink targets are
only data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from cyxmake_common.action import Directory
from cyxmake_common.digest import Digest
from cyxmake_common.errors import DigestMismatch, ProtocolError

MAX_DEPTH: Final = 200
MAX_ENTRIES: Final = 1_000_000
MAX_DIRECTORY_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class TreeDirectory:
    """A directory of a tree, by absolute path."""

    path: str


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file of a tree, by absolute path."""

    path: str
    digest: Digest
    executable: bool


@dataclass(frozen=True, slots=True)
class TreeSymlink:
    """A symbolic link of a tree, by absolute path; the target is data and may point anywhere."""

    path: str
    target: str


TreeEntry = TreeDirectory | TreeFile | TreeSymlink


def walk_tree(
    root: Digest,
    fetch: Callable[[Digest], bytes],
    *,
    max_depth: int = MAX_DEPTH,
    max_entries: int = MAX_ENTRIES,
) -> Iterator[TreeEntry]:
    """Yield every entry of a tree, a directory before what is in it.

    A directory that occurs many times is fetched once but yielded, and counted, each time. Raises
    ProtocolError for a tree that is malformed or beyond the limits, and whatever `fetch` raises.
    """
    known: dict[Digest, Directory] = {}
    stack = [("", root, 0)]
    entries = 0
    while stack:
        path, digest, depth = stack.pop()
        directory = known.get(digest)
        if directory is None:
            directory = known[digest] = Directory.from_bytes(fetch(digest))
        entries += 1 + len(directory.files) + len(directory.symlinks)
        if depth > max_depth or entries + len(stack) + len(directory.directories) > max_entries:
            raise ProtocolError(f"the tree {root} is deeper than {max_depth} or too large")
        yield TreeDirectory(path or "/")
        for name, file, executable in directory.files:
            yield TreeFile(f"{path}/{name}", file, executable)
        for name, target in directory.symlinks:
            yield TreeSymlink(f"{path}/{name}", target)
        for name, child in reversed(directory.directories):
            stack.append((f"{path}/{name}", child, depth + 1))


class TreeCrawl:
    """Collects the Directory blobs of a tree, level by level, from wherever the caller gets them.

    Ask `wanted`, fetch those in any order, hand each to `receive`; done when nothing is wanted.
    Then `blobs` holds the tree, and `files` the digests that its files need.
    """

    def __init__(self, root: Digest, *, max_entries: int = MAX_ENTRIES) -> None:
        self.blobs: dict[Digest, bytes] = {}
        self.files: set[Digest] = set()
        self._root = root
        self._wanted: dict[Digest, int] = {root: 0}
        self._budget = max_entries

    def __repr__(self) -> str:
        return f"<TreeCrawl {self._root}: {len(self.blobs)} here, {len(self._wanted)} wanted>"

    @property
    def wanted(self) -> frozenset[Digest]:
        """Return the directories that are still to be fetched."""
        return frozenset(self._wanted)

    def receive(self, digest: Digest, data: bytes) -> None:
        """Take a wanted directory; raises DigestMismatch, ProtocolError (beyond the limits too)."""
        if Digest.of(data) != digest:
            raise DigestMismatch(f"the bytes sent as {digest} are others")
        depth = self._wanted.pop(digest)
        directory = Directory.from_bytes(data)
        self.blobs[digest] = data
        self.files.update(file for _, file, _ in directory.files)
        self._budget -= 1 + len(directory.files) + len(directory.symlinks)
        for _, child in directory.directories:
            if child not in self.blobs:
                self._wanted.setdefault(child, depth + 1)
            if child.size > MAX_DIRECTORY_BYTES:
                raise ProtocolError(f"a directory of {child.size} bytes")
        if self._budget < len(self._wanted) or depth > MAX_DEPTH:
            raise ProtocolError(f"the tree {self._root} is deeper than {MAX_DEPTH} or too large")
