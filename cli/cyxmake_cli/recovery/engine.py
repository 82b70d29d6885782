"""Decides which fix is tried for which cause, what is kept, what is taken back, and when it ends.

Theory of operation. The engine is told how an attempt to build ended, with the causes that were
read and the fixes that may help each, best first. It opens one transaction for every cause that
still has an untried fix, as long as they touch different places; when all of them are applied it
asks for the next attempt. After that a fix is kept when its cause is gone and the build did not
fall back; otherwise it is undone and the next one for that cause is tried. A cause that comes back
after its fix was kept counts as not fixed; where some of a batch helped and others did not, one
more attempt without the others shows whether it was really those. Nothing is tried twice for the
same cause; each cause and each run has a budget, and so has time.

    attempted ok      -> keep all, finish
    attempted failed  -> keep or undo what is open, then apply, or finish
    applied, refused  -> once nothing is outstanding: attempt, or choose again
    undone            -> once nothing is outstanding: choose again

Knows no file, no process and no clock: events in, effects out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from cyxmake_cli.recovery.fixes import Fix, key_of
from cyxmake_common.diagnosis.model import Diagnosis


@dataclass(frozen=True, slots=True)
class Limits:
    """When it is enough."""

    fixes_a_cause: int = 5
    fixes: int = 12
    seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class Choice:
    """A fix that may help, and the places it touches."""

    fix: Fix
    touches: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause of a failure, and what may help it, best first."""

    diagnosis: Diagnosis
    choices: tuple[Choice, ...] = ()

    @property
    def name(self) -> str:
        """Return what makes it the same cause in another attempt."""
        return self.diagnosis.fingerprint

    @property
    def file(self) -> str:
        """Return the file that it was seen in, if one was named."""
        return self.diagnosis.facts.file or ""


@dataclass(frozen=True, slots=True)
class Attempted:
    """An attempt ended; `stage` is how far it came: the number of the verb that failed."""

    now: float
    succeeded: bool
    causes: tuple[Cause, ...] = ()
    stage: int = 0


@dataclass(frozen=True, slots=True)
class Applied:
    """A fix was made; `id` is its transaction."""

    key: str
    id: int


@dataclass(frozen=True, slots=True)
class NotApplied:
    """A fix was not made: refused by a person or a rule, or impossible. Nothing was changed."""

    key: str
    why: str
    denied: bool = False


@dataclass(frozen=True, slots=True)
class Undone:
    """A fix was taken back; `left` are places that somebody else changed meanwhile."""

    id: int
    left: tuple[str, ...] = ()


Event: TypeAlias = Attempted | Applied | NotApplied | Undone


@dataclass(frozen=True, slots=True)
class Attempt:
    """Build."""


@dataclass(frozen=True, slots=True)
class Apply:
    """Make a fix for a cause."""

    choice: Choice
    cause: Cause


@dataclass(frozen=True, slots=True)
class Keep:
    """A fix has helped."""

    id: int


@dataclass(frozen=True, slots=True)
class Undo:
    """A fix has not helped."""

    id: int
    why: str


class End(StrEnum):
    """Why it ends."""

    BUILT = "built"
    NOTHING_KNOWN = "nothing more is known that would help"
    REFUSED = "what would help was not allowed"
    TOO_MANY = "enough was tried"
    TOO_LONG = "it took too long"
    CHANGED = "somebody changed a file meanwhile"


@dataclass(frozen=True, slots=True)
class Finish:
    """The end; `causes` are what is left to a person."""

    end: End
    causes: tuple[Cause, ...] = ()
    refused: tuple[Fix, ...] = ()
    """What was not allowed, in order."""


Effect: TypeAlias = Attempt | Apply | Keep | Undo | Finish


class _State(StrEnum):
    OPEN = "open"
    KEPT = "kept"
    UNDONE = "undone"


@dataclass(slots=True)
class _Made:
    """A fix that was made, for causes that all might be helped by it."""

    causes: set[str]
    choice: Choice
    id: int
    state: _State = _State.OPEN


@dataclass(slots=True)
class _Tried:
    """What was tried for one cause."""

    keys: set[str] = field(default_factory=set)


