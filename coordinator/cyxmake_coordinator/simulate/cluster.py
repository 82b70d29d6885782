"""A cluster in virtual time: the real scheduler core, simulated workers, a bad network, a seed.

Every random choice comes from the seed, so a run can be repeated. Knows nothing of builds: whoever
submits operations is told when they end.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final

from cyxmake_common.digest import Digest
from cyxmake_common.ids import BuildId, Namespace, OperationId, SessionId, WorkerId
from cyxmake_coordinator.core.effects import (
    AcceptOperation,
    AssignLease,
    CompleteOperation,
    DisconnectWorker,
    Effect,
    RejectOperation,
    RevokeLease,
)
from cyxmake_coordinator.core.events import (
    ClientLeft,
    Event,
    LeaseEvent,
    OperationCancelled,
    OperationSubmitted,
    Tick,
    WorkerHeartbeat,
    WorkerJoined,
    WorkerLeft,
)
from cyxmake_coordinator.core.invariants import check_invariants
from cyxmake_coordinator.core.scheduler import Scheduler
from cyxmake_coordinator.core.settings import Settings
from cyxmake_coordinator.simulate.machine import Machine, Model, Weather

LINUX: Final = frozenset({("OSFamily", "linux"), ("ISA", "x86-64")})
HEARTBEAT: Final = 1.0
TICK: Final = 0.25


class Cluster:
    """Runs events in order of virtual time and keeps books about every operation.

    With `check_every`, the core's invariants are examined after every so many events.
    """

    def __init__(
        self,
        seed: int,
        weather: Weather,
        settings: Settings | None = None,
        *,
        check_every: int = 0,
    ) -> None:
        self.random = Random(seed)  # noqa: S311 (nothing here is secret)
        self.weather = weather
        self.now = 0.0
        self.core = Scheduler(settings, incarnation=f"sim{seed}")
        self.workers: dict[WorkerId, Machine] = {}
        self.accepted: dict[OperationId, Digest] = {}
        self._wishes: dict[OperationId, Digest] = {}
        self.completed: dict[OperationId, CompleteOperation] = {}
        self.rejected: dict[OperationId, RejectOperation] = {}
        self.events = 0
        self.core_seconds = 0.0
        """Processor time that the core took."""
        self._check_every = check_every
        self._agenda: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._planned = 0
        self._sessions = 0
        self._last_plan = 0.0

    def __repr__(self) -> str:
        return f"<Cluster at {self.now:.2f} s: {self.core!r}>"

    # Time

    def after(self, seconds: float, action: Callable[..., None], *arguments: object) -> None:
        """Plan something."""
        self._planned += 1
        heapq.heappush(self._agenda, (self.now + seconds, self._planned, action, arguments))

    def happens(self, chance: float) -> bool:
        """Tell whether something goes wrong now."""
        return bool(chance) and self.now < self.weather.until and self.random.random() < chance

    def run(self, limit: float = 600.0) -> None:
        """Let time pass until all is submitted and has ended in fine weather, or to the limit."""
        self._tick()
        self._strike(self.weather.crash_every, self.crash)
        self._strike(self.weather.cut_every, self.cut)
        self._strike(self.weather.freeze_every, self.freeze)
        while self._agenda and self.now < limit:
            self.now, _, action, arguments = heapq.heappop(self._agenda)
            action(*arguments)
            if len(self.completed) == len(self.accepted) and self.now > self._calm() and self.idle:
                break

    @property
    def idle(self) -> bool:
        """Whether nothing more will be submitted."""
        return True

    def _calm(self) -> float:
        bad = self.weather
        any_accident = bad.crash_every or bad.cut_every or bad.freeze_every or bad.lost_messages
        return max(bad.until if any_accident else 0.0, self._last_plan)

    def _tick(self) -> None:
        self.feed(Tick(self.now))
        self.after(TICK, self._tick)

    # The core

    def feed(self, event: Event) -> None:
        """Give the core an event and carry its effects out."""
        before = time.thread_time()
        effects = self.core.handle(event)
        self.core_seconds += time.thread_time() - before
        self.events += 1
        if self._check_every and self.events % self._check_every == 0:
            check_invariants(self.core.state, self.core.settings)
        for effect in effects:
            self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case AssignLease() | RevokeLease():
                self._deliver(effect)
            case AcceptOperation():
                assert effect.operation not in self.accepted, "ids are used once"
                self.accepted[effect.operation] = self._wishes[effect.operation]
            case RejectOperation():
                self.rejected[effect.operation] = effect
            case CompleteOperation():
                assert effect.operation in self.accepted, "nothing ends that was not accepted"
                assert effect.operation not in self.completed, "everything ends once"
                self.completed[effect.operation] = effect
                self.on_complete(effect)
            case DisconnectWorker():
                worker = self.workers[effect.worker]
                if worker.session == effect.session:
                    worker.connected = False
                    self.after(1.0, self._connect, worker)
            case _:
                pass

    # What happens to actions: for those who submit them

    def on_complete(self, done: CompleteOperation) -> None:
        """Hear that an operation has ended."""

    def began(self, worker: Machine, action: Digest) -> None:
        """Hear that a command runs."""

    def ended(self, worker: Machine, action: Digest, seconds: float) -> None:
        """Hear that a command ran for so long, to its end or not."""

    def seconds(self, action: Digest) -> float:
        """Return how long the run that begins now takes on a machine of speed 1."""
        return self.random.uniform(0.05, 1.5)

    def input_bytes(self, root: Digest) -> float:
        """Return what a machine that has nothing of an input root has to fetch."""
        return 0.0

    # Clients

    def submit_later(
        self, when: float, number: int, *, client: int, action: str, root: str
    ) -> None:
        """Let a client submit an operation at a moment, and perhaps cancel it later."""
        self._last_plan = max(self._last_plan, when)
        event = OperationSubmitted(
            now=0.0,
            operation=OperationId(f"o{number}"),
            session=SessionId(f"c{client}"),
            namespace=Namespace("team"),
            build=BuildId(f"b{client}"),
            action=Digest.of(action.encode()),
            input_root=Digest.of(root.encode()),
            requirements=LINUX,
        )
        self.after(when, self.submit, event)

    def submit(self, event: OperationSubmitted) -> None:
        """Submit an operation now."""
        self._wishes[event.operation] = event.action
        self.feed(replace(event, now=self.now))
        if self.happens(self.weather.cancelling):
            delay = self.random.uniform(0, 5)
            self.after(delay, self._cancel, event.operation)

    def _cancel(self, name: OperationId) -> None:
        self.feed(OperationCancelled(self.now, name))

    def leave(self, client: int) -> None:
        """Let a client go."""
        self.feed(ClientLeft(self.now, SessionId(f"c{client}")))

    # The network

    def add_worker(self, model: Model) -> Machine:
        """Add a worker that connects at once and sends heartbeats from then on."""
        worker = Machine(self, WorkerId(f"w{len(self.workers):04}"), model)
        self.workers[worker.name] = worker
        self._connect(worker)
        self.after(self.random.uniform(0, HEARTBEAT), self._beat, worker)
        return worker

    def send(self, worker: Machine, event: LeaseEvent) -> None:
        """Send a message of a worker; it arrives in order with its others, or not at all."""
        if worker.connected and not self.happens(self.weather.lost_messages):
            self.after(worker.model.latency, self._arrive, worker, worker.session, event)

    def _arrive(
        self, worker: Machine, session: SessionId, event: LeaseEvent | WorkerHeartbeat
    ) -> None:
        if worker.session == session:
            self.feed(replace(event, now=self.now))

    def _deliver(self, message: AssignLease | RevokeLease) -> None:
        worker = self.workers[message.worker]
        if not self.happens(self.weather.lost_messages):
            self.after(worker.model.latency, self._reach, worker, message)

    def _reach(self, worker: Machine, message: AssignLease | RevokeLease) -> None:
        if not worker.connected or worker.session != message.session:
            return
        if worker.frozen:
            self.after(0.1, self._reach, worker, message)
        else:
            worker.receive(message)

    def _connect(self, worker: Machine) -> None:
        if worker.connected:
            return
        self._sessions += 1
        worker.session = SessionId(f"s{self._sessions}")
        worker.connected = True
        self.feed(
            WorkerJoined(
                now=self.now,
                worker=worker.name,
                session=worker.session,
                slots=worker.model.slots,
                properties=LINUX,
                held=worker.held(),
            )
        )

    def _beat(self, worker: Machine) -> None:
        if worker.connected and not worker.frozen and not self.happens(self.weather.lost_messages):
            # On its way like all messages of the worker, and in order with them.
            beat = WorkerHeartbeat(0.0, worker.name, worker.session, worker.held())
            self.after(worker.model.latency, self._arrive, worker, worker.session, beat)
        self.after(HEARTBEAT, self._beat, worker)

    # Accidents

    def crash(self, worker: Machine) -> None:
        """End a worker's process; a new one connects after a while."""
        self._hang_up(worker)
        worker.die()
        self.after(self.random.uniform(0.5, 3.0), self._connect, worker)

    def power_off(self, worker: Machine, back_after: float) -> None:
        """Let a machine vanish without a word for some time."""
        worker.die()
        self.after(back_after, self._connect, worker)

    def cut(self, worker: Machine) -> None:
        """Cut a worker's connection; it makes a new one, perhaps before we notice."""
        self._hang_up(worker)
        worker.connected = False
        self.after(self.random.uniform(0.05, 8.0), self._connect, worker)

    def freeze(self, worker: Machine) -> None:
        """Let a worker do nothing for a while."""
        worker.frozen = True
        self.after(self.random.uniform(1.0, 10.0), setattr, worker, "frozen", False)

    def _hang_up(self, worker: Machine) -> None:
        self.after(self.random.uniform(0.0, 1.0), self._left, worker.name, worker.session)

    def _left(self, name: WorkerId, session: SessionId) -> None:
        self.feed(WorkerLeft(self.now, name, session))

    def _strike(self, mean: float, strike: Callable[[Machine], None]) -> None:
        """Let something happen to some worker again and again until the weather is fine."""
        if mean:
            self.after(self.random.expovariate(1 / mean), self._happen, mean, strike)

    def _happen(self, mean: float, strike: Callable[[Machine], None]) -> None:
        if self.now < self.weather.until:
            strike(self.random.choice(list(self.workers.values())))
            self._strike(mean, strike)
