"""Where an action goes: the workers that have room, ranked, and the choice among them.

Knows nothing of operations, leases or properties; whoever fills a Lineup has matched those already.

Theory of operation. A Lineup is a sorted list of (load, completed, name): a load below one means
a free slot, one or more means that only room for an action assigned ahead is left. So the workers
with free slots are a prefix. A choice walks the smaller of prefix and preferred set; with every
worker warm, as in the middle of a build, the first entry already is the answer.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection
from typing import Final

from cyxmake_common.ids import WorkerId

Rank = tuple[float, int, WorkerId]
"""Load (leases over slots), actions completed so far, name: the smallest is the best choice."""

FULL: Final = 1.0
_FIRST_FULL: Final[Rank] = (FULL, -1, WorkerId(""))


class Lineup:
    """The workers of a pool that have room for one more action, best first."""

    __slots__ = ("_by_name", "_ranked")

    def __init__(self) -> None:
        self._ranked: list[Rank] = []
        self._by_name: dict[WorkerId, Rank] = {}

    def __repr__(self) -> str:
        return f"<Lineup {len(self)} with room, {self.free_count()} with a free slot>"

    def __len__(self) -> int:
        return len(self._ranked)

    def free_count(self) -> int:
        """Return how many workers have a free slot."""
        return bisect_left(self._ranked, _FIRST_FULL)

    def rank(self, name: WorkerId) -> Rank | None:
        """Return a worker's rank, or None when it has no room."""
        return self._by_name.get(name)

    def put(self, rank: Rank) -> None:
        """Add a worker, or move it to its new rank."""
        self.drop(rank[2])
        insort(self._ranked, rank)
        self._by_name[rank[2]] = rank

    def drop(self, name: WorkerId) -> None:
        """Take a worker out, if it is in."""
        rank = self._by_name.pop(name, None)
        if rank is not None:
            del self._ranked[bisect_left(self._ranked, rank)]

    def best(self, count: int, banned: Collection[WorkerId]) -> WorkerId | None:
        """Return the best of the first `count` workers that is not banned."""
        for position in range(count):
            name = self._ranked[position][2]
            if name not in banned:
                return name
        return None

    def best_of(
        self, count: int, wanted: Collection[WorkerId], banned: Collection[WorkerId]
    ) -> WorkerId | None:
        """Return the best of the first `count` workers that is wanted and not banned."""
        if len(wanted) < count:
            last = self._ranked[count - 1]
            ranks = (self._by_name.get(name) for name in wanted if name not in banned)
            found = min((rank for rank in ranks if rank and rank <= last), default=None)
            return found[2] if found else None
        for position in range(count):
            name = self._ranked[position][2]
            if name in wanted and name not in banned:
                return name
        return None


def choose(
    lineup: Lineup,
    warm: Collection[WorkerId],
    holders: Collection[WorkerId],
    banned: Collection[WorkerId] = (),
) -> WorkerId | None:
    """Choose a worker with a free slot, else one to assign ahead to, else None.

    `warm` have the input root and the toolchain, `holders` at least the toolchain: in this order
    they come before the least loaded. Being warm never outweighs a free slot elsewhere.
    """
    return choose_free(lineup, warm, holders, banned) or _choose_among(
        lineup, len(lineup), warm, holders, banned
    )


def choose_free(
    lineup: Lineup,
    warm: Collection[WorkerId],
    holders: Collection[WorkerId],
    banned: Collection[WorkerId] = (),
) -> WorkerId | None:
    """Choose as `choose` does, but only among workers with a free slot."""
    return _choose_among(lineup, lineup.free_count(), warm, holders, banned)


def _choose_among(
    lineup: Lineup,
    count: int,
    warm: Collection[WorkerId],
    holders: Collection[WorkerId],
    banned: Collection[WorkerId],
) -> WorkerId | None:
    return (
        lineup.best_of(count, warm, banned)
        or lineup.best_of(count, holders, banned)
        or lineup.best(count, banned)
    )
