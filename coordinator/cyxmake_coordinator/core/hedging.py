"""Second runs of what takes too long: in a build's tail one slow machine holds everybody up.

Knows nothing of where the first run is slow. Second runs take slots that nobody else wants; what
they won and what they cost is counted.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from cyxmake_coordinator.core.dispatch import free_worker
from cyxmake_coordinator.core.leases import assign_hedge, revoke
from cyxmake_coordinator.core.state import Lease
from cyxmake_coordinator.core.turn import Turn

_LOOKED_AT: Final = 256
"""Leases that are looked at in a turn, those that run longest."""


def hedge(turn: Turn) -> None:
    """Begin what runs much longer than it should once more, where slots are idle."""
    state, settings = turn.state, turn.settings
    if state.waiting or not (state.started or state.pending):
        return
    slots = sum(worker.slots for worker in state.workers.values())
    most = max(1, int(slots * settings.hedge_share))
    oldest = [
        *islice(state.started.values(), _LOOKED_AT),
        *islice(state.pending.values(), _LOOKED_AT),
    ]
    for lease in oldest:
        if len(state.hedges) >= most:
            return
        if not _is_slow(turn, lease):
            continue
        execution = lease.execution
        name = free_worker(turn, execution, {lease.worker})
        # What waits for its inputs is helped only by a worker that has them.
        if name is not None and (
            lease.started_at is not None or name in state.warm.get(execution.grounds[0], ())
        ):
            assign_hedge(turn, execution, state.workers[name])


def settle(turn: Turn, lease: Lease) -> None:
    """Stop the other run of an execution: this one has ended with a verdict."""
    state, execution = turn.state, lease.execution
    first, second = execution.lease, execution.hedge
    if first is None or second is None:
        return
    loser = second
    if lease is second:
        execution.lease, execution.hedge = second, first
        del state.hedges[second.id]
        loser = state.hedges[first.id] = first
        state.totals.hedges_won += 1
    elif second.started_at is not None:
        state.totals.hedge_regret += turn.now - second.started_at
    revoke(turn, loser)


def _is_slow(turn: Turn, lease: Lease) -> bool:
    execution = lease.execution
    if execution.hedge is not None or execution.audit is not None or execution.lease is not lease:
        return False
    if execution.do_not_cache:
        return False  # a whole project: long, and run for one client alone
    since = lease.assigned_at if lease.started_at is None else lease.started_at
    usual = turn.settings.hedge_factor * turn.state.learned.slow(execution.kin)
    return turn.now - since > max(turn.settings.hedge_least, usual)
