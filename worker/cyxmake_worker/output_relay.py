"""Tells the coordinator what a long command prints, some of it at a time.

Knows nothing of who listens. What is told may get lost with a connection: the whole output comes
with the result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from cyxmake_common.ids import LeaseId
from cyxmake_common.protocol.messages import LeaseOutput, Message

_PAUSE_SECONDS: Final = 0.1
_MOST_BYTES: Final = 256 << 10
_ALL_BYTES: Final = 32 << 20
"""What is told of one lease: nobody reads more, and the result does not hold more."""


class OutputRelay:
    """Collects the output of one lease and sends it on after a pause, or when it is much."""

    def __init__(self, lease: LeaseId, tell: Callable[[Message], None]) -> None:
        self._lease = lease
        self._tell = tell
        self._chunks: list[bytes] = []
        self._size = 0
        self._left = _ALL_BYTES
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<OutputRelay {self._lease} {self._size} bytes wait>"

    def hear(self, chunk: bytes) -> None:
        """Take what was printed."""
        chunk = chunk[: self._left]
        self._left -= len(chunk)
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size >= _MOST_BYTES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self.flush)

    def flush(self) -> None:
        """Send what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        data = b"".join(self._chunks)
        self._chunks, self._size = [], 0
        if data:
            self._tell(LeaseOutput(lease=self._lease, data=data))
