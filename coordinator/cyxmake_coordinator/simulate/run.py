"""Plays builds on a simulated cluster and measures what came of it.

Knows nothing of command lines.
"""

from __future__ import annotations

import gc
import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from cyxmake_common.digest import Digest
from cyxmake_common.ids import BuildId, Namespace, OperationId, SessionId
from cyxmake_common.outcome import OutcomeKind
from cyxmake_coordinator.core.effects import CompleteOperation
from cyxmake_coordinator.core.events import OperationSubmitted
from cyxmake_coordinator.core.scheduler import Scheduler
from cyxmake_coordinator.core.settings import Settings
from cyxmake_coordinator.core.totals import Totals
from cyxmake_coordinator.simulate.cluster import LINUX, Cluster
from cyxmake_coordinator.simulate.machine import Machine, Model, Weather
from cyxmake_coordinator.simulate.workload import Build, critical_path, work

_LIMIT: Final = 1e6
_RETRY: Final = 1.0
"""Seconds after which a client submits again what the cluster did not do."""
_LATENCY: Final = 0.005
"""A client's way to the coordinator."""
_PER_SLOT: Final = 2
"""Actions that a client has in the cluster for each slot: one runs, the inputs of another come."""


@dataclass(frozen=True, slots=True)
class Measures:
    """What came of a simulation; times are in seconds."""

    actions: int
    makespan: float
    work_bound: float
    """All work over the slots, weighted with their speeds."""
    path_bound: float
    """The longest chain of steps on the fastest machine."""
    wait_p50: float
    """From the moment a step can run to the start of its command."""
    wait_p99: float
    build_waits: tuple[float, ...]
    """The longest such wait in each build."""
    build_spans: tuple[float, ...]
    """From each build's beginning to its end."""
    shares: tuple[tuple[str, float], ...]
    """Each user's part of the slot-seconds while all users had work waiting."""
    fetched_bytes: float
    core_micros: float
    """Processor time of the scheduler core for an action."""
    totals: Totals

    @property
    def bound(self) -> float:
        """No schedule is shorter."""
        return max(self.work_bound, self.path_bound)

    @property
    def stretch(self) -> float:
        """The makespan over what no schedule can go below."""
        return self.makespan / self.bound


@dataclass(slots=True)
class _Task:
    """One step of one build, while it is played."""

    build: int
    event: OperationSubmitted
    seconds: float
    missing: int
    """Steps it needs that have not ended."""
    wanted_by: list[_Task]
    ready_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None


