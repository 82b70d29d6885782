"""The LRU rules, against a plain list as the model."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cyxmake_common.cas.index import LruIndex
from cyxmake_common.digest import Digest
from cyxmake_common.errors import StoreFull

_DIGESTS = [Digest.of(bytes([n])) for n in range(12)]
_LIMIT = 100
_digests = st.sampled_from(_DIGESTS)
_sizes = st.integers(0, 60)
_times = st.floats(0, 1000)


class IndexMachine(RuleBasedStateMachine):
    """Any order of calls keeps the sums right, the limit respected, and the pinned blobs."""

    def __init__(self) -> None:
        super().__init__()
        self.index = LruIndex(_LIMIT)
        self.order: list[Digest] = []
        self.stored: dict[Digest, int] = {}
        self.pins: dict[Digest, int] = {}
        self.reserved = 0

    def _evict_for(self, need: int) -> bool:
        try:
            plan = self.index.plan_eviction(need)
        except StoreFull:
            free = sum(self.stored[d] for d in self.order if d not in self.pins)
            used = sum(self.stored.values())
            assert used - free + self.reserved + need > _LIMIT
            return False
        assert plan == [d for d in self.order if d not in self.pins][: len(plan)]
        for digest in plan:
            room = _LIMIT - sum(self.stored.values()) - self.reserved
            assert room < need, "no blob goes that need not go"
            self.index.remove(digest)
            self._forget(digest)
        return True

    def _forget(self, digest: Digest) -> None:
        self.order.remove(digest)
        del self.stored[digest]

    @rule(digest=_digests, stored=_sizes, now=_times)
    def add(self, digest: Digest, stored: int, now: float) -> None:
        """A blob is added after the plan for it was carried out."""
        if digest in self.stored:
            self.index.remove(digest)
            self._forget(digest)
        if self._evict_for(stored):
            self.index.add(digest, stored, now)
            self.order.append(digest)
            self.stored[digest] = stored

    @rule(digest=_digests, now=_times)
    def touch(self, digest: Digest, now: float) -> None:
        """A use makes a blob the last to go."""
        assert self.index.touch(digest, now) == (digest in self.stored)
        if digest in self.stored:
            self.order.remove(digest)
            self.order.append(digest)

    @rule(digest=_digests)
    def remove(self, digest: Digest) -> None:
        """A blob can go at any time, also a pinned one."""
        assert self.index.remove(digest) == (digest in self.stored)
        if digest in self.stored:
            self._forget(digest)

    @rule(digest=_digests)
    def pin(self, digest: Digest) -> None:
        """A pin may come before its blob."""
        self.index.pin(digest)
        self.pins[digest] = self.pins.get(digest, 0) + 1

    @rule(digest=_digests, now=_times)
    def unpin(self, digest: Digest, now: float) -> None:
        """The last pin that goes counts as a use."""
        if digest not in self.pins:
            with pytest.raises(ValueError, match="not pinned"):
                self.index.unpin(digest, now)
            return
        self.index.unpin(digest, now)
        self.pins[digest] -= 1
        if not self.pins[digest]:
            del self.pins[digest]
            if digest in self.stored:
                self.order.remove(digest)
                self.order.append(digest)

    @rule(count=_sizes)
    def reserve(self, count: int) -> None:
        """Uploads under way take room that no plan can free."""
        if self._evict_for(count):
            self.index.reserve(count)
            self.reserved += count

    @rule(count=_sizes)
    def release(self, count: int) -> None:
        """No more can be given back than was taken."""
        if count > self.reserved:
            with pytest.raises(ValueError, match="released"):
                self.index.release(count)
            return
        self.index.release(count)
        self.reserved -= count

    @rule(count=_sizes)
    def shed(self, count: int) -> None:
        """Shedding names the oldest first and never fails."""
        plan = self.index.plan_shedding(count)
        free = [d for d in self.order if d not in self.pins]
        assert plan == free[: len(plan)]
        assert sum(self.stored[d] for d in plan) >= count or plan == free

    @invariant()
    def sums_agree(self) -> None:
        """The index agrees with itself and with the model."""
        self.index.check_invariants()
        assert set(self.index) == set(self.stored)
        assert len(self.index) == len(self.stored)
        assert self.index.used_bytes == sum(self.stored.values())
        assert self.index.used_bytes + self.index.reserved_bytes <= _LIMIT
        held = [d for d in self.stored if d in self.pins]
        assert self.index.pinned_blobs == len(held)
        assert self.index.pinned_bytes == sum(self.stored[d] for d in held)


IndexMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestIndex = IndexMachine.TestCase


def test_use_times_grow_when_the_clock_steps_back() -> None:
    """An order that is written down by use time is the order in which blobs were used."""
    index = LruIndex(100)
    for digest, now in zip(_DIGESTS, (50.0, 40.0, 40.0, 60.0), strict=False):
        index.add(digest, 1, now)
    entries = [index.get(digest) for digest in _DIGESTS[:4]]
    times = [entry.last_use for entry in entries if entry]
    assert times == sorted(set(times))
    assert list(index) == _DIGESTS[:4]


def test_a_blob_that_grows_counts_with_its_new_size() -> None:
    """An executable twin is counted in its blob, pinned or not."""
    index = LruIndex(100)
    index.add(_DIGESTS[0], 10, 1.0)
    index.resize(_DIGESTS[0], 30)
    index.pin(_DIGESTS[0])
    index.resize(_DIGESTS[0], 40)
    index.check_invariants()
    assert (index.used_bytes, index.pinned_bytes) == (40, 40)
    with pytest.raises(KeyError):
        index.resize(_DIGESTS[1], 1)


def test_pins_that_take_the_limit_make_the_store_full() -> None:
    """StoreFull says what takes the room, and a blob that can never fit is known at once."""
    index = LruIndex(100)
    index.pin(_DIGESTS[0])
    index.add(_DIGESTS[0], 90, 1.0)
    assert index.can_ever_hold(10)
    assert not index.can_ever_hold(11)
    with pytest.raises(StoreFull, match="90 of 100 are pinned"):
        index.plan_eviction(11)
    assert "1 pinned (90)" in repr(index)


def test_a_limit_is_not_negative() -> None:
    """A mistake in the configuration is told at once."""
    with pytest.raises(ValueError, match="negative"):
        LruIndex(-1)


def test_contradictions_are_found() -> None:
    """The self-check does find a wrong sum."""
    index = LruIndex(100)
    index.add(_DIGESTS[0], 5, 1.0)
    index.used_bytes += 1
    with pytest.raises(AssertionError, match="used bytes are 5"):
        index.check_invariants()
