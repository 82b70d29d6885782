"""Who wants to hear what a running command prints.

Knows nothing of messages; looks at the scheduler's state and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from cyxmake_common.ids import LeaseId, SessionId, WorkerId
from cyxmake_coordinator.core.state import State


def listeners(state: State, worker: WorkerId, lease_id: str) -> Iterator[tuple[SessionId, str]]:
    """Return session and operation, by the client's name for it, of all who wait for a lease.

    Nobody listens to a lease that the worker does not hold, or that is a second run.
    """
    lease = state.leases.get(LeaseId(lease_id))
    if lease is None or lease.worker != worker or lease.execution.lease is not lease:
        return
    for operation in lease.execution.operations.values():
        yield operation.session, operation.id.removeprefix(f"{operation.session}/")
