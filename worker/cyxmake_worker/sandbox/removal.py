"""Removes a tree that a hostile command may have made.

Knows nothing of why it existed. No process of the command may live any more.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def remove_tree(path: Path) -> None:
    """Remove a directory and all in it; follows no link, minds no depth and no missing permission.

    A directory is moved to the top before it is emptied: depth then costs neither recursion nor
    paths beyond the system's limit. Nothing happens when the path does not exist.
    """
    top = os.fspath(path)
    pending = [top]
    while pending:
        directory = pending.pop()
        try:
            # Overlay leaves directories of mode 000 behind, and commands may do the same.
            os.chmod(directory, 0o700)  # noqa: PTH101 - strings: this runs once per directory
            entries = list(os.scandir(directory))
        except FileNotFoundError:
            continue
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                _unlink(entry.path)
            elif not _remove_empty(entry.path):
                pending.append(_move_up(entry.path, top) if directory != top else entry.path)
        if directory != top:
            os.rmdir(directory)  # noqa: PTH106
    with contextlib.suppress(FileNotFoundError):
        path.rmdir()


def remove_children(path: Path) -> None:
    """Remove everything in a directory that exists or is made now."""
    path.mkdir(parents=True, exist_ok=True)
    for child in list(path.iterdir()):
        if child.is_dir() and not child.is_symlink():
            remove_tree(child)
        else:
            child.unlink()


def _unlink(path: str) -> None:
    try:
        os.unlink(path)  # noqa: PTH108
    except PermissionError:  # Windows: a read-only file
        os.chmod(path, 0o600)  # noqa: PTH101
        os.unlink(path)  # noqa: PTH108


def _remove_empty(path: str) -> bool:
    try:
        os.rmdir(path)  # noqa: PTH106
    except OSError:
        return False
    return True


def _move_up(path: str, top: str) -> str:
    moved = os.path.join(top, ".removing-" + os.urandom(12).hex())  # noqa: PTH118
    os.chmod(path, 0o700)  # noqa: PTH101 - its `..` entry changes with the move
    os.rename(path, moved)  # noqa: PTH104
    return moved
