"""What earlier runs say of the next."""

from __future__ import annotations

import pytest

from cyxmake_coordinator.core.history import History
from support.scheduling import digest

A, B = digest("a"), digest("b")


def test_nothing_is_known_at_first() -> None:
    """Then every action is as long as any, and needs no memory that we know of."""
    history = History(10)
    assert (history.expected(A), history.slow(A), history.memory(A)) == (1.0, 1.0, 0)


def test_an_action_is_as_it_was() -> None:
    """The median of its last runs, nine of ten, and the most memory ever."""
    history = History(10)
    for seconds, memory in [(90.0, 5), (1.0, 9), (2.0, 0), (3.0, 1), (4.0, 2), (5.0, 3)]:
        history.learn(A, seconds, memory)
    assert (history.expected(A), history.slow(A), history.memory(A)) == (3.5, 5.0, 9)


def test_an_unknown_action_is_as_the_others_were() -> None:
    """The mean of all, and what nine of ten stay below."""
    history = History(10)
    for number in range(10):
        history.learn(digest(str(number)), 2.0 + (number == 9) * 10, 0)
    assert history.expected(A) == pytest.approx(3.0)
    assert history.slow(A) == 12.0
    history.learn(B, 2.0, 0)
    assert history.slow(A) == 2.0


def test_what_was_not_seen_for_long_is_forgotten() -> None:
    """The number of actions is bounded; a run makes one young again."""
    history = History(2)
    for kin in (A, B, A, digest("c")):
        history.learn(kin, 7.0 if kin == A else 1.0, 1)
    assert history.expected(A) == 7.0
    assert history.memory(B) == 0
    assert repr(history) == "<History of 2 actions, 4.00 s on average>"
