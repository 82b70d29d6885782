"""Whether a worker can be trusted to work, and to work right.

Knows nothing of workers or leases. A worker that keeps failing is shut off for seconds, then probed
with one action at a time (a circuit breaker). One whose disk is full is shut off at once, and
probed as soon as it has more room. One whose results differ from those of others is quarantined and
gets tests only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

_ROOM: Final = 1 << 20
"""A disk has room again when it has twice what it had when it was full, and so many bytes more."""


@dataclass(slots=True)
class Health:
    """What happened to a worker lately that speaks for or against it."""

    strikes: int = 0
    """Failures of its own in a row."""
    trips: int = 0
    """How often in a row it was shut off."""
    shut_until: float | None = None
    probing: bool = False
    """It gets one action at a time until one succeeds."""
    quarantined: bool = False
    test_at: float = 0.0
    tests_passed: int = 0
    tests_failed: int = 0
    full: bool = False
    """Its disk was full when it last failed."""
    room: int | None = None
    """The free bytes that were not enough, as far as is known."""
    low: bool = False
    """The latest heartbeat told of less."""
    faults: dict[str, int] = field(default_factory=dict)
    """By cause: actions of which it said that their source is wrong, and which succeeded
    elsewhere."""

    def takes_work(self, used: int) -> bool:
        """Tell whether a worker that holds so many leases may get one more."""
        return self.shut_until is None and not (self.probing and used)

    def succeed(self) -> bool:
        """Note that it did what it was to do; True when that ends a probe."""
        ended, self.probing = self.probing, False
        self.strikes = self.trips = 0
        self.full = False
        return ended

    def fill(self, now: float, pause: float, most: float, room: int | None) -> bool:
        """Note that its disk was full with so much room before; True when that shuts it off."""
        self.full, self.room, self.low = True, room, False
        return self.fail(now, 1, pause, most)

    def hear_room(self, now: float, free: int) -> None:
        """Note how much of a full disk is free: with more than before it is worth a probe."""
        if self.room is None or (free < self.room and self.low):
            self.room = free
        elif self.shut_until is not None and free >= 2 * self.room + _ROOM:
            self.shut_until = min(self.shut_until, now)
        # What an action leaves behind for a moment says nothing: only what is there to stay.
        self.low = free < self.room

    def keeps_out(self, now: float, patience: float) -> bool:
        """Tell whether it is no use to wait for it."""
        return self.shut_until is not None and (self.full or self.shut_until - now > patience)

    def fail(self, now: float, strikes: int, pause: float, most: float) -> bool:
        """Note a failure of its own; True when that shuts it off."""
        self.strikes += 1
        if self.shut_until is not None or not (self.probing or self.strikes >= strikes):
            return False
        self.shut_until = now + min(most, pause * 2.0**self.trips)
        self.trips += 1
        self.probing = False
        return True

    def end_pause(self, now: float) -> bool:
        """Let it be probed when it was shut off long enough; True when that begins now."""
        if self.shut_until is None or now < self.shut_until:
            return False
        self.shut_until = None
        self.probing = True
        return True
