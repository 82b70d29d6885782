"""What the scheduler core has counted since its start.

Knows nothing of what the counts mean for anyone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from cyxmake_common.outcome import OutcomeKind


@dataclass(slots=True)
class Totals:
    """Counts since the start."""

    submitted: int = 0
    merged: int = 0
    rejected: int = 0
    completed: dict[OutcomeKind, int] = field(default_factory=lambda: dict.fromkeys(OutcomeKind, 0))
    """Operations by the kind of their outcome."""
    assigned: int = 0
    retried: int = 0
    taken_back: int = 0
    adopted: int = 0
    workers_left: int = 0
    stale: int = 0
    """Lease messages that were fenced off."""
    expired: int = 0
    """Operations whose deadline passed while they waited."""
    resumed: int = 0
    """Executions taken over from an earlier run of the coordinator."""
    hedged: int = 0
    hedges_won: int = 0
    hedge_regret: float = 0.0
    """Slot-seconds of second runs that were not the first to end."""
    tripped: int = 0
    """Workers shut off for a while because they kept failing."""
    audited: int = 0
    disputed: int = 0
    """Audits in which no two workers agreed, or no third one was there to say who is right."""
    doubted: int = 0
    """Failures that another worker had to confirm before they counted."""
    faults: int = 0
    """Failures of one worker's that were successes on another."""
    causes: int = 0
    """Causes of failures that were opened."""
    held: int = 0
    given_back: int = 0
    """Look-alikes of what failed: held, and given back to their client for good."""
    stranded: int = 0
    """Operations given back because no worker could run them for a while."""
    quarantined: int = 0
    readmitted: int = 0

    def counters(self) -> dict[str, float]:
        """Return all but the outcomes, by name."""
        return {
            item.name: getattr(self, item.name) for item in fields(self) if item.name != "completed"
        }
