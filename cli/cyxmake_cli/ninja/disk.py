"""The few things asked of the file system, and the real one below a build directory.

Knows nothing of graphs. Paths are ninja's: relative ones are relative to the build directory.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

MISSING = 0
UNREADABLE = -1


class Appender(Protocol):
    """A file open for appending; every write reaches the operating system at once."""

    def write(self, data: bytes, /) -> object:
        """Append bytes."""

    def close(self) -> None:
        """Close the file."""


class Disk(Protocol):
    """A file system as a build sees it."""

    def stat(self, path: str) -> int:
        """Return the mtime in nanoseconds, MISSING or UNREADABLE."""

    def read(self, path: str) -> bytes:
        """Return a file's bytes; raises OSError."""

    def write(self, path: str, data: bytes) -> None:
        """Replace a file's content in place; raises OSError."""

    def mkdirs(self, path: str) -> None:
        """Make the directories above a path; raises OSError."""

    def remove(self, path: str) -> bool:
        """Remove a file; False when there was none; raises OSError."""

    def append(self, path: str) -> Appender:
        """Open a file for appending, created when missing; raises OSError."""

    def truncate(self, path: str, size: int) -> None:
        """Cut a file to a size; raises OSError."""

    def replace(self, source: str, target: str) -> None:
        """Rename a file over another; raises OSError."""


def _nothing(path: str) -> int:
    del path
    return MISSING


class RealDisk:
    """The real file system, seen from a build directory.

    `away` gives the mtime of a file that is not here but counts as if it were, else MISSING.
    """

    def __init__(self, root: Path | str = "", away: Callable[[str], int] = _nothing) -> None:
        text = os.fspath(root)
        self._away = away
        self._prefix = text.rstrip("/") + "/" if text not in ("", ".") else ""

    def __repr__(self) -> str:
        return f"RealDisk({self._prefix or '.'})"

    def _at(self, path: str) -> str:
        return os.path.join(self._prefix, path)  # noqa: PTH118 - called for every file

    def stat(self, path: str) -> int:
        """Return the mtime in nanoseconds, MISSING or UNREADABLE."""
        try:
            mtime = os.stat(self._at(path)).st_mtime_ns  # noqa: PTH116 - called for every file
        except (FileNotFoundError, NotADirectoryError):
            return self._away(path)
        except (OSError, ValueError):
            return UNREADABLE
        # Some packagers set every mtime to the epoch, which must not look like "missing".
        return mtime if mtime >= 1_000_000_000 or mtime < 0 else 1

    def read(self, path: str) -> bytes:
        """Return a file's bytes; raises OSError."""
        with open(self._at(path), "rb", buffering=0) as file:  # noqa: PTH123 - hot
            return file.read()

    def write(self, path: str, data: bytes) -> None:
        """Replace a file's content in place; raises OSError."""
        Path(self._at(path)).write_bytes(data)

    def mkdirs(self, path: str) -> None:
        """Make the directories above a path; raises OSError."""
        parent = self._at(path).rpartition("/")[0]
        if parent:
            os.makedirs(parent, exist_ok=True)  # noqa: PTH103 - called for every output

    def remove(self, path: str) -> bool:
        """Remove a file; False when there was none; raises OSError."""
        try:
            os.unlink(self._at(path))  # noqa: PTH108 - called for every depfile
        except FileNotFoundError:
            return False
        return True

    def append(self, path: str) -> Appender:
        """Open a file for appending, created when missing; raises OSError."""
        return open(self._at(path), "ab", buffering=0)  # noqa: PTH123 - caller closes

    def truncate(self, path: str, size: int) -> None:
        """Cut a file to a size; raises OSError."""
        os.truncate(self._at(path), size)

    def replace(self, source: str, target: str) -> None:
        """Rename a file over another; raises OSError."""
        Path(self._at(source)).replace(self._at(target))
