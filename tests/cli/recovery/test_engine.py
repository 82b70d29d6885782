"""The decisions of recovery: events in, effects out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyxmake_cli.recovery.engine import (
    Applied,
    Apply,
    Attempt,
    Attempted,
    Cause,
    Choice,
    Effect,
    End,
    Engine,
    Event,
    Finish,
    Keep,
    Limits,
    NotApplied,
    Undo,
    Undone,
)
from cyxmake_cli.recovery.fixes import AddOptions, Fix, key_of
from cyxmake_common.diagnosis.model import Category, Diagnosis, Facts


def _fix(name: str) -> Fix:
    return AddOptions((name,))


def _cause(name: str, *fixes: str, file: str | None = None, touches: str = "") -> Cause:
    diagnosis = Diagnosis(Category.CODE_ERROR, Facts(file=file), 1.0, "r", name)
    places = frozenset({touches} if touches else ())
    return Cause(diagnosis, tuple(Choice(_fix(f), places) for f in fixes))


class _World:
    """A build that fails by causes until the right fixes are in force."""

    def __init__(self, causes: Sequence[Cause], right: dict[str, str], refused: Sequence[str] = ()):
        self.causes, self.right, self.refused = causes, right, refused
        self.in_force: dict[int, str] = {}
        self.story: list[str] = []
        self.ids = itertools.count(1)

    def run(self, limits: Limits | None = None) -> Finish:
        engine = Engine(0.0, limits)
        waiting: list[Effect] = [Attempt()]
        now = 0.0
        while True:
            effect = waiting.pop(0)
            now += 1
            match effect:
                case Attempt():
                    event: Event = self._attempt(now)
                case Apply():
                    event = self._apply(effect)
                case Undo():
                    self.story.append(f"undo {self.in_force.pop(effect.id)}")
                    event = Undone(effect.id)
                case Keep():
                    self.story.append(f"keep {self.in_force[effect.id]}")
                    continue
                case Finish():
                    assert not waiting
                    return effect
            waiting.extend(engine.handle(event))

    def _attempt(self, now: float) -> Attempted:
        left = [c for c in self.causes if self.right.get(c.name) not in self.in_force.values()]
        self.story.append("attempt")
        return Attempted(now, not left, tuple(left), 2)

    def _apply(self, effect: Apply) -> Event:
        fix = effect.choice.fix
        assert isinstance(fix, AddOptions)
        name = fix.options[0]
        if name in self.refused:
            return NotApplied(key_of(fix), "no", denied=True)
        id = next(self.ids)
        self.in_force[id] = name
        self.story.append(f"apply {name}")
        return Applied(key_of(fix), id)


def test_a_fix_that_does_not_help_is_taken_back_before_the_next() -> None:
    """The wrong fix is undone, the right one is kept, and the run ends built."""
    world = _World([_cause("a", "wrong", "right")], {"a": "right"})
    assert world.run().end is End.BUILT
    assert world.story == [
        "attempt", "apply wrong", "attempt", "undo wrong", "apply right", "attempt", "keep right",
    ]  # fmt: skip


def test_causes_of_one_log_are_fixed_together() -> None:
    """Two causes are two transactions and one further attempt; only what helped is kept."""
    world = _World([_cause("a", "x", "right"), _cause("b", "good")], {"a": "right", "b": "good"})
    assert world.run().end is End.BUILT
    assert world.story.count("attempt") == 4  # one of them makes sure of what helped
    assert [s for s in world.story if s.startswith("undo")] == ["undo x"]


def test_what_touches_the_same_place_is_not_tried_at_once() -> None:
    """Of two fixes for one place, or two causes in one file, only the first is tried at a time."""
    for causes in (
        [_cause("a", "x", touches="/p"), _cause("b", "y", touches="/p")],
        [_cause("a", "x", file="m.c"), _cause("b", "y", file="m.c")],
    ):
        world = _World(causes, {"a": "x", "b": "y"})
        assert world.run().end is End.BUILT
        assert world.story[1:4] == ["apply x", "attempt", "keep x"]


def test_the_end_says_why_and_what_is_left() -> None:
    """Nothing known, refused, and enough tried are told apart, with the causes that are left."""
    nothing = _World([_cause("a", "x")], {}).run()
    assert (nothing.end, [c.name for c in nothing.causes]) == (End.NOTHING_KNOWN, ["a"])
    assert _World([_cause("a", "x")], {}, refused=["x"]).run().end is End.REFUSED
    many = _World([_cause("a", *"123456789")], {})
    assert many.run().end is End.TOO_MANY
    assert sum(s.startswith("apply") for s in many.story) == Limits().fixes_a_cause
    late = _World([_cause("a", "x", "y")], {})
    assert late.run(Limits(seconds=2)).end is End.TOO_LONG
    assert not late.in_force


def test_a_build_that_falls_back_has_its_fix_undone() -> None:
    """A fix after which an earlier step fails is undone though its cause is not seen any more."""
    engine = Engine(0.0)
    cause, other = _cause("a", "x", "y"), _cause("configure")
    (apply,) = engine.handle(Attempted(1, False, (cause,), 2))
    assert isinstance(apply, Apply)
    assert engine.handle(Applied(key_of(_fix("x")), 1)) == [Attempt()]
    (undo,) = engine.handle(Attempted(2, False, (other,), 1))
    assert isinstance(undo, Undo)
    (again,) = engine.handle(Undone(1))
    assert isinstance(again, Apply)
    assert again.choice.fix == _fix("y")


def test_a_file_that_somebody_changed_meanwhile_ends_it() -> None:
    """Nothing more is tried once an undo had to leave something."""
    engine = Engine(0.0)
    engine.handle(Attempted(1, False, (_cause("a", "x", "y"),), 2))
    engine.handle(Applied(key_of(_fix("x")), 1))
    engine.handle(Attempted(2, False, (_cause("a", "x", "y"),), 2))
    (finish,) = engine.handle(Undone(1, ("/p",)))
    assert isinstance(finish, Finish)
    assert finish.end is End.CHANGED


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_it_always_ends_with_nothing_useless_in_force(data: st.DataObject) -> None:
    """Whatever helps: no fix twice for a cause, at the end only what removed its own cause."""
    names = st.sampled_from("uvwxyz")
    causes, right = [], {}
    for number in range(data.draw(st.integers(1, 4))):
        fixes = data.draw(st.lists(names, unique=True, max_size=3))
        helps = data.draw(st.booleans())
        if helps:  # wrong fixes may be shared by causes, right ones are a cause's own
            fixes.insert(data.draw(st.integers(0, len(fixes))), f"right{number}")
        cause = _cause(str(number), *fixes, touches=data.draw(st.sampled_from(("", "/a", "/b"))))
        causes.append(cause)
        if helps:
            right[cause.name] = f"right{number}"
    world = _World(causes, right, data.draw(st.lists(names, max_size=2)))
    finish = world.run()
    fixed = all(c.name in right and right[c.name] in world.in_force.values() for c in causes)
    assert (finish.end is End.BUILT) == fixed
    assert set(world.in_force.values()) <= set(right.values())
    applied = [s for s in world.story if s.startswith("apply")]
    assert len(applied) <= sum(len(c.choices) for c in causes)


def test_events_after_the_end_are_a_mistake() -> None:
    """A run that has ended takes nothing any more."""
    engine = Engine(0.0)
    engine.handle(Attempted(1, True))
    with pytest.raises(AssertionError):
        engine.handle(Attempted(2, True))
