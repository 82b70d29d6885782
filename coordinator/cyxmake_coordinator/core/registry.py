"""Which workers there are, what they match, and how they rank in the lineups of their pools.

Knows nothing of what happens to the actions of a worker that leaves.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from cyxmake_common.digest import Digest
from cyxmake_common.ids import WorkerId
from cyxmake_common.stand_in import lacking, text_hint
from cyxmake_coordinator.core.effects import RejectCode
from cyxmake_coordinator.core.events import PropertySet, WorkerJoined
from cyxmake_coordinator.core.queue import FairQueue
from cyxmake_coordinator.core.state import Execution, Ground, Group, Pool, State, Worker
from cyxmake_coordinator.core.turn import Turn


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no pool can take an action."""

    code: RejectCode
    detail: str
    missing: tuple[Digest, ...] = ()


def attach(turn: Turn, event: WorkerJoined, old: Worker | None) -> Worker:
    """Add a worker, of whose machine its `old` session may tell; its name must be free."""
    worker = Worker(
        name=event.worker,
        session=event.session,
        slots=max(1, event.slots),
        properties=event.properties,
        toolchains=set(event.toolchains),
        last_heard=turn.now,
        draining=event.draining,
        memory=event.memory,
    )
    outcast = turn.state.outcasts.pop(worker.name, None)
    if old is not None:
        worker.health, worker.latency = old.health, old.latency
        worker.speed, worker.pace = old.speed, old.pace
    elif outcast is not None:
        worker.health = outcast
    turn.state.workers[worker.name] = worker
    worker.history.note(turn.now, "joined on", worker.session)
    _enroll_everywhere(turn, worker)
    return worker


def detach(turn: Turn, worker: Worker, why: str) -> None:
    """Take a worker out; its leases still have to be dealt with."""
    _dismiss_everywhere(turn, worker)
    for ground in list(worker.warm):
        _forget_warm(turn.state, worker, ground)
    del turn.state.workers[worker.name]
    if worker.health.quarantined:
        turn.state.outcasts[worker.name] = worker.health
    worker.history.note(turn.now, why)


def set_draining(turn: Turn, name: WorkerId, on: bool) -> None:
    """Let a worker take no new work, or take work again."""
    worker = turn.state.workers.get(name)
    if worker is None or worker.draining == on:
        return
    worker.draining = on
    worker.history.note(turn.now, "drains" if on else "takes work again")
    if on:
        _dismiss_everywhere(turn, worker)
    else:
        _enroll_everywhere(turn, worker)


def set_quarantine(turn: Turn, worker: Worker, on: bool) -> None:
    """Let a worker have tests only, or work again."""
    worker.health.quarantined = on
    worker.history.note(turn.now, "quarantined" if on else "passed its tests")
    if on:
        _dismiss_everywhere(turn, worker)
    else:
        _enroll_everywhere(turn, worker)


def keep_for(turn: Turn, worker: Worker, execution: Execution) -> None:
    """Give a worker nothing until a waiting execution fits into its memory."""
    worker.kept_for = execution
    execution.pool.heavy = worker.name
    refresh(turn, worker)


def keep_no_longer(turn: Turn, pool: Pool) -> None:
    """Give other work again to the worker that was kept for one that needs much memory."""
    assert pool.heavy is not None
    worker = pool.members[pool.heavy]
    pool.heavy = worker.kept_for = None
    turn.reopened.update(worker.pools)
    refresh(turn, worker)


def refresh(turn: Turn, worker: Worker) -> None:
    """Put a worker at its present rank in the lineups of its pools."""
    if worker.kept_for is not None:
        turn.touched[worker.kept_for.pool] = None
    rank = worker.rank(turn.state.algorithm, turn.settings.prefetch)
    for pool in worker.pools:
        if rank is None:
            pool.lineup.drop(worker.name)
        else:
            pool.lineup.put(rank)
            turn.touched[pool] = None


def pause(turn: Turn, worker: Worker, until: float | None) -> None:
    """Give a worker nothing until a moment, or end its pause."""
    worker.paused_until = until
    refresh(turn, worker)


