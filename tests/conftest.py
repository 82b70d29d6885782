"""Tests that run side by side, and those that watch or need the whole machine and run alone."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

# A shell's background job ignores Ctrl-C, and so would every program that these tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test marked `alone` while no other process that tests this checkout has one."""
    with _turn(alone=item.get_closest_marker("alone") is not None):
        return (yield)


if sys.platform == "win32":

    def _turn(alone: bool) -> contextlib.nullcontext[None]:
        return contextlib.nullcontext()  # every test that must be alone is Linux's

else:
    import fcntl

    @contextlib.contextmanager
    def _turn(alone: bool) -> Iterator[None]:
        with _opened(Path(__file__)) as door, _opened(Path(__file__).parent) as room:
            # Whoever waits for the room stands in the door, so that nobody else comes before.
            fcntl.flock(door, fcntl.LOCK_EX)
            fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            fcntl.flock(door, fcntl.LOCK_UN)
            yield

    @contextlib.contextmanager
    def _opened(path: Path) -> Iterator[int]:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            # Not by closing alone: a process that a test forked, and left, has it open, too.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)
