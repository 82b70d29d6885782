"""Looks at files as a program would that runs in another root, or in several laid over each other.

Knows no includes. Symlinks lead where they would lead inside: an absolute one starts again at the
roots, and nothing outside of them is ever seen.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from typing import Final

from cyxmake_common.includes.files import Identity, identity_of

_MAX_LINKS: Final = 40


class RootedFileSystem:
    """A FileSystem of one or more roots; where several have a name, the first one counts."""

    def __init__(self, roots: Sequence[str]) -> None:
        self._roots = tuple(root.rstrip("/") for root in roots)
        self._folders: dict[str, str | None] = {"": ""}
        self._kinds: dict[str, os.stat_result | None] = {}

    def __repr__(self) -> str:
        return f"<RootedFileSystem {list(self._roots)}>"

    def is_file(self, path: str) -> bool:
        """Tell whether a regular file (or a link to one) is there."""
        state = self._state(path)
        return state is not None and stat.S_ISREG(state.st_mode)

    def is_directory(self, path: str) -> bool:
        """Tell whether a directory (or a link to one) is there."""
        state = self._state(path)
        return state is not None and stat.S_ISDIR(state.st_mode)

    def read_link(self, path: str) -> str | None:
        """Return where a symbolic link points, or None when it is none."""
        folder, _, name = path.rpartition("/")
        inside = self._folder(folder, 0)
        if inside is None:
            return None
        return self._target(f"{inside}/{name}")

    def identity(self, path: str) -> Identity | None:
        """Return the state of the file or directory behind a path, or None."""
        state = self._state(path)
        return None if state is None else identity_of(state)

    def read(self, path: str) -> tuple[bytes, Identity]:
        """Return a file's bytes and the state they were read in; raises OSError."""
        inside = self._follow(path, 0)
        for root in self._roots if inside is not None else ():
            try:
                with open(f"{root}{inside}", "rb", buffering=0) as file:  # noqa: PTH123 - hot
                    return file.read(), identity_of(os.fstat(file.fileno()))
            except FileNotFoundError:
                continue
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)

    def _state(self, path: str) -> os.stat_result | None:
        inside = self._follow(path, 0)
        return None if inside is None else self._lstat(inside)

    def _follow(self, path: str, links: int) -> str | None:
        """Return the path inside without any link in it, or None when it leads nowhere."""
        folder, _, name = path.rpartition("/")
        if name in ("", ".", ".."):
            return self._folder(path.rstrip("/"), links)
        parent = self._folder(folder, links)
        if parent is None:
            return None
        inside = f"{parent}/{name}"
        state = self._lstat(inside)
        if state is None or not stat.S_ISLNK(state.st_mode):
            return None if state is None else inside
        target = self._target(inside)
        if target is None or links >= _MAX_LINKS:
            return None
        return self._follow(target if target[0] == "/" else f"{parent}/{target}", links + 1)

    def _folder(self, path: str, links: int) -> str | None:
        if path in self._folders:
            return self._folders[path]
        parent, _, name = path.rpartition("/")
        if name in ("", "."):
            found = self._folder(parent, links)
        elif name == "..":
            above = self._folder(parent, links)
            found = None if above is None else above.rpartition("/")[0]
        else:
            found = self._follow(path, links)
            state = None if found is None else self._lstat(found)
            if state is None or not stat.S_ISDIR(state.st_mode):
                found = None
        self._folders[path] = found
        return found

    def _lstat(self, inside: str) -> os.stat_result | None:
        if inside not in self._kinds:
            self._kinds[inside] = None
            for root in self._roots:
                try:
                    self._kinds[inside] = os.lstat(f"{root}{inside}")
                    break
                except OSError:
                    continue
        return self._kinds[inside]

    def _target(self, inside: str) -> str | None:
        for root in self._roots:
            try:
                return os.readlink(f"{root}{inside}")  # noqa: PTH115 - called per link
            except OSError as error:
                if error.errno == errno.EINVAL:
                    return None
        return None
