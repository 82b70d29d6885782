"""An input root under construction: files, links and directories at the client's absolute paths.

Knows nothing of the machine's files or of stores; paths and digests are handed in (see tree_scan).

Theory of operation. Each directory keeps the encoded bytes of its own entries. A change marks the
directory and all above it; `build` encodes marked directories only, from the bytes kept. So a
header generated late in a build costs as many directories as its path has, and every other
Directory blob stays the same object with the same digest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from cyxmake_common.cas.tree_walk import (
    MAX_DEPTH,
    TreeDirectory,
    TreeEntry,
    TreeFile,
    TreeSymlink,
    walk_tree,
)
from cyxmake_common.cas.tree_wire import directory_entry, file_entry, symlink_entry
from cyxmake_common.digest import Digest

_REFUSED: Final = ("", ".", "..")


class _Node:
    """One directory; `digest` is None while its encoding is out of date."""

    __slots__ = ("data", "digest", "directories", "files", "parent", "symlinks")

    def __init__(self, parent: _Node | None) -> None:
        self.parent = parent
        self.files: dict[str, tuple[Digest, bool, bytes]] = {}
        self.symlinks: dict[str, str] = {}
        self.directories: dict[str, _Node] = {}
        self.digest: Digest | None = None
        self.data = b""

    def mark(self) -> None:
        """Note that this directory changed, and so every one above it."""
        node: _Node | None = self
        while node is not None and node.digest is not None:
            node.digest = None
            node = node.parent

    def copy(self, parent: _Node) -> _Node:
        """Return an independent copy that shares every encoding."""
        twin = _Node(parent)
        twin.files = dict(self.files)
        twin.symlinks = dict(self.symlinks)
        twin.directories = {name: node.copy(twin) for name, node in self.directories.items()}
        twin.digest, twin.data = self.digest, self.data
        return twin

    def encode(self) -> Digest:
        """Bring the encoding up to date, children first; return the digest."""
        if self.digest is None:
            # Entries go by name in UTF-8 order, which is the order of str. Kept sorted, because a
            # sort of what is nearly sorted is nearly free.
            self.files = dict(sorted(self.files.items()))
            self.directories = dict(sorted(self.directories.items()))
            parts = [wire for _, _, wire in self.files.values()]
            parts += [directory_entry(n, d.encode()) for n, d in self.directories.items()]
            parts += [symlink_entry(name, to) for name, to in sorted(self.symlinks.items())]
            self.data = b"".join(parts)
            self.digest = Digest.of(self.data)
        return self.digest

    def collect(self, blobs: dict[Digest, bytes]) -> None:
        """Add the encoding of this directory and of all below it."""
        digest = self.encode()
        blobs[digest] = self.data
        for child in self.directories.values():
            child.collect(blobs)


class InputTree:
    """A tree of absolute POSIX paths that knows its REAPI encoding.

    Every path method raises ValueError for a path that is not absolute, holds `.` or `..` or an
    empty segment, is no Unicode, or leads through a file or a symlink: who adds it resolves it.
    """

    def __init__(self) -> None:
        self._root = _Node(None)
        self._known: dict[str, _Node] = {"": self._root}

    def __repr__(self) -> str:
        return f"<InputTree {self._root.digest or 'changed'} {len(self._known)} known directories>"

    @staticmethod
    def load(root: Digest, fetch: Callable[[Digest], bytes]) -> InputTree:
        """Return the tree of a root digest; raises ProtocolError, and whatever `fetch` raises."""
        tree = InputTree()
        for entry in walk_tree(root, fetch):
            match entry:
                case TreeDirectory(path):
                    tree.add_directory(path)
                case TreeFile(path, digest, executable):
                    tree.add_file(path, digest, executable)
                case TreeSymlink(path, target):
                    tree.add_symlink(path, target)
        return tree

    def add_file(self, path: str, digest: Digest, executable: bool = False) -> None:
        """Put a file at a path, in place of a file or symlink that may be there."""
        node, name = self._slot(path)
        known = node.files.get(name)
        if known is not None and known[0] == digest and known[1] == executable:
            return
        if known is None:
            node.symlinks.pop(name, None)
        node.files[name] = (digest, executable, file_entry(name, digest, executable))
        node.mark()

    def add_symlink(self, path: str, target: str) -> None:
        """Put a symbolic link at a path, in place of a file or symlink that may be there."""
        node, name = self._slot(path)
        if node.symlinks.get(name) == target:
            return
        _check_text(target)
        node.files.pop(name, None)
        node.symlinks[name] = target
        node.mark()

    def add_directory(self, path: str) -> None:
        """Have a directory at a path, with every directory above it."""
        self._directory("" if path == "/" else path)

    def remove(self, path: str) -> bool:
        """Take away a file, a symlink or a directory with all in it; tell whether it was there."""
        parent, slash, name = path.rpartition("/")
        node = self._find(parent) if slash else None
        if node is None:
            return False
        if name in node.directories:
            del node.directories[name]
            self._known = {"": self._root}
        elif node.files.pop(name, None) is None and node.symlinks.pop(name, None) is None:
            return False
        node.mark()
        return True

    def build(self) -> tuple[Digest, dict[Digest, bytes]]:
        """Return the root's digest and every Directory blob of the tree."""
        blobs: dict[Digest, bytes] = {}
        self._root.collect(blobs)
        return self._root.encode(), blobs

    def entries(self) -> Iterator[TreeEntry]:
        """Iterate over all entries, a directory before what is in it."""
        stack = [("", self._root)]
        while stack:
            path, node = stack.pop()
            yield TreeDirectory(path or "/")
            for name, (digest, executable, _) in node.files.items():
                yield TreeFile(f"{path}/{name}", digest, executable)
            for name, target in node.symlinks.items():
                yield TreeSymlink(f"{path}/{name}", target)
            stack += [(f"{path}/{name}", child) for name, child in node.directories.items()]

    def files(self) -> Iterator[TreeFile]:
        """Iterate over all files."""
        return (entry for entry in self.entries() if isinstance(entry, TreeFile))

    def merge(self, other: InputTree) -> None:
        """Add everything of another tree; at the same path, the other's file or symlink stands.

        Raises ValueError, and changes nothing, where one has a directory and the other has none.
        """
        _check_merge(self._root, other._root, "")
        _merge(self._root, other._root)

    def _slot(self, path: str) -> tuple[_Node, str]:
        """Return the directory that a path is in, and its name there."""
        parent, slash, name = path.rpartition("/")
        if name in _REFUSED or not slash or "\0" in name:
            raise ValueError(f"not an absolute, resolved path: {path!r}")
        if not name.isascii():
            _check_text(name)
        node = self._directory(parent)
        if name in node.directories:
            raise ValueError(f"there is a directory at {path}")
        return node, name

    def _directory(self, path: str) -> _Node:
        """Return the directory at a path without its trailing slash, made when it is not there."""
        node = self._known.get(path)
        if node is not None:
            return node
        segments = path.split("/")
        if segments[0] or any(s in _REFUSED or "\0" in s for s in segments[1:]):
            raise ValueError(f"not an absolute, resolved path: {path!r}")
        if len(segments) > MAX_DEPTH:
            raise ValueError(f"deeper than {MAX_DEPTH} directories: {path[:200]!r}")
        _check_text(path)
        node = self._root
        for segment in segments[1:]:
            child = node.directories.get(segment)
            if child is None:
                if segment in node.files or segment in node.symlinks:
                    raise ValueError(f"{path} leads through {segment}, which is no directory")
                child = node.directories[segment] = _Node(node)
                node.mark()
            node = child
        self._known[path] = node
        return node

    def _find(self, path: str) -> _Node | None:
        node: _Node | None = self._root
        for segment in path.split("/")[1:]:
            node = node.directories.get(segment) if node is not None else None
        return node


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"a name that is no Unicode cannot be in a tree: {text!r}") from None


def _check_merge(ours: _Node, theirs: _Node, path: str) -> None:
    for name in theirs.files.keys() | theirs.symlinks.keys():
        if name in ours.directories:
            raise ValueError(f"there is a directory at {path}/{name}")
    for name, child in theirs.directories.items():
        if name in ours.files or name in ours.symlinks:
            raise ValueError(f"there is no directory at {path}/{name}")
        if name in ours.directories:
            _check_merge(ours.directories[name], child, f"{path}/{name}")


def _merge(ours: _Node, theirs: _Node) -> None:
    if theirs.digest is not None and theirs.digest == ours.digest:
        return
    for name, file in theirs.files.items():
        ours.symlinks.pop(name, None)
        ours.files[name] = file
    for name, target in theirs.symlinks.items():
        ours.files.pop(name, None)
        ours.symlinks[name] = target
    for name, child in theirs.directories.items():
        if name in ours.directories:
            _merge(ours.directories[name], child)
        else:
            ours.directories[name] = child.copy(ours)
    ours.mark()
