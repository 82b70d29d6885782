"""The little that the include closure needs of a file system, and the real one, cached.

Knows no includes. Listings are cached because a compiler's search asks a dozen directories for each
name: a set look-up in place of a system call.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol


@dataclass(frozen=True, slots=True)
class Identity:
    """Tells two states of a file apart without reading it."""

    device: int
    inode: int
    mtime_ns: int
    size: int


class FileSystem(Protocol):
    """What can be asked; every path is absolute."""

    def is_file(self, path: str) -> bool:
        """Tell whether a regular file (or a link to one) is there."""
        ...

    def is_directory(self, path: str) -> bool:
        """Tell whether a directory (or a link to one) is there."""
        ...

    def read_link(self, path: str) -> str | None:
        """Return where a symbolic link points, or None when it is none."""
        ...

    def identity(self, path: str) -> Identity | None:
        """Return the state of the file or directory behind a path, or None."""
        ...

    def read(self, path: str) -> tuple[bytes, Identity]:
        """Return a file's bytes and the state they were read in; raises OSError."""
        ...


class RealFileSystem:
    """The machine's own files; what is listed once is believed until told otherwise.

    `on_forget` callers (the closure) hear about every path that changed.
    """

    def __init__(self) -> None:
        self._listings: dict[str, dict[str, bool]] = {}
        self._listeners: list[Callable[[str | None], None]] = []

    def __repr__(self) -> str:
        return f"<RealFileSystem {len(self._listings)} directories listed>"

    def listen(self, listener: Callable[[str | None], None]) -> None:
        """Call back with each forgotten path, and with None when everything is forgotten."""
        self._listeners.append(listener)

    def forget(self, path: str) -> None:
        """A file was made, changed or removed by the build: look at it again."""
        folder = os.path.dirname(path)  # noqa: PTH120 - keeps the spelling
        known = self._listings.pop(folder, None)
        if known == _NOTHING or known is None:
            # A folder that was missing may have come with the file.
            stale = [name for name, listing in self._listings.items() if listing is _NOTHING]
            for name in stale:
                del self._listings[name]
        for listener in self._listeners:
            listener(path)

    def refresh(self) -> None:
        """Read every listing again and forget what has come, gone or changed its kind since."""
        for folder, before in tuple(self._listings.items()):
            now = self._list(folder)
            for name in before.keys() | now.keys():
                if before.get(name) != now.get(name):
                    for listener in self._listeners:
                        listener(f"{folder}/{name}")

    def new_generation(self) -> None:
        """Begin a new build: every listing is read again."""
        self._listings.clear()
        for listener in self._listeners:
            listener(None)

    def is_file(self, path: str) -> bool:
        """Tell whether a regular file (or a link to one) is there."""
        folder, _, name = path.rpartition("/")
        listing = self._listings.get(folder)
        if listing is None:
            listing = self._list(folder)
        return listing.get(name, False)

    def is_directory(self, path: str) -> bool:
        """Tell whether a directory (or a link to one) is there."""
        return os.path.isdir(path)  # noqa: PTH112 - called per search directory

    def read_link(self, path: str) -> str | None:
        """Return where a symbolic link points, or None when it is none."""
        try:
            return os.readlink(path)  # noqa: PTH115 - called per component of dotted paths
        except OSError:
            return None

    def identity(self, path: str) -> Identity | None:
        """Return the state of the file or directory behind a path, or None."""
        try:
            return identity_of(os.stat(path))  # noqa: PTH116 - called per header and build
        except OSError:
            return None

    def read(self, path: str) -> tuple[bytes, Identity]:
        """Return a file's bytes and the state they were read in; raises OSError."""
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - called once per header
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise OSError(f"{path} is no regular file")
            return file.read(), identity_of(state)

    def _list(self, folder: str) -> dict[str, bool]:
        try:
            with os.scandir(folder or "/") as entries:
                listing = {entry.name: _is_file(entry) for entry in entries}
        except OSError:
            listing = _NOTHING
        self._listings[folder] = listing
        return listing


_NOTHING: Final[dict[str, bool]] = {}


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def identity_of(state: os.stat_result) -> Identity:
    """Return the identity that a stat result shows."""
    return Identity(state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size)
