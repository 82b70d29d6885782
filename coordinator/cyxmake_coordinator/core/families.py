"""Look-alikes: actions of a build that fail alike are held back while one of them shows the way.

Knows nothing of why they fail, nor of workers. A family is what one build wants that has the same
tools, options and directory; its client names it.

Theory of operation. When several actions of a family have failed in a row for one cause, those that
still wait are *held*, but for one, the *canary*: the last of them, because that is least like those
that failed. A success of any of the family releases all, and more failures are needed before it is
held again. When the canary fails for the same cause, some of what is held goes back to the client,
one at first and then twice as many each time, and another canary is sent: a client confirms each
failure by a run of its own, so that a run here of what fails anyway is a run too many. A canary has
a few seconds, all of them together a few times that; then all are released, and never held again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cyxmake_common.ids import BuildId, Namespace
from cyxmake_common.outcome import Cause, Outcome, OutcomeKind
from cyxmake_coordinator.core.effects import Stage
from cyxmake_coordinator.core.events import Finding
from cyxmake_coordinator.core.executions import complete, hold_back, let_go

if TYPE_CHECKING:
    from cyxmake_coordinator.core.state import Execution
    from cyxmake_coordinator.core.turn import Turn

_MOST: Final = 1_000
"""Families that are remembered."""
_HARDER: Final = 4
"""How many times more failures it takes to hold a family again."""

_ROUNDS: Final = 4
"""With canaries that fail, a family is held for so many times as long at most."""

FamilyKey = tuple[Namespace, BuildId, str]
"""Namespace, build, what its client calls the family."""


@dataclass(slots=True, eq=False)
class Family:
    """Actions of one build that may fail alike."""

    threshold: int
    """Failures in a row, for one cause, after which it is held."""
    live: dict[Execution, None] = field(default_factory=dict)
    """Its executions that have not ended."""
    held: dict[Execution, None] = field(default_factory=dict)
    finding: Finding | None = None
    """What the latest of them failed for."""
    fails: int = 0
    """How many failed for that in a row."""
    since: float | None = None
    """Held since then, or since the last canary failed."""
    begun: float = 0.0
    canary: Execution | None = None
    rounds: int = 0
    """Canaries in a row that failed."""
    barred: bool = False
    """It was held for as long as anything may be."""

    def __repr__(self) -> str:
        return f"<Family of {len(self.live)}, {self.fails} failed, {len(self.held)} held>"


def enter(turn: Turn, execution: Execution, build: BuildId, alike: str) -> None:
    """Make an execution that has just begun to wait one of a family, if its client names one."""
    if not alike or not turn.settings.hold_after:
        return
    families = turn.state.families
    key = execution.namespace, build, alike
    family = families.setdefault(key, Family(turn.settings.hold_after))
    families.move_to_end(key)
    _forget_idle(families)
    execution.family = family
    family.live[execution] = None
    if family.since is not None and _may_be_held(execution):
        _hold(turn, family, execution)


def succeed(turn: Turn, execution: Execution) -> None:
    """Release the family of an execution that has succeeded."""
    family = execution.family
    if family is None:
        return
    family.fails = 0
    if family.since is not None:
        family.threshold *= _HARDER
        _release(turn, family)


def fail(turn: Turn, execution: Execution, finding: Finding) -> None:
    """Take note of a failure; after some for the same cause the family is held."""
    family = execution.family
    if family is None:
        return
    same = family.finding is not None and family.finding.fingerprint == finding.fingerprint
    family.finding, family.fails = finding, family.fails + 1 if same else 1
    if family.since is None:
        if family.fails >= family.threshold and not family.barred:
            _begin(turn, family)
    elif not same:
        _release(turn, family)
    elif execution is family.canary:
        _give_back(turn, family, 2**family.rounds)
        family.rounds += 1
        family.since = turn.now


def look_after(turn: Turn) -> None:
    """See to it that each family that is held has a canary, and none is held for long."""
    for family in list(turn.state.holding_back):
        if _is_over(turn, family):
            family.barred = True
            _release(turn, family)
        elif family.held and (family.canary is None or family.canary.stage is Stage.COMPLETED):
            _send_canary(turn, family)
        if not family.held:
            _release(turn, family)


def _is_over(turn: Turn, family: Family) -> bool:
    since = turn.now if family.since is None else family.since
    most = turn.settings.hold_most
    return turn.now - since >= most or turn.now - family.begun >= _ROUNDS * most


def _begin(turn: Turn, family: Family) -> None:
    family.since = family.begun = turn.now
    family.rounds, family.canary = 0, None
    turn.state.holding_back[family] = None
    for execution in list(family.live):
        if execution in execution.pool.queue and _may_be_held(execution):
            _hold(turn, family, execution)


def _may_be_held(execution: Execution) -> bool:
    """Tell whether nothing speaks for an execution: no attempt, and no other input than before.

    What is not to be cached was sent again by its client, with what the first try lacked.
    """
    return not execution.attempts and not execution.do_not_cache


def _hold(turn: Turn, family: Family, execution: Execution) -> None:
    turn.state.totals.held += 1
    hold_back(turn, execution)
    family.held[execution] = None


def _send_canary(turn: Turn, family: Family) -> None:
    family.canary = next(reversed(family.held))
    let_go(turn, family.canary)
    family.canary.history.note(turn.now, "goes ahead of its look-alikes")


def _release(turn: Turn, family: Family) -> None:
    family.since = family.canary = None
    turn.state.holding_back.pop(family, None)
    # The last first: each goes to the head of the queue.
    for execution in reversed(list(family.held)):
        let_go(turn, execution)


def _give_back(turn: Turn, family: Family, count: int) -> None:
    line = family.finding.line if family.finding is not None else ""
    detail = f"{family.fails} look-alikes failed: {line}"
    outcome = Outcome(OutcomeKind.INFRASTRUCTURE, cause=Cause.SAME_CAUSE, detail=detail)
    for execution in list(family.held)[:count]:
        turn.state.totals.given_back += 1
        complete(turn, execution, outcome)


def _forget_idle(families: OrderedDict[FamilyKey, Family]) -> None:
    while len(families) > _MOST:
        key, family = families.popitem(last=False)
        if family.live:
            families[key] = family
            return
