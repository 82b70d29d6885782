"""Brings waiting executions and workers with room together.

Knows nothing of why something waits or why a worker has room.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import inf
from typing import Final, NamedTuple

from cyxmake_common.ids import WorkerId
from cyxmake_coordinator.core.executions import dequeue, taken
from cyxmake_coordinator.core.leases import assign, assign_again
from cyxmake_coordinator.core.placement import Allowed, Lineup, Wanted, choose, choose_free
from cyxmake_coordinator.core.queue import Blocked, Served
from cyxmake_coordinator.core.registry import keep_for, keep_no_longer, pause
from cyxmake_coordinator.core.state import WHOLE_WORKER, Execution, Pool, Worker
from cyxmake_coordinator.core.turn import Turn

_PASSED_AT_MOST: Final = 16
"""Executions that may be passed over because no worker that has room suits them."""

_LAST: Final = 1 << 31
"""The priority of a pool in which nothing may be served: behind all others."""

_NOBODY: Final[frozenset[WorkerId]] = frozenset()
_NONE: Final[Wanted] = {}


def dispatch(turn: Turn) -> None:
    """Assign whatever can be assigned in the pools this turn has touched.

    Groups that share workers take turns inside a priority; in a group the user served least is
    next, in whichever of its pools it waits.
    """
    pools = dict.fromkeys(pool for pool in turn.touched if pool.queue)
    if not pools:
        return
    blocked = _quotas(turn)
    for pool in pools:
        _serve_heavy(turn, pool, blocked)
    while ready := [pool for pool in (pools | turn.reopened) if pool.queue and pool.lineup]:
        pools |= turn.reopened
        turn.reopened.clear()
        pool = ready[0] if len(ready) == 1 else min(ready, key=_urgency(blocked))
        if not _serve(turn, pool, blocked):
            del pools[pool]


def take_back(turn: Turn) -> None:
    """Move actions that wait at a full worker to workers with a free slot."""
    full: set[Pool] = set()
    for lease in list(turn.state.ahead.values()):
        if lease.assigned_at + turn.settings.take_back_after > turn.now:
            break
        holder = turn.state.workers[lease.worker]
        if holder.used <= holder.slots:
            continue  # a slot has become free there: it starts, or is starting
        execution = lease.execution
        if execution.pool in full:
            continue
        name = free_worker(turn, execution)
        if name is None:
            if not execution.pool.lineup.free_count():
                full.add(execution.pool)  # of a busy cluster, thousands may be waiting so
            continue
        turn.state.totals.taken_back += 1
        execution.history.note(turn.now, "taken back from", holder.name)
        assign_again(turn, lease, turn.state.workers[name])


def end_pauses(turn: Turn) -> None:
    """Give work again to workers that were busy for long enough."""
    for worker in turn.state.workers.values():
        if worker.paused_until is not None and worker.paused_until <= turn.now:
            pause(turn, worker, None)


def free_worker(
    turn: Turn, execution: Execution, banned: Collection[WorkerId] = _NOBODY
) -> WorkerId | None:
    """Return the best worker with a free slot for an execution, or None."""
    return choose_free(*_choice(turn, execution, banned))


class _Choice(NamedTuple):
    lineup: Lineup
    preferred: tuple[Wanted, ...]
    patience: float
    allowed: Allowed | None


def _choice(turn: Turn, execution: Execution, banned: Collection[WorkerId] = _NOBODY) -> _Choice:
    pool, warm, patience = execution.pool, turn.state.warm, turn.state.algorithm.patience
    preferred: tuple[Wanted, ...] = ()
    if patience:
        root, build = execution.grounds
        preferred = warm.get(root, _NONE), warm.get(build, _NONE), pool.holders
    return _Choice(pool.lineup, preferred, patience, _allowed(turn, execution, banned))


def _allowed(turn: Turn, execution: Execution, banned: Collection[WorkerId]) -> Allowed | None:
    """Return the test for workers an execution may go to now; None when it may go to all."""
    if not (execution.excluded or execution.memory or banned):
        return None
    members, share = execution.pool.members, turn.settings.memory_share
    memory = _needed(turn, execution)

    def allowed(name: WorkerId) -> bool:
        worker = members[name]
        return (
            name not in banned
            and worker.session not in execution.excluded
            and worker.fits(memory, share)
        )

    return allowed


def _needed(turn: Turn, execution: Execution) -> int:
    """Return the bytes an execution needs; what is too large for all gets one for itself."""
    memory, members = execution.memory, execution.pool.members
    if not memory or memory >= WHOLE_WORKER:
        return memory
    memories = (worker.memory for worker in members.values())
    largest = max(memories, default=0) * turn.settings.memory_share
    return memory if memory <= largest or not largest else WHOLE_WORKER


def _quotas(turn: Turn) -> Blocked | None:
    if not turn.settings.user_slots:
        return None
    holding, slots_of = turn.state.holding, turn.settings.slots_of

    def blocked(user: str) -> bool:
        limit = slots_of(user)
        return limit is not None and holding.get(user, 0) >= limit

    return blocked


def _urgency(blocked: Blocked | None) -> Callable[[Pool], tuple[int, int, float, int]]:
    def urgency(pool: Pool) -> tuple[int, int, float, int]:
        found = pool.queue.urgency(blocked)
        priority, served = found if found is not None else (_LAST, inf)
        return priority, pool.group.served, served, pool.served

    return urgency


def _serve(turn: Turn, pool: Pool, blocked: Blocked | None) -> bool:
    """Assign the next execution of a pool that suits a worker with room."""
    passed: list[Execution] = []
    served: Served[Execution] | None = None
    name: WorkerId | None = None
    while name is None and len(passed) < _PASSED_AT_MOST:
        served = pool.queue.pop(blocked)
        if served is None:
            break
        name = choose(*_choice(turn, served.item))
        if name is None:
            passed.append(served.item)
    for waiting in reversed(passed):
        lanes = (operation.lane for operation in waiting.operations.values())
        pool.queue.push(waiting, lanes, front=True)
        _keep_room(turn, waiting)
    if served is None or name is None:
        return False
    taken(turn, served.item)
    turn.state.services += 1
    pool.served = pool.group.served = turn.state.services
    assign(turn, served.item, turn.state.workers[name], served.payer, served.lane.user)
    return True


def _keep_room(turn: Turn, execution: Execution) -> None:
    """Let one worker run empty for an execution that found no room for its memory."""
    pool = execution.pool
    if not execution.memory or pool.heavy is not None:
        return
    suiting = [w for w in pool.members.values() if _may_be_kept(w, execution)]
    if suiting:
        keep_for(turn, max(suiting, key=lambda w: (w.memory, -w.reserved, w.name)), execution)


def _may_be_kept(worker: Worker, execution: Execution) -> bool:
    return (
        worker.session not in execution.excluded
        and worker.kept_for is None
        and worker.away_since is None
        and worker.health.takes_work(0)
    )


def _serve_heavy(turn: Turn, pool: Pool, blocked: Blocked | None) -> None:
    """Assign the execution that a worker is kept for, when it fits there by now."""
    worker = pool.members.get(pool.heavy) if pool.heavy is not None else None
    execution = worker.kept_for if worker is not None else None
    if worker is None or execution is None:
        return
    lane = pool.queue.lanes(execution)[0]
    if (
        worker.session in execution.excluded
        or worker.away_since is not None
        or not worker.health.takes_work(worker.used)
        or (blocked is not None and blocked(lane.user))
    ):
        keep_no_longer(turn, pool)
    elif worker.free and worker.fits(_needed(turn, execution), turn.settings.memory_share):
        payer = pool.queue.payer(lane)
        dequeue(turn, execution)
        assign(turn, execution, worker, payer, lane.user)
