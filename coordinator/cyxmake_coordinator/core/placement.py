"""Where an action goes: the algorithms, the workers that have room in their order, the choice.

Knows nothing of operations, leases or properties; whoever fills a Lineup has matched those already.

Theory of operation. An algorithm gives each worker a score from what is known of it; the smallest
is the best. A Lineup is a sorted list of (full, score, completed, name): the workers with a free
slot come first, then those that have room only for an action assigned ahead. It is kept up to
date as leases come and go, so that a choice costs no walk over all workers: it looks at the first
entry, and at the better ones among those that have the inputs already. With every worker warm, as
in the middle of a build, the first entry is the answer.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from math import inf
from typing import Final, Protocol

from cyxmake_common.ids import WorkerId


class Standing(Protocol):
    """A worker as an algorithm sees it."""

    @property
    def name(self) -> WorkerId:
        """Its name."""

    @property
    def slots(self) -> int:
        """How many actions it runs at once."""

    @property
    def used(self) -> int:
        """How many leases it holds."""

    @property
    def speed(self) -> float:
        """Measured: how fast it is, the cluster's average being 1."""

    @property
    def latency(self) -> float:
        """Measured: seconds from an assignment to the answer, smoothed."""

    @property
    def served(self) -> int:
        """When it got its last assignment, in assignments of all workers."""


Score = Callable[[Standing], float]


def _round_robin(worker: Standing) -> float:
    return worker.served


def _least_loaded(worker: Standing) -> float:
    return 1 + worker.used / worker.slots


def _latency(worker: Standing) -> float:
    return worker.latency


def _weighted(worker: Standing) -> float:
    # Neighbours slow an action down: an idle machine is as good as a full one of twice its speed.
    return (1 + worker.used / worker.slots) / worker.speed


def _random(worker: Standing) -> float:
    return zlib.crc32(f"{worker.name} {worker.served} {worker.used}".encode())


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A way to choose: a score and what it is worth that a worker has the inputs already.

    A worker that has them is taken if its score is at most `patience` times the best; with 0
    nobody asks.
    """

    score: Score
    patience: float = 0.0


ALGORITHMS: Final = {
    "round-robin": Algorithm(_round_robin),
    "least-loaded": Algorithm(_least_loaded),
    "latency": Algorithm(_latency),
    "weighted": Algorithm(_weighted),
    "locality": Algorithm(_least_loaded, patience=inf),
    "weighted-locality": Algorithm(_weighted, patience=2.0),
    "random": Algorithm(_random),
}
"""Every placement algorithm by the name it has in the coordinator's settings."""

DEFAULT_ALGORITHM: Final = "weighted-locality"

Allowed = Callable[[WorkerId], bool]
"""Whether an action may go to a worker; None stands for all."""

Wanted = dict[WorkerId, None]
"""Workers that have something, the one that was given it or used with it last at the end."""

Rank = tuple[bool, float, int, WorkerId]
"""Whether all slots are taken, score, actions completed so far, name: the smallest is the best."""

_MOST: Final = 1 << 62
_MOST_ASKED: Final = 32
_FIRST_FULL: Final[Rank] = (True, -inf, -1, WorkerId(""))


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
        if self._by_name.get(rank[3]) == rank:
            return
        self.drop(rank[3])
        insort(self._ranked, rank)
        self._by_name[rank[3]] = rank

    def drop(self, name: WorkerId) -> None:
        """Take a worker out, if it is in."""
        rank = self._by_name.pop(name, None)
        if rank is not None:
            del self._ranked[bisect_left(self._ranked, rank)]

    def best(self, count: int, allowed: Allowed | None) -> Rank | None:
        """Return the best of the first `count` workers that is allowed."""
        if allowed is None:
            return self._ranked[0] if count else None
        return next((rank for rank in islice(self._ranked, count) if allowed(rank[3])), None)

    def best_of(self, last: Rank, wanted: Wanted, allowed: Allowed | None) -> Rank | None:
        """Return the best worker up to the rank `last` that is wanted and allowed.

        Of very many that are wanted only some are asked: the best of all, and those used last.
        """
        if len(self._ranked) > len(wanted) > _MOST_ASKED:
            first = (rank[3] for rank in islice(self._ranked, _MOST_ASKED) if rank[3] in wanted)
            wanted = dict.fromkeys(chain(first, islice(reversed(wanted), _MOST_ASKED)))
        if len(wanted) < len(self._ranked):
            ranks = (self._by_name.get(name) for name in wanted)
            fitting = (rank for rank in ranks if rank is not None and rank <= last)
            return min((r for r in fitting if allowed is None or allowed(r[3])), default=None)
        for rank in self._ranked:
            if rank > last:
                return None
            if rank[3] in wanted and (allowed is None or allowed(rank[3])):
                return rank
        return None


def choose(
    lineup: Lineup,
    preferred: Sequence[Wanted] = (),
    patience: float = 0.0,
    allowed: Allowed | None = None,
) -> WorkerId | None:
    """Choose a worker with a free slot, else one to assign ahead to, else None.

    `preferred` are the workers that have all the inputs, then those that have less and less of
    them. Having the inputs never outweighs a free slot elsewhere.
    """
    best = lineup.best(len(lineup), allowed)
    return None if best is None else _prefer(lineup, best, preferred, patience, allowed)


def choose_free(
    lineup: Lineup,
    preferred: Sequence[Wanted] = (),
    patience: float = 0.0,
    allowed: Allowed | None = None,
) -> WorkerId | None:
    """Choose as `choose` does, but only among workers with a free slot."""
    best = lineup.best(lineup.free_count(), allowed)
    return None if best is None else _prefer(lineup, best, preferred, patience, allowed)


def _prefer(
    lineup: Lineup,
    best: Rank,
    preferred: Sequence[Wanted],
    patience: float,
    allowed: Allowed | None,
) -> WorkerId:
    if patience:
        full, score, _, name = best
        last = (full, score * patience, _MOST, name)
        for wanted in preferred:
            if name in wanted:
                return name
            found = lineup.best_of(last, wanted, allowed) if wanted else None
            if found is not None:
                return found[3]
    return best[3]