class Engine:
    """One run of recovery in one project."""

    def __init__(self, started: float, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._started = started
        self._now = started
        self._made: list[_Made] = []
        self._tried: dict[str, _Tried] = {}
        self._outstanding: dict[str, tuple[set[str], Choice]] = {}
        self._undoing: set[int] = set()
        self._causes: tuple[Cause, ...] = ()
        self._stage = -1
        self._refused: list[Fix] = []
        self._applied_now = False
        self._unsure = False
        """A fix was kept at an attempt after which others were undone: they may have helped it."""
        self._finished = False

    def __repr__(self) -> str:
        states = ",".join(f"{m.id}:{m.state}" for m in self._made)
        return f"<Engine [{states}] outstanding={len(self._outstanding) + len(self._undoing)}>"

    def handle(self, event: Event) -> list[Effect]:
        """Take one event and return what is to be done."""
        assert not self._finished, "the run has ended"
        match event:
            case Attempted():
                return self._attempted(event)
            case Applied():
                causes, choice = self._outstanding.pop(event.key)
                self._made.append(_Made(causes, choice, event.id))
                self._applied_now = True
            case NotApplied():
                _, choice = self._outstanding.pop(event.key)
                if event.denied:
                    self._refused.append(choice.fix)
            case Undone():
                self._undoing.discard(event.id)
                if event.left:
                    return self._finish(End.CHANGED)
        return self._go_on()

    def _attempted(self, event: Attempted) -> list[Effect]:
        self._now = event.now
        opened = [m for m in self._made if m.state is _State.OPEN]
        if event.succeeded:
            kept: list[Effect] = [self._keep(m) for m in opened]
            return [*kept, *self._finish(End.BUILT)]
        here = {cause.name for cause in event.causes}
        fell_back = event.stage < self._stage and bool(opened)
        effects: list[Effect] = []
        for made in reversed(self._made):
            if made.state is _State.UNDONE:
                continue
            if made.state is _State.OPEN and fell_back:
                effects.append(self._undo(made, "the build failed earlier than before"))
            elif made.causes <= here:
                effects.append(self._undo(made, "the cause is still there"))
            elif made.state is _State.OPEN:
                made.causes -= here
                effects.append(self._keep(made))
        self._unsure = len({type(effect) for effect in effects}) > 1
        if not fell_back:
            # After a fall the causes of before are to be worked on: what was seen is our own doing.
            self._causes, self._stage = event.causes, event.stage
        return effects if self._undoing else [*effects, *self._choose()]

    def _go_on(self) -> list[Effect]:
        if self._outstanding or self._undoing:
            return []
        if self._applied_now or self._unsure:
            self._applied_now = self._unsure = False
            return [Attempt()]
        return self._choose()

    def _choose(self) -> list[Effect]:
        """Open a transaction for every cause that has something untried; none: the end."""
        if self._now - self._started > self._limits.seconds:
            return self._finish(End.TOO_LONG)
        effects: list[Effect] = []
        touched: set[str] = set()
        files: set[str] = set()
        exhausted = False
        for cause in self._causes:
            if cause.file and cause.file in files:
                continue  # it may follow from what is worked on in this file
            tried = self._tried.setdefault(cause.name, _Tried())
            choice = self._next(cause, tried)
            if choice is None:
                continue
            if (
                len(tried.keys) >= self._limits.fixes_a_cause
                or len(self._made) + len(self._outstanding) >= self._limits.fixes
            ):
                exhausted = True
                continue
            key = key_of(choice.fix)
            if key in self._outstanding:
                tried.keys.add(key)
                self._outstanding[key][0].add(cause.name)
                continue
            if touched & choice.touches:
                continue
            touched |= choice.touches
            files.add(cause.file)
            tried.keys.add(key)
            self._outstanding[key] = ({cause.name}, choice)
            effects.append(Apply(choice, cause))
        if effects:
            return effects
        if exhausted:
            return self._finish(End.TOO_MANY)
        return self._finish(End.REFUSED if self._refused else End.NOTHING_KNOWN)

    def _next(self, cause: Cause, tried: _Tried) -> Choice | None:
        """Return the best fix that was not tried for this cause and is not in force already."""
        in_force = {key_of(m.choice.fix) for m in self._made if m.state is not _State.UNDONE}
        done = tried.keys | in_force
        return next((c for c in cause.choices if key_of(c.fix) not in done), None)

    def _keep(self, made: _Made) -> Keep:
        made.state = _State.KEPT
        return Keep(made.id)

    def _undo(self, made: _Made, why: str) -> Undo:
        made.state = _State.UNDONE
        self._undoing.add(made.id)
        return Undo(made.id, why)

    def _finish(self, end: End) -> list[Effect]:
        self._finished = True
        left = () if end is End.BUILT else self._causes
        return [Finish(end, left, tuple(self._refused))]