class Playing(Cluster):
    """A cluster in which clients build.

    A step can run when those it needs have ended. Of these a client submits the ones with the
    longest way to the end first, and only as many as keep the cluster busy, as `dbuild` does.
    """

    def __init__(
        self,
        seed: int,
        builds: Sequence[Build],
        fleet: Sequence[Model],
        *,
        settings: Settings | None = None,
        weather: Weather | None = None,
        check_every: int = 0,
    ) -> None:
        super().__init__(seed, weather or Weather(until=0.0), settings, check_every=check_every)
        self.builds = builds
        self.runs: dict[Digest, int] = {}
        """How often each action was begun."""
        self.used: dict[str, list[tuple[float, float]]] = {build.user: [] for build in builds}
        """When each user's commands ran."""
        self._tasks: dict[Digest, _Task] = {}
        self._names: dict[OperationId, _Task] = {}
        self._ready: list[list[tuple[float, int, _Task]]] = [[] for _ in builds]
        """Each build's steps that can run and were not submitted: longest way first."""
        self._order = count()
        self._outstanding = [0] * len(builds)
        self._window = _PER_SLOT * sum(model.slots for model in fleet)
        self._roots = {_root(number): build.input_bytes for number, build in enumerate(builds)}
        for model in fleet:
            self.add_worker(model)
        for number, build in enumerate(builds):
            self._plan(number, build)
        self._unfinished = len(self._tasks)

    @property
    def idle(self) -> bool:
        """Whether all steps have ended."""
        return not self._unfinished

    def play(self) -> Measures:
        """Run all builds to their ends and measure."""
        gc.freeze()  # or looking through what was planned would count as the scheduler's time
        try:
            self.run(_LIMIT)
        finally:
            gc.unfreeze()
        return self._measure()

    def restart_coordinator(self) -> None:
        """Let the coordinator die and be started anew: it knows nothing, workers and clients do."""
        incarnation = f"{self.core.state.incarnation}+"
        self.core = Scheduler(self.core.settings, incarnation=incarnation)
        for worker in self.workers.values():
            worker.connected = False
            self.after(self.random.uniform(0.2, 2.0), self._connect, worker)
        for name in self.accepted.keys() - self.completed.keys():
            del self.accepted[name]
            self.after(self.random.uniform(0.2, 2.0), self._ask, self._names[name])

    def _plan(self, number: int, build: Build) -> None:
        tasks: list[_Task] = []
        for position, (step, rank) in enumerate(zip(build.steps, build.ranks(), strict=True)):
            action = Digest.of(f"{number}/{position}".encode())
            event = OperationSubmitted(
                now=0.0,
                operation=OperationId(""),
                session=SessionId(build.user),
                namespace=Namespace(build.user),
                build=BuildId(f"b{number}"),
                action=action,
                input_root=_root(number),
                requirements=LINUX,
                user=build.user,
                rank=rank,
            )
            task = _Task(number, event, step.seconds, len(step.needs), [])
            for need in step.needs:
                tasks[need].wanted_by.append(task)
            tasks.append(task)
            self._tasks[action] = task
        self.after(build.at, self._begin, number, [task for task in tasks if not task.missing])

    def _begin(self, number: int, tasks: Sequence[_Task]) -> None:
        """Take in steps of a build that can run now, and submit what there is room for."""
        ready = self._ready[number]
        for task in tasks:
            task.ready_at = self.now
            heapq.heappush(ready, (-task.event.rank, next(self._order), task))
        while ready and self._outstanding[number] < self._window:
            self._outstanding[number] += 1
            self._ask(heapq.heappop(ready)[2])

    def _ask(self, task: _Task) -> None:
        position = len(self._names)
        name = OperationId(f"o{position}")
        self._names[name] = task
        event = task.event
        self.submit(
            OperationSubmitted(
                now=self.now,
                operation=name,
                session=event.session,
                namespace=event.namespace,
                build=event.build,
                action=event.action,
                input_root=event.input_root,
                requirements=event.requirements,
                user=event.user,
                rank=event.rank,
            )
        )
        if name in self.rejected:
            self.after(_RETRY, self._ask, task)

    def on_complete(self, done: CompleteOperation) -> None:
        """Go on with the steps that waited for this one; try again what was not done."""
        task = self._names[done.operation]
        if done.outcome.kind is not OutcomeKind.TOOL:
            self.after(_RETRY, self._ask, task)
            return
        task.ended_at = self.now
        self._unfinished -= 1
        self._outstanding[task.build] -= 1
        for waiting in task.wanted_by:
            waiting.missing -= 1
        free = [waiting for waiting in task.wanted_by if not waiting.missing]
        self.after(2 * _LATENCY, self._begin, task.build, free)

    def began(self, worker: Machine, action: Digest) -> None:
        """Note the first start of each action."""
        self.runs[action] = self.runs.get(action, 0) + 1
        task = self._tasks[action]
        if task.started_at is None:
            task.started_at = self.now

    def ended(self, worker: Machine, action: Digest, seconds: float) -> None:
        """Note which user had the slot."""
        user = self._tasks[action].event.user
        self.used[user].append((self.now - seconds, self.now))

    def seconds(self, action: Digest) -> float:
        """Return how long a step takes; whether its first run straggles is decided by its name."""
        seconds = self._tasks[action].seconds
        straggles = int(action.hash[:8], 16) < self.weather.straggling * (1 << 32)
        return seconds * 10 if straggles and self.runs[action] == 1 else seconds

    def input_bytes(self, root: Digest) -> float:
        """Return the size of a build's inputs."""
        return self._roots[root]

    def _measure(self) -> Measures:
        tasks = [task for task in self._tasks.values() if task.ended_at is not None]
        starts = [(task, task.started_at or 0.0, task.ended_at or 0.0) for task in tasks]
        waits = sorted(start - task.ready_at for task, start, _ in starts)
        longest = [0.0] * len(self.builds)
        spans = [0.0] * len(self.builds)
        saturated: dict[str, float] = {}
        for task, start, end in starts:
            user, number = task.event.user, task.build
            longest[number] = max(longest[number], start - task.ready_at)
            spans[number] = max(spans[number], end - self.builds[number].at)
            saturated[user] = max(saturated.get(user, 0.0), start)
        models = [worker.model for worker in self.workers.values()]
        capacity = sum(model.slots * model.speed for model in models)
        return Measures(
            actions=len(tasks),
            makespan=max((end for _, _, end in starts), default=0.0),
            work_bound=work(self.builds) / capacity,
            path_bound=critical_path(self.builds) / max(model.speed for model in models),
            wait_p50=waits[len(waits) // 2],
            wait_p99=waits[int(len(waits) * 0.99)],
            build_waits=tuple(longest),
            build_spans=tuple(spans),
            shares=_shares(self.used, min(saturated.values())),
            fetched_bytes=sum(worker.fetched for worker in self.workers.values()),
            core_micros=self.core_seconds / max(1, len(tasks)) * 1e6,
            totals=self.core.state.totals,
        )


def _root(number: int) -> Digest:
    return Digest.of(f"root {number}".encode())


def _shares(
    used: dict[str, list[tuple[float, float]]], until: float
) -> tuple[tuple[str, float], ...]:
    """Return each user's part of the slot-seconds up to a moment."""
    spent = {
        user: sum(min(end, until) - start for start, end in runs if start < until)
        for user, runs in used.items()
    }
    total = sum(spent.values()) or 1.0
    return tuple((user, seconds / total) for user, seconds in sorted(spent.items()))
