"""Brings waiting executions and workers with room together.

Knows nothing of why something waits or why a worker has room.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from cyxmake_common.ids import WorkerId
from cyxmake_coordinator.core.executions import taken
from cyxmake_coordinator.core.leases import assign, revoke
from cyxmake_coordinator.core.placement import Lineup, choose, choose_free
from cyxmake_coordinator.core.registry import pause
from cyxmake_coordinator.core.state import Execution, Pool, State
from cyxmake_coordinator.core.turn import Turn

_PASSED_AT_MOST: Final = 16
"""Executions that may be passed over because they exclude the workers that have room."""

_NOBODY: Final[frozenset[WorkerId]] = frozenset()


def dispatch(turn: Turn) -> None:
    """Assign whatever can be assigned in the pools this turn has touched.

    Pools that share workers take turns inside a priority.
    """
    pools = [pool for pool in turn.touched if pool.queue]
    while ready := [pool for pool in pools if pool.queue and pool.lineup]:
        pool = ready[0] if len(ready) == 1 else min(ready, key=_urgency)
        if not _serve(turn, pool):
            pools.remove(pool)


def take_back(turn: Turn) -> None:
    """Move actions that wait at a full worker to workers with a free slot."""
    for lease in list(turn.state.ahead.values()):
        if lease.assigned_at + turn.settings.take_back_after > turn.now:
            break
        holder = turn.state.workers[lease.worker]
        if len(holder.leases) <= holder.slots:
            continue  # a slot has become free there: it starts, or is starting
        execution = lease.execution
        name = choose_free(*_choice(turn.state, execution))
        if name is None:
            continue
        revoke(turn, lease)
        execution.attempts -= 1
        turn.state.totals.taken_back += 1
        execution.history.note(turn.now, "taken back from", holder.name)
        assign(turn, execution, turn.state.workers[name])


def end_pauses(turn: Turn) -> None:
    """Give work again to workers that were busy for long enough."""
    for worker in turn.state.workers.values():
        if worker.paused_until is not None and worker.paused_until <= turn.now:
            pause(turn, worker, None)


def _urgency(pool: Pool) -> tuple[int, int]:
    return pool.queue.best_priority, pool.served


def _serve(turn: Turn, pool: Pool) -> bool:
    """Assign the next execution of a pool that is wanted by a worker with room."""
    passed: list[Execution] = []
    name: WorkerId | None = None
    while pool.queue and name is None and len(passed) < _PASSED_AT_MOST:
        execution = pool.queue.pop()
        name = choose(*_choice(turn.state, execution))
        if name is None:
            passed.append(execution)
    for waiting in reversed(passed):
        lanes = (operation.lane for operation in waiting.operations.values())
        pool.queue.push(waiting, lanes, front=True)
    if name is None:
        return False
    taken(turn, execution)
    turn.state.services += 1
    pool.served = turn.state.services
    assign(turn, execution, turn.state.workers[name])
    return True


def _choice(
    state: State, execution: Execution
) -> tuple[Lineup, Collection[WorkerId], Collection[WorkerId], Collection[WorkerId]]:
    pool = execution.pool
    warm = state.warm.get(execution.ground, _NOBODY)
    return pool.lineup, warm, pool.holders, _banned(pool, execution)


def _banned(pool: Pool, execution: Execution) -> Collection[WorkerId]:
    """Return the workers an execution must not go to: those still on an excluded session."""
    if not execution.excluded:
        return _NOBODY
    return {
        name
        for session, name in execution.excluded.items()
        if name in pool.members and pool.members[name].session == session
    }
