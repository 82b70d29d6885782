"""The actions of a build that are under way: how far each is, and what that adds up to.

Knows nothing of why an action is moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cyxmake_cli.cluster.race_events import Stage

_WAITING: Final = frozenset({Stage.ONLY_HERE, Stage.LOOKING, Stage.MISSED})
"""Stages in which nobody has begun an action."""


@dataclass(slots=True)
class Action:
    """One action; `known`: what it takes is no mere guess."""

    name: str
    rank: float
    seconds: float
    known: bool
    raced: bool
    since: float
    """When the present stage began."""
    stage: Stage = Stage.LOOKING
    counted: bool = False
    """Whether its seconds are among those that wait."""
    tools: str = ""
    here_at: float | None = None
    sent_at: float | None = None
    predicted: float = 0.0
    cost: float = 0.0
    """Seconds that a worker on this machine was believed to take longer than this machine."""
    worker: str = ""
    size: int = 0
    hit: bool = False

    @property
    def may_race(self) -> bool:
        """Tell whether it may be begun here, too."""
        return self.raced and self.here_at is None


class Board:
    """All actions that are under way, by stage."""

    def __init__(self) -> None:
        self._actions: dict[str, Action] = {}
        self._stages: dict[Stage, dict[str, Action]] = {stage: {} for stage in Stage}
        self.running: dict[str, Action] = {}
        """What runs on this machine."""
        self.waiting = 0.0
        """Seconds of what nobody has begun."""
        self.coming = 0
        """Bytes of results that are being fetched."""

    def __repr__(self) -> str:
        stages = ", ".join(f"{len(found)} {stage}" for stage, found in self._stages.items())
        return f"<Board {stages}, {len(self.running)} here, {self.waiting:.1f} s wait>"

    def __len__(self) -> int:
        return len(self._actions)

    def get(self, name: str) -> Action | None:
        """Return an action, or None when it has ended."""
        return self._actions.get(name)

    def stage(self, stage: Stage) -> dict[str, Action]:
        """Return the actions of a stage, in the order in which they came to it."""
        return self._stages[stage]

    def idle(self, stage: Stage) -> Iterator[Action]:
        """Iterate over those that do not run here."""
        return (action for action in self._stages[stage].values() if action.here_at is None)

    def most_urgent(self, stage: Stage) -> Action | None:
        """Return the one of them for whose end the most work waits."""
        return max(self.idle(stage), key=by_rank, default=None)

    def add(self, action: Action) -> None:
        """Take an action up."""
        self._actions[action.name] = self._stages[action.stage][action.name] = action
        self._count(action)

    def move(self, action: Action, stage: Stage, now: float, size: int = 0) -> None:
        """Bring an action to a stage; `size` bytes of it are coming."""
        self._leave(action)
        self._stages[stage][action.name] = action
        action.stage, action.since, action.size = stage, now, size
        self.coming += size
        self._count(action)

    def correct(self, action: Action, seconds: float) -> None:
        """Learn what an action takes."""
        self._uncount(action)
        action.seconds, action.known = seconds, True
        self._count(action)

    def begin_here(self, action: Action, now: float) -> None:
        """An action begins to run on this machine."""
        self._uncount(action)
        action.here_at = now
        self.running[action.name] = action

    def remove(self, name: str) -> Action | None:
        """Take an action away."""
        action = self._actions.pop(name, None)
        if action is not None:
            self._leave(action)
            self.running.pop(name, None)
        return action

    def _leave(self, action: Action) -> None:
        del self._stages[action.stage][action.name]
        self._uncount(action)
        if action.stage is Stage.COMING:
            self.coming -= action.size

    def _count(self, action: Action) -> None:
        if action.here_at is None and action.stage in _WAITING:
            action.counted = True
            self.waiting += action.seconds

    def _uncount(self, action: Action) -> None:
        if action.counted:
            action.counted = False
            self.waiting -= action.seconds


def by_rank(action: Action) -> float:
    """Order actions by what waits for their end."""
    return action.rank
