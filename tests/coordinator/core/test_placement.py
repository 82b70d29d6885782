"""The choice of a worker: a free slot before all, then the algorithm, then who has the inputs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyxmake_common.ids import WorkerId
from cyxmake_coordinator.core.placement import (
    ALGORITHMS,
    DEFAULT_ALGORITHM,
    Lineup,
    Rank,
    Wanted,
    choose,
    choose_free,
)


@dataclass(frozen=True)
class Machine:
    """A worker as an algorithm sees it."""

    name: WorkerId = WorkerId("w")  # noqa: RUF009
    slots: int = 4
    used: int = 0
    speed: float = 1.0
    latency: float = 0.01
    served: int = 0


def names(text: str) -> Wanted:
    """Return workers with one-letter names."""
    return dict.fromkeys(map(WorkerId, text))


def lineup(full: str = "", **scores: float) -> Lineup:
    """Return a lineup of workers by score; those in `full` have no free slot."""
    made = Lineup()
    for name, score in scores.items():
        made.put((name in full, score, 0, WorkerId(name)))
    return made


@pytest.mark.parametrize(
    ("algorithm", "better", "worse"),
    [
        ("round-robin", Machine(served=3, used=3), Machine(served=4)),
        ("least-loaded", Machine(used=1, slots=4), Machine(used=1, slots=2)),
        ("latency", Machine(latency=0.001, used=3), Machine(latency=0.02)),
        ("weighted", Machine(speed=2.5, used=3), Machine(speed=1.0)),
        ("weighted", Machine(speed=1.0), Machine(speed=1.5, used=3)),
        ("locality", Machine(used=1), Machine(used=2)),
        ("weighted-locality", Machine(speed=1.1), Machine(speed=1.0)),
    ],
)
def test_each_algorithm_prefers_what_its_name_says(
    algorithm: str, better: Machine, worse: Machine
) -> None:
    """The smaller score is the better one."""
    score = ALGORITHMS[algorithm].score
    assert score(better) < score(worse)


def test_random_depends_on_nothing_that_a_worker_is() -> None:
    """It changes with every assignment, and is the same for the same state."""
    score = ALGORITHMS["random"].score
    draws = [score(Machine(served=number)) for number in range(100)]
    assert len(set(draws)) == 100
    assert score(Machine(served=7)) == draws[7]
    assert score(Machine(speed=5.0, latency=9.0, served=7)) == draws[7]


def test_only_local_algorithms_ask_for_inputs() -> None:
    """The table says which; the default does, within bounds."""
    patient = {name for name, algorithm in ALGORITHMS.items() if algorithm.patience}
    assert patient == {"locality", "weighted-locality"}
    assert ALGORITHMS[DEFAULT_ALGORITHM].patience == 2.0


def test_score_then_fewest_completed_then_name() -> None:
    """Without preferences the rank decides."""
    assert choose(lineup(a=0.5, b=0.25)) == "b"
    made = lineup(b=0.0, c=0.0)
    made.put((False, 0.0, 3, WorkerId("a")))
    assert choose(made) == "b"


def test_who_has_more_of_the_inputs_comes_first() -> None:
    """A worker with all inputs wins over one with some, that one over a colder one."""
    made = lineup(a=1.0, b=1.1, c=1.2)
    assert choose(made, [names("c"), names("bc")], inf) == "c"
    assert choose(made, [{}, names("bc")], inf) == "b"
    assert choose(made, [names("a"), names("b")], inf) == "a"
    assert choose(made, [names("z"), names("z")], inf) == "a"


def test_inputs_are_worth_only_so_much() -> None:
    """A worker that has them is passed over when it scores too much worse than the best."""
    made = lineup(a=1.0, b=2.0, c=2.1)
    assert choose(made, [names("b")], 2.0) == "b"
    assert choose(made, [names("c")], 2.0) == "a"
    assert choose(made, [names("c"), names("b")], 2.0) == "b"
    assert choose(made, [names("b")], 0.0) == "a"


def test_many_who_have_the_inputs() -> None:
    """Then the order of all is walked, and no further than it is worth."""
    made = lineup(a=1.0, b=1.5, c=3.0)
    assert choose(made, [names("bcxy")], 2.0) == "b"
    assert choose(made, [names("cxyz")], 2.0) == "a"
    assert choose(made, [names("wxyz")], inf) == "a"
    assert choose(made, [names("bcxy")], 2.0, lambda name: name != "b") == "a"


def test_of_very_many_who_have_the_inputs() -> None:
    """The best of all are asked, and who used them last; not a thousand for each action."""
    scores = {f"w{number:04}": 1.0 + number / 10_000 for number in range(2_000)}
    made = lineup("", **scores)
    warm = dict.fromkeys(map(WorkerId, [f"w{number:04}" for number in range(1, 1_000)]))
    assert choose(made, [warm], inf) == "w0001"
    late = dict.fromkeys(map(WorkerId, [f"w{number:04}" for number in range(1_999, 999, -1)]))
    assert choose(made, [late], inf) == "w1000"
    assert choose(made, [late], 1.05) == "w0000"
    assert choose(made, [late], inf, lambda name: name != "w1000") == "w1001"


def test_full_warm_worker_does_not_delay() -> None:
    """A cold worker with a free slot is taken before assigning ahead to a warm one."""
    made = lineup(full="ac", a=1.0, b=9.0, c=0.5)
    assert choose(made, [names("a")], inf) == "b"
    assert choose(made, [names("a")], inf, lambda name: name != "b") == "a"
    assert choose_free(made, [names("a")], inf, lambda name: name != "b") is None


def test_nobody() -> None:
    """No worker with room, or none that is allowed, gives None."""
    assert choose(lineup(), [names("a")], inf) is None
    assert choose_free(lineup(full="a", a=0.0)) is None
    assert choose(lineup(a=0.0), allowed=lambda _: False) is None


def test_put_moves_and_drop_removes() -> None:
    """A worker has one place; dropping one that is not in does nothing."""
    made = lineup(a=0.0, b=0.5)
    made.put((False, 0.75, 0, WorkerId("a")))
    assert choose(made) == "b"
    made.drop(WorkerId("b"))
    made.drop(WorkerId("b"))
    assert made.rank(WorkerId("b")) is None
    assert made.rank(WorkerId("a")) == (False, 0.75, 0, "a")
    assert repr(made) == "<Lineup 1 with room, 1 with a free slot>"


def by_the_book(
    ranks: list[Rank],
    preferred: list[Wanted],
    patience: float,
    banned: Collection[WorkerId],
) -> WorkerId | None:
    """Choose as the rule reads, by sorting everything."""
    ranks = sorted(rank for rank in ranks if rank[3] not in banned)
    ranks = [rank for rank in ranks if rank[0] == ranks[0][0]]
    for wanted in preferred if patience else []:
        near = [r for r in ranks if r[3] in wanted and r[1] <= ranks[0][1] * patience]
        if near:
            return near[0][3]
    return ranks[0][3] if ranks else None


LETTERS = st.sets(st.sampled_from("abcdefgh").map(WorkerId))


@given(
    st.dictionaries(
        st.sampled_from("abcdefgh").map(WorkerId),
        st.tuples(st.booleans(), st.sampled_from([1.0, 1.5, 2.0, 4.0]), st.integers(0, 2)),
    ),
    st.lists(LETTERS.map(dict.fromkeys), max_size=3),
    st.sampled_from([0.0, 1.0, 2.0, inf]),
    LETTERS,
)
def test_agrees_with_the_rule(
    workers: dict[WorkerId, tuple[bool, float, int]],
    preferred: list[Wanted],
    patience: float,
    banned: set[WorkerId],
) -> None:
    """The walk over prefixes and sets finds what sorting everything finds."""
    made = Lineup()
    ranks = [(*rank, name) for name, rank in workers.items()]
    for rank in ranks:
        made.put(rank)
    chosen = choose(made, preferred, patience, lambda name: name not in banned)
    assert chosen == by_the_book(ranks, preferred, patience, banned)
    if not banned:
        assert choose(made, preferred, patience) == chosen
