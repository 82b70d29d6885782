"""A cluster in virtual time: the real scheduler core, simulated workers, a bad network, a seed.

Knows nothing of pytest. Every random choice comes from the seed, so a failing run can be repeated.
"""

from __future__ import annotations

import heapq
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
from support.simulated_worker import SimulatedWorker, Weather

LINUX: Final = frozenset({("OSFamily", "linux"), ("ISA", "x86-64")})
LATENCY: Final = 0.02
HEARTBEAT: Final = 1.0
TICK: Final = 0.25


class SimulatedCluster:
    """Runs events in order of virtual time and keeps books about every operation."""

    def __init__(self, seed: int, weather: Weather, *, check_every: int = 1) -> None:
        self.random = Random(seed)
        self.weather = weather
        self.now = 0.0
        self.core = Scheduler(incarnation=f"sim{seed}")
        self.workers: dict[WorkerId, SimulatedWorker] = {}
        self.accepted: dict[OperationId, Digest] = {}
        self.completed: dict[OperationId, CompleteOperation] = {}
        self.rejected: dict[OperationId, RejectOperation] = {}
        self.events = 0
        self._check_every = check_every
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._planned = 0
        self._sessions = 0
        self._submitted_by = 0.0

    # Time

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Plan something."""
        self._planned += 1
        heapq.heappush(self._agenda, (self.now + seconds, self._planned, action))

    def happens(self, chance: float) -> bool:
        """Tell whether something goes wrong now."""
        return self.now < self.weather.until and self.random.random() < chance

    def run(self, limit: float = 600.0) -> None:
        """Let time pass until all is submitted and has ended in fine weather, or to the limit."""
        calm = max(self.weather.until, self._submitted_by)
        self._tick()
        self._strike(self.weather.crash_every, self.crash)
        self._strike(self.weather.cut_every, self.cut)
        self._strike(self.weather.freeze_every, self.freeze)
        while self._agenda and self.now < limit:
            self.now, _, action = heapq.heappop(self._agenda)
            action()
            if self.now > calm and len(self.completed) == len(self.accepted):
                break

    def _tick(self) -> None:
        self.feed(Tick(self.now))
        self.after(TICK, self._tick)

    # The core

    def feed(self, event: Event) -> None:
        """Give the core an event and carry its effects out."""
        effects = self.core.handle(event)
        self.events += 1
        if self.events % self._check_every == 0:
            check_invariants(self.core.state, self.core.settings)
        for effect in effects:
            self._carry_out(effect)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case AssignLease() | RevokeLease():
                self._deliver(effect)
            case AcceptOperation():
                assert effect.operation not in self.accepted, "ids are used once"
                operation = self.core.state.operations[effect.operation]
                self.accepted[effect.operation] = operation.execution.action
            case RejectOperation():
                self.rejected[effect.operation] = effect
            case CompleteOperation():
                assert effect.operation in self.accepted, "nothing ends that was not accepted"
                assert effect.operation not in self.completed, "everything ends once"
                self.completed[effect.operation] = effect
            case DisconnectWorker():
                worker = self.workers[effect.worker]
                if worker.session == effect.session:
                    worker.connected = False
                    self.after(1.0, lambda: self._connect(worker))
            case _:
                pass

    # Clients

    def submit_later(
        self, when: float, number: int, *, client: int, action: str, root: str
    ) -> None:
        """Let a client submit an operation at a moment, and perhaps cancel it later."""
        self._submitted_by = max(self._submitted_by, when)
        self.after(when, lambda: self._submit(number, client, action, root))

    def _submit(self, number: int, client: int, action: str, root: str) -> None:
        name = OperationId(f"o{number}")
        self.feed(
            OperationSubmitted(
                now=self.now,
                operation=name,
                session=SessionId(f"c{client}"),
                namespace=Namespace("team"),
                build=BuildId(f"b{client}"),
                action=Digest.of(action.encode()),
                input_root=Digest.of(root.encode()),
                requirements=LINUX,
            )
        )
        if self.happens(self.weather.cancelling):
            delay = self.random.uniform(0, 5)
            self.after(delay, lambda: self.feed(OperationCancelled(self.now, name)))

    def leave(self, client: int) -> None:
        """Let a client go."""
        self.feed(ClientLeft(self.now, SessionId(f"c{client}")))

    # The network

    def add_worker(self, slots: int, speed: float) -> SimulatedWorker:
        """Add a worker that connects at once and sends heartbeats from then on."""
        worker = SimulatedWorker(self, WorkerId(f"w{len(self.workers):04}"), slots, speed)
        self.workers[worker.name] = worker
        self._connect(worker)
        self.after(self.random.uniform(0, HEARTBEAT), lambda: self._beat(worker))
        return worker

    def send(self, worker: SimulatedWorker, event: LeaseEvent) -> None:
        """Send a message of a worker; it arrives in order with its others, or not at all."""
        session = worker.session
        if worker.connected and not self.happens(self.weather.lost_messages):
            self.after(LATENCY, lambda: self._arrive(worker, session, event))

    def _arrive(self, worker: SimulatedWorker, session: SessionId, event: LeaseEvent) -> None:
        if worker.session == session:
            self.feed(replace(event, now=self.now))

    def _deliver(self, message: AssignLease | RevokeLease) -> None:
        worker = self.workers[message.worker]

        def arrive() -> None:
            if not worker.connected or worker.session != message.session:
                return
            if worker.frozen:
                self.after(0.1, arrive)
            else:
                worker.receive(message)

        if not self.happens(self.weather.lost_messages):
            self.after(LATENCY, arrive)

    def _connect(self, worker: SimulatedWorker) -> None:
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
                slots=worker.slots,
                properties=LINUX,
                held=worker.held(),
            )
        )

    def _beat(self, worker: SimulatedWorker) -> None:
        if worker.connected and not worker.frozen and not self.happens(self.weather.lost_messages):
            self.feed(WorkerHeartbeat(self.now, worker.name, worker.session, worker.held()))
        self.after(HEARTBEAT, lambda: self._beat(worker))

    # Weather

    def crash(self, worker: SimulatedWorker) -> None:
        """End a worker's process; a new one connects after a while."""
        self._hang_up(worker)
        worker.die()
        self.after(self.random.uniform(0.5, 3.0), lambda: self._connect(worker))

    def cut(self, worker: SimulatedWorker) -> None:
        """Cut a worker's connection; it makes a new one, perhaps before we notice."""
        self._hang_up(worker)
        worker.connected = False
        self.after(self.random.uniform(0.05, 8.0), lambda: self._connect(worker))

    def freeze(self, worker: SimulatedWorker) -> None:
        """Let a worker do nothing for a while."""
        worker.frozen = True
        self.after(self.random.uniform(1.0, 10.0), lambda: setattr(worker, "frozen", False))

    def _hang_up(self, worker: SimulatedWorker) -> None:
        session = worker.session
        delay = self.random.uniform(0.0, 1.0)
        self.after(delay, lambda: self.feed(WorkerLeft(self.now, worker.name, session)))

    def _strike(self, mean: float, strike: Callable[[SimulatedWorker], None]) -> None:
        """Let something happen to some worker again and again until the weather is fine."""
        if not mean:
            return

        def happen() -> None:
            if self.now < self.weather.until:
                strike(self.random.choice(list(self.workers.values())))
                self.after(self.random.expovariate(1 / mean), happen)

        self.after(self.random.expovariate(1 / mean), happen)
