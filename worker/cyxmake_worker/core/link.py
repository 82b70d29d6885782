"""The connection as the worker's machine sees it: when to try again, when it has gone silent.

Knows nothing of leases or sockets.

    IDLE ──► CONNECTING ──► UP
               ▲   │         │
               │   ▼         ▼
               └─ WAITING ◄──┘
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

BACKOFF_FIRST: Final = 0.2
BACKOFF_LAST: Final = 15.0
SILENCE: Final = 4.0
"""Seconds without any sign of the coordinator after which the connection counts as lost."""

STABLE: Final = 5.0
"""A connection that lived this long starts the back-off anew."""


class LinkState(StrEnum):
    """What the connection is doing."""

    IDLE = "idle"
    CONNECTING = "connecting"
    UP = "up"
    WAITING = "waiting"


def backoff(failures: int, jitter: float) -> float:
    """Return the seconds before the next try: doubling, then moved by up to a quarter each way.

    Without the jitter a hundred workers would knock at the same instant after a restart.
    """
    exponent = min(failures, 16)
    return min(BACKOFF_LAST, BACKOFF_FIRST * 2.0**exponent) * (0.75 + jitter / 2)


@dataclass(slots=True)
class Link:
    """State of the control connection; times are monotonic seconds."""

    state: LinkState = LinkState.IDLE
    failures: int = 0
    ever_up: bool = False
    up_since: float = 0.0
    last_heard: float = 0.0
    heartbeat: float = 1.0
    next_beat: float = 0.0
    retry_at: float = 0.0

    def __repr__(self) -> str:
        return f"<Link {self.state} failures={self.failures} retry_at={self.retry_at:.2f}>"

    @property
    def up(self) -> bool:
        """Tell whether messages can be sent."""
        return self.state is LinkState.UP

    def connecting(self) -> None:
        """Note that a try has begun."""
        self.state = LinkState.CONNECTING

    def welcomed(self, now: float, heartbeat: float) -> None:
        """Note that the coordinator said WELCOME."""
        self.state = LinkState.UP
        self.ever_up = True
        self.up_since = self.last_heard = now
        self.heartbeat = max(0.05, heartbeat)
        self.next_beat = now + self.heartbeat

    def lost(self, now: float, jitter: float) -> None:
        """Note that the connection, or a try for one, has failed; plan the next."""
        if self.up and now - self.up_since >= STABLE:
            self.failures = 0
        self.state = LinkState.WAITING
        self.retry_at = now + backoff(self.failures, jitter)
        self.failures += 1

    def silent(self, now: float) -> bool:
        """Tell whether the coordinator has not been heard of for too long."""
        return self.up and now - self.last_heard >= self.patience

    @property
    def patience(self) -> float:
        """Return after how many silent seconds the connection counts as lost."""
        return max(SILENCE, 3 * self.heartbeat)

    def deadline(self) -> float | None:
        """Return when the link needs the next tick."""
        if self.state is LinkState.WAITING:
            return self.retry_at
        if self.up:
            return min(self.next_beat, self.last_heard + self.patience)
        return None
