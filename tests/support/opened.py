"""Watches whether anybody on this machine opens a file, through Linux's inotify."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

_IN_OPEN = 0x20
_EVENT_BYTES = 16  # of an event for a watched file: it has no name


class Opened:
    """Counts opens of the watched files since the watch began."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._count = 0

    def count(self) -> int:
        """Return how often one of the files was opened so far."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._descriptor, 65536):
                self._count += len(data) // _EVENT_BYTES
        return self._count


@contextlib.contextmanager
def watch_opens(*paths: Path | str) -> Iterator[Opened]:
    """Watch files for the length of a with block; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        for path in paths:
            if libc.inotify_add_watch(descriptor, os.fsencode(path), _IN_OPEN) < 0:
                raise OSError(ctypes.get_errno(), "inotify_add_watch", str(path))
        yield Opened(descriptor)
    finally:
        os.close(descriptor)
