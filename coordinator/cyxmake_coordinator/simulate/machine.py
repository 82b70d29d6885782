"""A worker in virtual time: takes leases, fetches inputs, runs on its slots in order, reports.

Knows nothing of the scheduler: the network between them is passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final, Protocol

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

_DONE: Final = Outcome(OutcomeKind.TOOL, ActionResult(exit_code=0))
_FAILED: Final = Outcome(OutcomeKind.TOOL, ActionResult(exit_code=1))


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
    wrong_code: float = 0.0
    """Chance that a compiler is not content."""
    refusing: float = 0.0
    cancelling: float = 0.0
    straggling: float = 0.0
    """Part of the actions whose first run takes ten times as long as it should."""
    poison: frozenset[Digest] = frozenset()
    """Actions that crash every worker that runs them."""
    until: float = 40.0
    """From then on the weather is fine, but for poison and stragglers."""


@dataclass(frozen=True)
class Model:
    """What kind of machine a worker is."""

    slots: int
    speed: float = 1.0
    latency: float = 0.02
    """Seconds a message takes, each way."""
    bandwidth: float = 100e6
    """Bytes of inputs a second."""
    liar: bool = False
    """Whether what it makes is wrong."""


class Surroundings(Protocol):
    """What a simulated worker needs of the world."""

    now: float
    random: Random
    weather: Weather

    def after(self, seconds: float, action: Callable[..., None], *arguments: object) -> None:
        """Plan something."""

    def happens(self, chance: float) -> bool:
        """Tell whether something goes wrong now."""

    def send(self, worker: Machine, event: LeaseEvent) -> None:
        """Send a message to the coordinator; it arrives later, or not at all."""

    def crash(self, worker: Machine) -> None:
        """End a worker's process and start it anew after a while."""

    def seconds(self, action: Digest) -> float:
        """Return how long the run that begins now takes on a machine of speed 1."""

    def input_bytes(self, root: Digest) -> float:
        """Return what a machine that has nothing of an input root has to fetch."""

    def began(self, worker: Machine, action: Digest) -> None:
        """Hear that a command runs."""

    def ended(self, worker: Machine, action: Digest, seconds: float) -> None:
        """Hear that a command ran for so long, to its end or not."""


class Machine:
    """One worker machine; `life` counts its processes, so that the dead plan nothing."""

    def __init__(self, world: Surroundings, name: WorkerId, model: Model) -> None:
        self.world = world
        self.name = name
        self.model = model
        self.session = SessionId("")
        self.connected = False
        self.frozen = False
        self.life = 0
        self.waiting: dict[LeaseId, AssignLease] = {}
        self.running: dict[LeaseId, tuple[AssignLease, float]] = {}
        self.ready_at: dict[Digest, float] = {}
        """When an input root is, or was, there."""
        self.fetched = 0.0
        self.verdicts: set[Digest] = set()

    def __repr__(self) -> str:
        return f"<Machine {self.name} {len(self.running)}/{self.model.slots} running>"

    def held(self) -> tuple[HeldLease, ...]:
        """Return what it reports in heartbeats and when it joins."""
        leases = [*(lease for lease, _ in self.running.values()), *self.waiting.values()]
        return tuple(HeldLease(lease.lease, lease.epoch, lease.action) for lease in leases)

    def die(self) -> None:
        """Lose everything but the disk; whatever runs in this life is gone."""
        self.life += 1
        self.connected = False
        self.waiting.clear()
        for lease, since in self.running.values():
            self.world.ended(self, lease.action, self.world.now - since)
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
            self._fetch(message.input_root)
            self._begin()

    def _fetch(self, root: Digest) -> None:
        """Fetch an input root once; all that need it wait for the same transfer."""
        if root in self.ready_at:
            return
        size = self.world.input_bytes(root)
        self.fetched += size
        seconds = size / self.model.bandwidth
        self.ready_at[root] = self.world.now + seconds
        if seconds:
            self.world.after(seconds, self._begin)

    def _stop(self, message: RevokeLease) -> None:
        self.waiting.pop(message.lease, None)
        stopped = self.running.pop(message.lease, None)
        if stopped is not None:
            self.world.ended(self, stopped[0].action, self.world.now - stopped[1])
        outcome = Outcome(OutcomeKind.CANCELLED)
        self.world.send(self, LeaseFinished(0.0, self.name, message.lease, message.epoch, outcome))
        self._begin()

    def _begin(self) -> None:
        now = self.world.now
        free = self.model.slots - len(self.running)
        if free <= 0 or not self.waiting:
            return
        for lease in [w for w in self.waiting.values() if self.ready_at[w.input_root] <= now][
            :free
        ]:
            del self.waiting[lease.lease]
            self.running[lease.lease] = lease, now
            self.world.began(self, lease.action)
            self.world.send(self, LeaseStarted(0.0, self.name, lease.lease, lease.epoch))
            seconds = self.world.seconds(lease.action) / self.model.speed
            self.world.after(seconds, self._end, lease, self.life)

    def _end(self, lease: AssignLease, life: int) -> None:
        running = self.running.get(lease.lease)
        if self.life != life or running is None or running[0] is not lease:
            return
        if self.frozen or not self.connected:
            self.world.after(0.1, self._end, lease, life)  # the report waits for the connection
        elif lease.action in self.world.weather.poison:
            self.world.crash(self)
        else:
            self._finish(lease, running[1])

    def _finish(self, lease: AssignLease, since: float) -> None:
        del self.running[lease.lease]
        self.world.ended(self, lease.action, self.world.now - since)
        outcome = self._outcome()
        if outcome.kind is OutcomeKind.TOOL:
            self.verdicts.add(lease.action)
        self.world.send(self, LeaseFinished(0.0, self.name, lease.lease, lease.epoch, outcome))
        self._begin()

    def _outcome(self) -> Outcome:
        if self.world.happens(self.world.weather.failing):
            return self.world.random.choice(
                [
                    Outcome(OutcomeKind.INFRASTRUCTURE, cause=Cause.SANDBOX),
                    Outcome(OutcomeKind.AMBIGUOUS, cause=Cause.SIGNAL),
                    Outcome(OutcomeKind.RESOURCE, cause=Cause.MEMORY),
                ]
            )
        if self.model.liar:
            result = ActionResult(exit_code=0, stdout=Digest.of(self.name.encode()))
            return Outcome(OutcomeKind.TOOL, result)
        return _FAILED if self.world.happens(self.world.weather.wrong_code) else _DONE
