"""A worker in virtual time: takes leases, runs them in order on its slots, reports.

Knows nothing of the scheduler: the network between them is passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from cyxmake_common.action import ActionResult
from cyxmake_common.digest import Digest
from cyxmake_common.ids import LeaseId, SessionId, WorkerId
from cyxmake_common.outcome import Cause, Outcome, OutcomeKind
from cyxmake_coordinator.core.effects import AssignLease, RevokeLease
from cyxmake_coordinator.core.events import (
    HeldLease,
    LeaseAccepted,
    LeaseEvent,
    LeaseFinished,
    LeaseRejected,
    LeaseStarted,
    RefusalReason,
)


@dataclass(frozen=True)
class Weather:
    """What goes wrong, and how often; times in seconds, chances from 0 to 1."""

    lost_messages: float = 0.0
    crash_every: float = 0.0
    """Mean time between crashes of some worker; it comes back with nothing."""
    cut_every: float = 0.0
    """Mean time between cuts of some worker's connection; it comes back with its leases."""
    freeze_every: float = 0.0
    """Mean time between freezes of some worker: silence, then it goes on as if nothing was."""
    failing: float = 0.0
    """Chance that an action ends with an outcome that is not the tool's."""
    refusing: float = 0.0
    cancelling: float = 0.0
    poison: frozenset[Digest] = frozenset()
    """Actions that crash every worker that runs them."""
    until: float = 40.0
    """From then on the weather is fine, but for poison."""


class Surroundings(Protocol):
    """What a simulated worker needs of the world."""

    now: float
    random: Random
    weather: Weather

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Plan something."""

    def happens(self, chance: float) -> bool:
        """Tell whether something goes wrong now."""

    def send(self, worker: SimulatedWorker, event: LeaseEvent) -> None:
        """Send a message to the coordinator; it arrives later, or not at all."""

    def crash(self, worker: SimulatedWorker) -> None:
        """End a worker's process and start it anew after a while."""


class SimulatedWorker:
    """One worker machine; `life` counts its processes, so that the dead plan nothing."""

    def __init__(self, world: Surroundings, name: WorkerId, slots: int, speed: float) -> None:
        self.world = world
        self.name = name
        self.slots = slots
        self.speed = speed
        self.session = SessionId("")
        self.connected = False
        self.frozen = False
        self.life = 0
        self.waiting: dict[LeaseId, AssignLease] = {}
        self.running: dict[LeaseId, AssignLease] = {}
        self.verdicts: set[Digest] = set()

    def held(self) -> tuple[HeldLease, ...]:
        """Return what it reports in heartbeats and when it joins."""
        leases = [*self.running.values(), *self.waiting.values()]
        return tuple(HeldLease(lease.lease, lease.epoch, lease.action) for lease in leases)

    def die(self) -> None:
        """Lose everything; whatever runs in this life is gone."""
        self.life += 1
        self.connected = False
        self.waiting.clear()
        self.running.clear()

    def receive(self, message: AssignLease | RevokeLease) -> None:
        """Take a message from the coordinator."""
        if isinstance(message, RevokeLease):
            self._stop(message)
        elif self.world.happens(self.world.weather.refusing):
            reason = self.world.random.choice([RefusalReason.BUSY, RefusalReason.UNSUPPORTED])
            self.world.send(
                self, LeaseRejected(0.0, self.name, message.lease, message.epoch, reason)
            )
        else:
            self.waiting[message.lease] = message
            self.world.send(self, LeaseAccepted(0.0, self.name, message.lease, message.epoch))
            self._begin()

    def _stop(self, message: RevokeLease) -> None:
        self.waiting.pop(message.lease, None)
        self.running.pop(message.lease, None)
        outcome = Outcome(OutcomeKind.CANCELLED)
        self.world.send(self, LeaseFinished(0.0, self.name, message.lease, message.epoch, outcome))
        self._begin()

    def _begin(self) -> None:
        while self.waiting and len(self.running) < self.slots:
            lease = self.waiting.pop(next(iter(self.waiting)))
            self.running[lease.lease] = lease
            self.world.send(self, LeaseStarted(0.0, self.name, lease.lease, lease.epoch))
            self._plan_end(lease)

    def _plan_end(self, lease: AssignLease) -> None:
        life = self.life

        def end() -> None:
            if self.life != life or self.running.get(lease.lease) is not lease:
                return
            if self.frozen or not self.connected:
                self.world.after(0.1, end)  # the report waits for the connection
            elif lease.action in self.world.weather.poison:
                self.world.crash(self)
            else:
                self._finish(lease)

        self.world.after(self.world.random.uniform(0.05, 1.5) / self.speed, end)

    def _finish(self, lease: AssignLease) -> None:
        del self.running[lease.lease]
        outcome = self._outcome()
        if outcome.kind is OutcomeKind.TOOL:
            self.verdicts.add(lease.action)
        self.world.send(self, LeaseFinished(0.0, self.name, lease.lease, lease.epoch, outcome))
        self._begin()

    def _outcome(self) -> Outcome:
        random = self.world.random
        if self.world.happens(self.world.weather.failing):
            return random.choice(
                [
                    Outcome(OutcomeKind.INFRASTRUCTURE, cause=Cause.SANDBOX),
                    Outcome(OutcomeKind.AMBIGUOUS, cause=Cause.SIGNAL),
                    Outcome(OutcomeKind.RESOURCE, cause=Cause.MEMORY),
                ]
            )
        return Outcome(OutcomeKind.TOOL, ActionResult(exit_code=random.choice([0, 0, 0, 1])))