def remember_warm(turn: Turn, worker: Worker, ground: Ground) -> None:
    """Note that a worker has, or is about to have, an input root and a toolchain."""
    state = turn.state
    worker.warm[ground] = None
    worker.warm.move_to_end(ground)
    names = state.warm.setdefault(ground, {})
    names.pop(worker.name, None)  # to the end
    names[worker.name] = None
    if len(worker.warm) > turn.settings.warm_roots:
        _forget_warm(state, worker, next(iter(worker.warm)))


def learn_toolchain(turn: Turn, worker: Worker, toolchain: Digest | None) -> None:
    """Note that a worker runs something with a toolchain, and so has it.

    It may be the only one: the CAS can have lost the toolchain since the lease was given.
    """
    if toolchain is None or toolchain in worker.toolchains:
        return
    worker.toolchains.add(toolchain)
    for pool in turn.state.pools.values():
        if pool.toolchain == toolchain and _is_eligible(turn.state, worker, pool):
            _enroll(turn, worker, pool)


def toolchain_available(turn: Turn, toolchain: Digest) -> None:
    """Let every worker whose properties match run actions with a toolchain."""
    turn.state.toolchains.add(toolchain)
    for pool in turn.state.pools.values():
        if pool.toolchain != toolchain:
            continue
        for worker in turn.state.workers.values():
            if worker.name not in pool.members and _is_eligible(turn.state, worker, pool):
                _enroll(turn, worker, pool)


def toolchain_gone(turn: Turn, worker: Worker, toolchain: Digest) -> None:
    """Note that a toolchain is neither in the CAS nor on a worker that was to use it."""
    turn.state.toolchains.discard(toolchain)
    worker.toolchains.discard(toolchain)
    for pool in turn.state.pools.values():
        if pool.toolchain != toolchain:
            continue
        for member in list(pool.members.values()):
            if not _is_eligible(turn.state, member, pool):
                _dismiss(turn, member, pool)


def trees_gone(turn: Turn, name: WorkerId, trees: Set[Digest]) -> None:
    """Note what a worker would have to lay out, and perhaps to fetch, again."""
    worker = turn.state.workers.get(name)
    if worker is None:
        return
    worker.toolchains.difference_update(trees)
    for ground in list(worker.warm):
        if isinstance(ground, tuple) and not trees.isdisjoint(ground):
            _forget_warm(turn.state, worker, ground)
    for pool in [pool for pool in worker.pools if pool.toolchain in trees]:
        pool.holders.pop(worker.name, None)
        if not _is_eligible(turn.state, worker, pool):
            _dismiss(turn, worker, pool)


def toolchain_broken(turn: Turn, worker: Worker, toolchain: Digest, detail: str) -> None:
    """Give a worker no more actions of a toolchain that does not work there."""
    worker.broken[toolchain] = detail
    worker.toolchains.discard(toolchain)
    worker.history.note(turn.now, "broken toolchain:", detail)
    for pool in [pool for pool in worker.pools if pool.toolchain == toolchain]:
        _dismiss(turn, worker, pool)


def find_pool(turn: Turn, requirements: PropertySet, toolchain: Digest | None) -> Pool | Refusal:
    """Return the pool for an action, or say why no worker could run it."""
    state = turn.state
    pool = state.pools.get((requirements, toolchain))
    if pool is None:
        group = state.groups.get(requirements) or Group()
        queue: FairQueue[Execution] = FairQueue(group.users, turn.settings.weight)
        pool = Pool(requirements, toolchain, queue=queue, group=group)
        for worker in state.workers.values():
            if _is_eligible(state, worker, pool):
                _enroll(turn, worker, pool)
        if pool.members:
            _retire_idle_pools(turn)
            state.pools[pool.key] = pool
            state.groups[requirements] = group
    return pool if pool.members else _explain(state, pool)


