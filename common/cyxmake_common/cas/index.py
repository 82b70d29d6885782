"""Which blobs a store holds, in order of last use, and which must go when room is needed.

Knows nothing of bytes, files or clocks: `now` is handed in, and the caller removes what a plan
names.

Theory of operation. Two maps: `_free` (unpinned blobs, the least recently used first) and `_held`
(pinned ones), so that a plan never walks over pinned blobs. A pin may come before its blob: what is
fetched for an action then cannot be evicted between its arrival and its use. Bytes of uploads under
way are reserved. Use times grow strictly, even when the clock steps back, so that an order that was
written down is the order that is read back.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cyxmake_common.digest import Digest
from cyxmake_common.errors import StoreFull

_TICK: Final = 1e-6


@dataclass(slots=True)
class Entry:
    """What the index knows of one blob: bytes it takes in the store, and when it was last used."""

    stored: int
    last_use: float


class LruIndex:
    """The blobs of one store, least recently used first, under a limit of bytes."""

    def __init__(self, limit_bytes: int) -> None:
        if limit_bytes < 0:
            raise ValueError(f"a store's limit cannot be negative: {limit_bytes}")
        self.limit_bytes: Final = limit_bytes
        self.used_bytes = 0
        self.pinned_bytes = 0
        self.reserved_bytes = 0
        self._free: OrderedDict[Digest, Entry] = OrderedDict()
        self._held: dict[Digest, Entry] = {}
        self._pins: dict[Digest, int] = {}
        self._newest = 0.0

    def __repr__(self) -> str:
        return (
            f"<LruIndex {len(self)} blobs, {self.used_bytes} of {self.limit_bytes} bytes, "
            f"{len(self._held)} pinned ({self.pinned_bytes}), {self.reserved_bytes} reserved>"
        )

    def __len__(self) -> int:
        return len(self._free) + len(self._held)

    def __contains__(self, digest: Digest) -> bool:
        return digest in self._free or digest in self._held

    def __iter__(self) -> Iterator[Digest]:
        """Iterate over all blobs: those that may go, the next to go first, then the pinned."""
        yield from self._free
        yield from self._held

    @property
    def pinned_blobs(self) -> int:
        """Return how many blobs are here and pinned."""
        return len(self._held)

    @property
    def excess_bytes(self) -> int:
        """Return by how much the limit is exceeded; only a lowered limit makes that more than 0."""
        return max(0, self.used_bytes + self.reserved_bytes - self.limit_bytes)

    def get(self, digest: Digest) -> Entry | None:
        """Return what is known of a blob, without counting that as a use."""
        return self._free.get(digest) or self._held.get(digest)

    def add(self, digest: Digest, stored: int, now: float) -> None:
        """Note a blob as here and used now; the room for it has been made before."""
        if digest in self:
            self.remove(digest)
        entry = Entry(stored, self._tick(now))
        self.used_bytes += stored
        if digest in self._pins:
            self.pinned_bytes += stored
            self._held[digest] = entry
        else:
            self._free[digest] = entry

    def remove(self, digest: Digest) -> bool:
        """Forget a blob (its pins stay counted); tell whether it was here."""
        entry = self._free.pop(digest, None)
        if entry is None:
            entry = self._held.pop(digest, None)
            if entry is None:
                return False
            self.pinned_bytes -= entry.stored
        self.used_bytes -= entry.stored
        return True

    def resize(self, digest: Digest, stored: int) -> None:
        """Note that a blob takes other room now; raises KeyError when it is not here."""
        entry = self.get(digest)
        if entry is None:
            raise KeyError(digest)
        change = stored - entry.stored
        entry.stored = stored
        self.used_bytes += change
        if digest in self._held:
            self.pinned_bytes += change

    def touch(self, digest: Digest, now: float) -> bool:
        """Count a blob as used now; tell whether it is here."""
        entry = self._free.get(digest)
        if entry is not None:
            self._free.move_to_end(digest)
        else:
            entry = self._held.get(digest)
            if entry is None:
                return False
        entry.last_use = self._tick(now)
        return True

    def pin(self, digest: Digest) -> None:
        """Keep a blob, or one that is yet to come, from being evicted; pins are counted."""
        self._pins[digest] = self._pins.get(digest, 0) + 1
        entry = self._free.pop(digest, None)
        if entry is not None:
            self._held[digest] = entry
            self.pinned_bytes += entry.stored

    def unpin(self, digest: Digest, now: float) -> None:
        """Take one pin back; the last one makes the blob evictable again, as used now."""
        pins = self._pins.get(digest, 0)
        if pins == 0:
            raise ValueError(f"{digest} is not pinned")
        if pins > 1:
            self._pins[digest] = pins - 1
            return
        del self._pins[digest]
        entry = self._held.pop(digest, None)
        if entry is not None:
            self.pinned_bytes -= entry.stored
            entry.last_use = self._tick(now)
            self._free[digest] = entry

    def reserve(self, count: int) -> None:
        """Set bytes aside for an upload under way; the room for them has been made before."""
        self.reserved_bytes += count

    def release(self, count: int) -> None:
        """Give reserved bytes back."""
        if count > self.reserved_bytes:
            raise ValueError(f"{count} bytes released, {self.reserved_bytes} reserved")
        self.reserved_bytes -= count

    def can_ever_hold(self, size: int) -> bool:
        """Tell whether a blob of that size would fit if everything that may go went."""
        return self.pinned_bytes + size <= self.limit_bytes

    def plan_eviction(self, need: int) -> list[Digest]:
        """Return the blobs that must go before `need` more bytes fit; raises StoreFull."""
        excess = self.used_bytes + self.reserved_bytes + need - self.limit_bytes
        if excess <= 0:
            return []
        if excess > self.used_bytes - self.pinned_bytes:
            raise StoreFull(
                f"no room for {need} bytes: {self.pinned_bytes} of {self.limit_bytes} are pinned, "
                f"{self.reserved_bytes} taken by uploads under way",
                next_step="give the store a larger limit",
            )
        return self.plan_shedding(excess)

    def plan_shedding(self, count: int) -> list[Digest]:
        """Return the oldest unpinned blobs that together take `count` bytes or more, or all."""
        victims: list[Digest] = []
        for digest, entry in self._free.items():
            if count <= 0:
                break
            victims.append(digest)
            count -= entry.stored
        return victims

    def check_invariants(self) -> None:
        """Raise AssertionError when the sums and the two maps contradict each other."""
        held = sum(e.stored for e in self._held.values())
        free = sum(e.stored for e in self._free.values())
        times = [e.last_use for e in self._free.values()]
        _require(self.pinned_bytes == held, f"pinned bytes are {held}: {self!r}")
        _require(self.used_bytes == held + free, f"used bytes are {held + free}: {self!r}")
        _require(self.reserved_bytes >= 0, f"negative reservation: {self!r}")
        _require(times == sorted(times), f"use times are out of order: {self!r}")
        _require(self._held.keys() <= self._pins.keys(), f"held without a pin: {self!r}")
        _require(not self._free.keys() & self._pins.keys(), f"pinned but free: {self!r}")

    def _tick(self, now: float) -> float:
        self._newest = max(now, self._newest + _TICK)
        return self._newest


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)
