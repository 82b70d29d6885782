"""The choice of a worker: warm, then toolchain, then least loaded; a free slot before all."""

from __future__ import annotations

from collections.abc import Collection

from hypothesis import given
from hypothesis import strategies as st

from cyxmake_common.ids import WorkerId
from cyxmake_coordinator.core.placement import FULL, Lineup, Rank, choose, choose_free


def names(text: str) -> set[WorkerId]:
    """Return workers with one-letter names."""
    return {WorkerId(letter) for letter in text}


def lineup(**loads: float) -> Lineup:
    """Return a lineup of workers by load."""
    made = Lineup()
    for name, load in loads.items():
        made.put((load, 0, WorkerId(name)))
    return made


def test_least_loaded_then_fewest_completed_then_name() -> None:
    """Without preferences the rank decides."""
    assert choose(lineup(a=0.5, b=0.25), (), ()) == "b"
    made = lineup(b=0.0, c=0.0)
    made.put((0.0, 3, WorkerId("a")))
    assert choose(made, (), ()) == "b"


def test_warm_before_holder_before_any() -> None:
    """A warm worker wins over one that has the toolchain, that one over a colder one."""
    made = lineup(a=0.0, b=0.1, c=0.2)
    assert choose(made, names("c"), names("bc")) == "c"
    assert choose(made, (), names("bc")) == "b"
    assert choose(made, names("z"), names("z")) == "a"


def test_full_warm_worker_does_not_delay() -> None:
    """A cold worker with a free slot is taken before assigning ahead to a warm one."""
    made = lineup(a=FULL, b=0.5)
    assert choose(made, names("a"), names("a")) == "b"
    assert choose(made, names("a"), names("a"), names("b")) == "a"
    assert choose_free(made, names("a"), names("a"), names("b")) is None


def test_nobody() -> None:
    """No worker with room, or none that is allowed, gives None."""
    assert choose(lineup(), names("a"), names("a")) is None
    assert choose(lineup(a=0.0), (), (), names("a")) is None


def test_put_moves_and_drop_removes() -> None:
    """A worker has one place; dropping one that is not in does nothing."""
    made = lineup(a=0.0, b=0.5)
    made.put((0.75, 0, WorkerId("a")))
    assert choose(made, (), ()) == "b"
    made.drop(WorkerId("b"))
    made.drop(WorkerId("b"))
    assert made.rank(WorkerId("b")) is None
    assert made.rank(WorkerId("a")) == (0.75, 0, "a")
    assert repr(made) == "<Lineup 1 with room, 1 with a free slot>"


def by_the_book(
    ranks: list[Rank],
    warm: Collection[WorkerId],
    holders: Collection[WorkerId],
    banned: Collection[WorkerId],
) -> WorkerId | None:
    """Choose as the rule reads, by sorting everything."""
    allowed = [rank for rank in ranks if rank[2] not in banned]
    keys = [(r[0] >= FULL, r[2] not in warm, r[2] not in holders, r) for r in allowed]
    return min(keys)[-1][2] if keys else None


LETTERS = st.sets(st.sampled_from("abcdefgh").map(WorkerId))


@given(
    st.dictionaries(
        st.sampled_from("abcdefgh").map(WorkerId),
        st.tuples(st.sampled_from([0.0, 0.25, 0.5, FULL]), st.integers(0, 2)),
    ),
    LETTERS,
    LETTERS,
    LETTERS,
)
def test_agrees_with_the_rule(
    workers: dict[WorkerId, tuple[float, int]],
    warm: set[WorkerId],
    holders: set[WorkerId],
    banned: set[WorkerId],
) -> None:
    """The walk over prefixes and sets finds what sorting everything finds."""
    made = Lineup()
    ranks = [(load, done, name) for name, (load, done) in workers.items()]
    for rank in ranks:
        made.put(rank)
    # A warm worker has the toolchain, or is fetching it.
    holders |= warm
    assert choose(made, warm, holders, banned) == by_the_book(ranks, warm, holders, banned)
