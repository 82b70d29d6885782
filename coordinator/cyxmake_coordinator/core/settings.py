"""The numbers the scheduler core decides with, and their defaults.

Knows nothing of configuration files; the shell fills it in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cyxmake_coordinator.core.placement import DEFAULT_ALGORITHM

EVERYONE: Final = "*"
"""In a table of users: all that it does not name."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits and delays of the scheduler; all times in seconds."""

    # Placement and order
    placement: str = DEFAULT_ALGORITHM
    """A name in `placement.ALGORITHMS`."""
    prefetch: int = 1
    """Actions assigned ahead to a worker whose slots are all taken."""
    take_back_after: float = 0.5
    """An action waiting this long at a full worker moves to one with a free slot."""
    user_weights: Mapping[str, float] = field(default_factory=dict)
    """How much more of the cluster than another a user gets; 1 for those that are not named."""
    user_slots: Mapping[str, int] = field(default_factory=dict)
    """Most slots a user may hold at once; no limit for those that are not named."""
    queue_limit: int = 100_000
    """Executions waiting in the whole coordinator."""
    user_queue_limit: int = 50_000
    """Executions of one user waiting."""
    light_memory: int = 512 << 20
    """Actions that need fewer bytes are given out without a look at memory."""
    memory_share: float = 0.9
    """Part of a worker's memory that predicted peaks may add up to."""

    # Workers that go, fail or lie
    worker_timeout: float = 4.0
    """A worker silent for longer is treated as gone: with the tick, and with what one that cannot
    hear us goes on to say, within 5 s."""
    reconnect_grace: float = 0.75
    """A worker whose connection broke while it held leases may come back for this long."""
    lease_grace: float = 5.0
    """A lease that a heartbeat does not name is lost when it is older than this; the message that
    assigns it may have crossed the heartbeat."""
    overdue_grace: float = 30.0
    """A worker that lets an action run this much past its timeout no longer enforces timeouts."""
    busy_pause: float = 0.5
    """A worker that called itself busy gets nothing for this long, unless it finishes something."""
    max_attempts: int = 3
    """Assignments an execution gets before its last outcome goes to the client."""
    max_losses: int = 3
    """Workers that may be lost while they run one action before it is no longer run at all."""
    breaker_strikes: int = 3
    """Failures in a row that are the worker's own, after which it gets nothing for a while."""
    breaker_pause: float = 2.0
    """How long the first time; twice as long each time its probe fails."""
    breaker_pause_most: float = 60.0
    low_disk: int = 1 << 30
    """With more bytes free than this, by its own word, a worker's disk is not full."""
    stranded_after: float = 2.5
    """What no worker can run for longer goes back to its client: all are shut off, or full."""
    faults: int = 3
    """Actions that failed on one worker and succeeded on another, after which the first is
    quarantined."""
    kept_leases: float = 60.0
    """Work begun before a restart of the coordinator waits this long for a client to want it."""

    # Failures that are alike
    hold_after: int = 3
    """Look-alikes that fail in a row for one cause before the others are held; 0: never."""
    hold_most: float = 5.0
    """A canary that takes longer releases its family, of which nothing is held again."""
    cause_memory: float = 3600.0
    """Causes are forgotten when nothing has failed for them for so long."""

    # Second runs
    hedge_factor: float = 1.5
    """An action that runs this many times longer than nine of ten did is begun elsewhere, too."""
    hedge_least: float = 1.0
    hedge_share: float = 0.05
    """Second runs to save time may take this part of all slots."""
    audit_every: int = 200
    """One in so many results is held against another worker's, when slots are idle; 0: none."""
    audit_patience: float = 60.0
    """An audit for which no slot is free for this long is given up."""
    canary_pause: float = 10.0
    """Seconds between the tests of a quarantined worker; twice as long each time it fails."""
    canaries: int = 2
    """Tests in a row that it has to pass."""
    quarantine_floor: float = 0.5
    """Part of the slots that quarantine may never take away; nor may it take the last worker."""

    # What is remembered
    warm_roots: int = 64
    """Input roots and builds remembered as present on a worker."""
    idle_pools: int = 64
    """Pools kept although nothing of theirs waits or runs, to save building them again."""
    remembered: int = 1_000
    """Completed operations whose story can still be told."""
    history: int = 50_000
    """Actions whose durations and memory are remembered."""

    def weight(self, user: str) -> float:
        """Return a user's weight."""
        return self.user_weights.get(user) or self.user_weights.get(EVERYONE, 1.0)

    def slots_of(self, user: str) -> int | None:
        """Return how many slots a user may hold, or None for any number."""
        return self.user_slots.get(user, self.user_slots.get(EVERYONE))
