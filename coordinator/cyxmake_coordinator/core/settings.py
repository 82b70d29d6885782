"""The numbers the scheduler core decides with, and their defaults.

Knows nothing of configuration files; the shell fills it in.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits and delays of the scheduler; all times in seconds."""

    worker_timeout: float = 5.0
    """A worker silent for longer is treated as gone."""
    lease_grace: float = 5.0
    """A lease that a heartbeat does not name is lost when it is older than this; the message that
    assigns it may have crossed the heartbeat."""
    overdue_grace: float = 30.0
    """A worker that lets an action run this much past its timeout no longer enforces timeouts."""
    busy_pause: float = 0.5
    """A worker that called itself busy gets nothing for this long, unless it finishes something."""
    take_back_after: float = 0.5
    """An action waiting this long at a full worker moves to one with a free slot."""
    prefetch: int = 1
    """Actions assigned ahead to a worker whose slots are all taken."""
    max_attempts: int = 3
    """Assignments an execution gets before its last outcome goes to the client."""
    max_losses: int = 3
    """Workers that may be lost while they run one action before it is no longer run at all."""
    queue_limit: int = 100_000
    """Executions waiting in the whole coordinator."""
    warm_roots: int = 64
    """Input roots remembered as present on a worker."""
    idle_pools: int = 64
    """Pools kept although nothing of theirs waits or runs, to save building them again."""
    remembered: int = 1_000
    """Completed operations whose story can still be told."""
