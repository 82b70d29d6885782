"""What an action takes here and in the cluster, predicted from what earlier ones took.

Knows no clock, connection or process: whoever measures tells it. Nothing is probed: a bandwidth is
what real transfers had, and before the first one a guess from the round trip, which a few hundred
kilobytes outweigh.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

_FIRST_SECONDS: Final = 1.0
"""What a command takes before anything is known of any."""

_GUESS_BYTES: Final = 256 << 10
"""How many bytes have to be measured to weigh as much as the guess."""

_MEMORY_BYTES: Final = 64 << 20
"""Transfers that are further back than so many bytes count less and less."""

_GUESSES: Final = ((0.003, 50e6), (0.02, 5e6), (1e9, 1e6))
"""Bytes per second that lines of up to such a round trip are believed to have."""

_ROUND_TRIPS: Final = 4
"""Round trips of an action: what is missing, its upload, itself, its outputs."""

_NEW: Final = 0.2
"""Weight of what was seen last in a running mean."""

_BIAS: Final = (0.5, 8.0)

PACKED: Final = 0.4
"""Bytes of a compiler on the wire for each byte of its files."""


class Rate:
    """The bandwidth of one direction: bytes over the time in which any transfer was under way."""

    def __init__(self, guess: float) -> None:
        self._bytes = float(_GUESS_BYTES)
        self._seconds = _GUESS_BYTES / guess
        self._busy_since = 0.0
        self._under_way = 0

    def __repr__(self) -> str:
        return f"<Rate {self.value / 1e6:.2f} MB/s, {self._under_way} under way>"

    @property
    def value(self) -> float:
        """Return bytes per second."""
        return self._bytes / self._seconds

    def begin(self, now: float) -> None:
        """A transfer starts."""
        self._count(now)
        self._under_way += 1

    def end(self, now: float, sent: int, waited: float = 0.0) -> None:
        """A transfer ends that moved so many bytes; `waited` of its time was no transfer."""
        self._count(now - min(waited, now - self._busy_since))
        self._busy_since = now
        self._under_way -= 1
        self._bytes += sent
        if self._bytes > _MEMORY_BYTES:
            self._seconds *= _MEMORY_BYTES / self._bytes
            self._bytes = float(_MEMORY_BYTES)

    def _count(self, now: float) -> None:
        if self._under_way:
            self._seconds += max(0.0, now - self._busy_since)
        self._busy_since = max(now, self._busy_since)


@dataclass(slots=True)
class Link:
    """The line to the cluster as far as it was seen."""

    round_trip: float = 0.001
    up: Rate = field(init=False)
    down: Rate = field(init=False)

    def __post_init__(self) -> None:
        guess = next(rate for longest, rate in _GUESSES if self.round_trip <= longest)
        self.up, self.down = Rate(guess), Rate(guess)


@dataclass(frozen=True, slots=True)
class Queue:
    """What is under way to and in the cluster: sent actions, those not begun, results to fetch."""

    sent: int = 0
    waiting: int = 0
    coming_bytes: int = 0


class CostModel:
    """Predictions for one build; `slots` are those of machines other than this one."""

    def __init__(self, link: Link | None = None, slots: int = 0) -> None:
        self.link = link or Link()
        self.slots = slots
        self._mean: float | None = None
        self._up = 64e3
        self._down = 64e3
        self._bias = 1.0

    def __repr__(self) -> str:
        return (
            f"<CostModel {self.mean:.2f} s a command, {self.link.round_trip * 1000:.0f} ms, "
            f"{self.link.up!r} up, {self.link.down!r} down, bias {self._bias:.2f}>"
        )

    # ── what was seen ───────────────────────────────────────────────────────────────────────────

    @property
    def mean(self) -> float:
        """Return what a command takes of which nothing is known."""
        return _FIRST_SECONDS if self._mean is None else self._mean

    def took(self, seconds: float) -> None:
        """A command has taken so long, wherever it ran."""
        self._mean = seconds if self._mean is None else _mix(self._mean, seconds)

    def fetched(self, size: int) -> None:
        """A result of so many bytes was brought home."""
        self._down = _mix(self._down, size)

    def uploaded(self, size: int) -> None:
        """An action needed so many bytes on the wire before it could be sent."""
        self._up = _mix(self._up, size)

    def was(self, predicted: float, actual: float) -> None:
        """An action in the cluster was predicted to take so long, and took so long."""
        if predicted > 0:
            low, high = _BIAS
            self._bias = min(high, max(low, self._bias * (actual / predicted) ** _NEW))

    # ── what is predicted ───────────────────────────────────────────────────────────────────────

    def there(self, seconds: float, queue: Queue = Queue()) -> float:
        """Return the seconds until the result of one more action, sent now, would be here."""
        link, slots = self.link, max(1, self.slots)
        up = (queue.waiting + 1) * self._up / link.up.value
        line = max(0, queue.sent - slots) * self.mean / slots
        down = self._down / link.down.value
        # The results of what is under way already come home before it, over the same line.
        before = queue.sent * down + queue.coming_bytes / link.down.value
        trips = _ROUND_TRIPS * link.round_trip
        return (trips + max(up + line + seconds, before) + down) * self._bias

    def fetching(self, size: int) -> float:
        """Return the seconds until so many bytes are here."""
        return self.link.round_trip + size / self.link.down.value

    def shipping(self, size: int) -> float:
        """Return the seconds that a toolchain of so many bytes takes to the cluster."""
        return 2 * self.link.round_trip + size * PACKED / self.link.up.value

    def shipping_pays(self, size: int, work: float, cores: int) -> bool:
        """Tell whether to send a toolchain while `work` seconds of commands are still to be done.

        What is left when it has arrived must be worth more than it costs this machine to send.
        """
        if not self.slots:
            return False
        left = work / cores - self.shipping(size)
        gain = left * self.slots / (self.slots + cores)
        return gain > 0.1 * self.shipping(size)


def _mix(old: float, new: float) -> float:
    return old + _NEW * (new - old)
