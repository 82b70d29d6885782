"""One call of the scheduler: the state, the moment, and what has to be done because of it.

Knows nothing of the event; the functions that handle it all take the same turn.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cyxmake_coordinator.core.effects import Effect
from cyxmake_coordinator.core.settings import Settings
from cyxmake_coordinator.core.state import Pool, State


@dataclass(slots=True, repr=False)
class Turn:
    """What the functions of the core share while they handle one event.

    Pools are only marked while an event changes the state; they are swept and served once at its
    end, so that no decision is taken on a half-changed cluster.
    """

    state: State
    settings: Settings
    now: float
    effects: list[Effect] = field(default_factory=list)
    touched: dict[Pool, None] = field(default_factory=dict)
    """Pools in which an action may have become placeable."""
    reopened: dict[Pool, None] = field(default_factory=dict)
    """Pools of a worker that is kept for nothing any more, perhaps in the middle of serving."""
    shrunk: dict[Pool, None] = field(default_factory=dict)
    """Pools that lost a member, for good or for a while."""

    def __repr__(self) -> str:
        return f"<Turn at {self.now:.3f}, {len(self.effects)} effects, {self.state!r}>"
