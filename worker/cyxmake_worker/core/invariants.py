"""What must be true of a worker's machine after every event; raises AssertionError.

Knows nothing of how the state came about. Runs in tests, and in service behind a debug flag.
"""

from __future__ import annotations

from cyxmake_worker.core.lease import SETTLED, Stage
from cyxmake_worker.core.state import WorkerState


def check_invariants(state: WorkerState) -> None:
    """Raise AssertionError with the state's own report when it contradicts itself."""
    for name, holds in _rules(state).items():
        if not holds:
            raise AssertionError(f"{name}: {state!r}")


def _rules(state: WorkerState) -> dict[str, bool]:
    leases = list(state.leases.values())
    slots, prefetch = state.config.slots, state.config.prefetch
    ready = [x for x in leases if x.stage is Stage.READY]
    deadline = state.deadline()
    return {
        "no more commands than slots": 0 <= state.executing <= slots,
        "no more leases than slots and prefetch": state.unsettled <= slots + prefetch,
        "nothing ready beside a free slot": state.exited or not ready or state.executing == slots,
        "a lease is filed under its own name": all(k == x.id for k, x in state.leases.items()),
        "a report from DONE on, and not before": all(
            (x.report is not None) == (x.stage in SETTLED - {Stage.STOPPING})
            for x in leases
            if x.stage is not Stage.STOPPING
        ),
        "nothing waits unsent on a live connection": not state.link.up
        or state.exited
        or not any(
            x.stage in (Stage.DONE, Stage.PREPARE_STALLED, Stage.UPLOAD_STALLED) for x in leases
        ),
        "only running or dying commands hold a slot": all(
            x.stage in (Stage.EXECUTING, Stage.STOPPING) for x in leases if x.executing
        ),
        "a leaving worker drains": state.draining or not state.leaving,
        "a worker that is out of touch will try again": (
            state.exited or deadline is not None or state.link.state in ("idle", "connecting")
        ),
    }