def _is_eligible(state: State, worker: Worker, pool: Pool) -> bool:
    has_toolchain = (
        pool.toolchain is None
        or pool.toolchain in worker.toolchains
        or pool.toolchain in state.toolchains
    )
    takes_work = not (worker.draining or worker.health.quarantined)
    works = takes_work and pool.toolchain not in worker.broken
    return has_toolchain and works and not lacking(pool.requirements, worker.properties)


def _enroll_everywhere(turn: Turn, worker: Worker) -> None:
    for pool in turn.state.pools.values():
        if _is_eligible(turn.state, worker, pool):
            _enroll(turn, worker, pool)


def _dismiss_everywhere(turn: Turn, worker: Worker) -> None:
    for pool in list(worker.pools):
        _dismiss(turn, worker, pool)


def _enroll(turn: Turn, worker: Worker, pool: Pool) -> None:
    pool.members[worker.name] = worker
    worker.pools[pool] = None
    if pool.toolchain in worker.toolchains:
        pool.holders[worker.name] = None
    rank = worker.rank(turn.state.algorithm, turn.settings.prefetch)
    if rank is not None:
        pool.lineup.put(rank)
        turn.touched[pool] = None


def _dismiss(turn: Turn, worker: Worker, pool: Pool) -> None:
    if pool.heavy == worker.name:
        keep_no_longer(turn, pool)
    del pool.members[worker.name]
    del worker.pools[pool]
    pool.holders.pop(worker.name, None)
    pool.lineup.drop(worker.name)
    turn.shrunk[pool] = None


def _forget_warm(state: State, worker: Worker, ground: Ground) -> None:
    del worker.warm[ground]
    names = state.warm[ground]
    names.pop(worker.name, None)
    if not names:
        del state.warm[ground]


def _retire_idle_pools(turn: Turn) -> None:
    state = turn.state
    if len(state.pools) < turn.settings.idle_pools:
        return
    for pool in [pool for pool in state.pools.values() if not pool.active]:
        del state.pools[pool.key]
        for worker in pool.members.values():
            del worker.pools[pool]
    used = {pool.requirements for pool in state.pools.values()}
    state.groups = {key: group for key, group in state.groups.items() if key in used}


def _explain(state: State, pool: Pool) -> Refusal:
    """Say what is missing; called when no live worker can run the actions of a pool."""
    if not state.workers:
        return Refusal(RejectCode.NO_WORKER, "no worker is connected")
    matching = [w for w in state.workers.values() if not lacking(pool.requirements, w.properties)]
    if not matching:
        nearest = min(
            state.workers.values(),
            key=lambda w: (len(lacking(pool.requirements, w.properties)), w.name),
        )
        absent = lacking(pool.requirements, nearest.properties)
        named = ", ".join(f"{name}={value}" for name, value in sorted(absent))
        detail = f"no worker offers all that is required; {nearest.name} comes nearest, it lacks"
        for worker in sorted(state.workers.values(), key=lambda w: w.name):
            if hint := text_hint(pool.requirements, worker.properties):
                return Refusal(RejectCode.NO_WORKER, f"{detail} {named}; {worker.name}: {hint}")
        return Refusal(RejectCode.NO_WORKER, f"{detail} {named}")
    # Only draining, quarantine or the toolchain keeps a matching worker out of its pool.
    idle = [w for w in matching if w.draining or w.health.quarantined]
    broken = [w for w in matching if pool.toolchain is not None and pool.toolchain in w.broken]
    if broken and all(worker in broken or worker in idle for worker in matching):
        detail = f"{broken[0].name}: {broken[0].broken[pool.toolchain]}" if pool.toolchain else ""
        return Refusal(RejectCode.TOOLCHAIN_BROKEN, detail)
    if pool.toolchain is None or len(idle) == len(matching):
        why = " or quarantined" if any(w.health.quarantined for w in idle) else ""
        return Refusal(RejectCode.DRAINING, f"every worker that matches is draining{why}")
    detail = f"toolchain {pool.toolchain.hash[:12]} is on no worker that matches and not in the CAS"
    return Refusal(RejectCode.MISSING_TOOLCHAIN, detail, (pool.toolchain,))
