"""The state of files that a captured tool consists of: when one is another, the capture is old.

Knows nothing of tools. Links are looked at themselves, not only where they lead.
"""

from __future__ import annotations

import os

Stamp = tuple[int, int, int, int]
"""Modification time, size, inode and change time."""

_MAX_LINKS = 40


def stamp(path: str) -> Stamp | None:
    """Return the state of what stands at a path, a link itself; None when nothing does."""
    try:
        state = os.lstat(path)
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino, state.st_ctime_ns


def hops(path: str) -> list[str]:
    """Return what a path's last segment leads to, link by link."""
    found: list[str] = []
    while os.path.islink(path) and len(found) < _MAX_LINKS:  # noqa: PTH114 - strings
        path = os.path.join(os.path.dirname(path), os.readlink(path))  # noqa: PTH115, PTH118, PTH120
        found.append(path)
    return found
