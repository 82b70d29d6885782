"""Puts real files of this machine into an input tree, with every symlink on the way to them.

Knows nothing of stores or of what the files are for. Paths are followed as the kernel follows them:
segment by segment, `..` after a symlink from where the link leads, so that a tool that is given the
same path in the copied tree meets the same file.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import Final

from cyxmake_common.cas.tree import InputTree
from cyxmake_common.digest import Digest

_MAX_LINKS: Final = 40
_MISSING: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_LINK: Final = "link"
_DIRECTORY: Final = "directory"
_OTHER: Final = "other"


class TreeScanner:
    """Mirrors files and directories of this machine in one tree, at their absolute paths.

    What a directory's path leads to is remembered, also for a path through symlinks: a scanner
    lives for one build. What is missing is not remembered, for it may be generated next.
    """

    def __init__(self, tree: InputTree, digest_file: Callable[[str], Digest]) -> None:
        self._tree = tree
        self._digest_file = digest_file
        self._real: dict[str, str] = {"": "", "/": ""}
        self._kinds: dict[str, str] = {"": _DIRECTORY}
        self._targets: dict[str, str] = {}
        self._files: dict[str, Digest] = {}

    def add_path(self, path: str) -> bool:
        """Put what is at an absolute path into the tree; False when there is nothing.

        A directory is put there without what is in it; a device or a socket counts as nothing.
        Symlinks are mirrored also when they lead nowhere. Raises OSError for what cannot be read.
        """
        try:
            real = self._follow(path, 0)
            if self._kinds.get(real) == _DIRECTORY:
                self._tree.add_directory(real or "/")
                return True
            status = os.lstat(real)
            if not stat.S_ISREG(status.st_mode):
                return False
            digest = self._digest_file(real)
        except OSError as error:
            if error.errno in _MISSING:
                return False
            raise
        self._files[real] = digest
        self._tree.add_file(real, digest, bool(status.st_mode & 0o111))
        return True

    def add_directory(self, path: str) -> bool:
        """Have a directory of this machine in the tree, perhaps empty; False when it is none."""
        try:
            real = self._follow_directory(path, 0)
        except OSError as error:
            if error.errno in _MISSING:
                return False
            raise
        self._tree.add_directory(real or "/")
        return True

    def is_current(self) -> bool:
        """Tell whether this machine still has all that is in the tree, as it is there."""
        try:
            return all(
                self._is_still(real, kind) for real, kind in self._kinds.items() if real
            ) and all(self._digest_file(path) == digest for path, digest in self._files.items())
        except OSError:
            return False

    def _is_still(self, real: str, kind: str) -> bool:
        if kind == _LINK:
            return os.readlink(real) == self._targets[real]  # noqa: PTH115
        return stat.S_ISDIR(os.lstat(real).st_mode)

    def _follow(self, path: str, links: int) -> str:
        """Return the physical path of a path's last segment, links followed; raises OSError."""
        if not path.startswith("/"):
            raise ValueError(f"not an absolute path: {path!r}")
        parent, _, name = path.rpartition("/")
        if name in ("", ".", ".."):
            return self._follow_directory(path, links)
        real = f"{self._follow_directory(parent, links)}/{name}"
        kind = self._kind(real)
        if kind != _LINK:
            return real
        if links >= _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        target = self._targets[real]
        base = "" if target.startswith("/") else real.rpartition("/")[0] + "/"
        return self._follow(base + target, links + 1)

    def _follow_directory(self, path: str, links: int) -> str:
        """Return the physical path of a directory, `` for the root; raises OSError."""
        known = self._real.get(path)
        if known is not None:
            return known
        parent, _, name = path.rpartition("/")
        if name in ("", "."):
            real = self._follow_directory(parent, links)
        elif name == "..":
            left = self._follow_directory(parent, links)
            # Whoever walks `left/..` must find `left`, even if nothing in it is needed.
            self._tree.add_directory(left or "/")
            real = left.rpartition("/")[0]
        else:
            real = self._follow(path, links)
            if self._kinds.get(real) != _DIRECTORY:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        self._real[path] = real
        return real

    def _kind(self, real: str) -> str:
        """Look at one segment, in a directory reached without links; a link goes into the tree."""
        known = self._kinds.get(real)
        if known is not None:
            return known
        mode = os.lstat(real).st_mode
        if stat.S_ISDIR(mode):
            self._kinds[real] = _DIRECTORY
            return _DIRECTORY
        if not stat.S_ISLNK(mode):
            return _OTHER
        self._targets[real] = target = os.readlink(real)  # noqa: PTH115
        self._tree.add_symlink(real, target)
        self._kinds[real] = _LINK
        return _LINK
