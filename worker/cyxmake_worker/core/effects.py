"""What a worker shall do, as values; the shell carries them out in order.

Knows nothing of how. Effects that start work (`Prepare`, `Execute`, `Upload`) end with exactly one
event about the same lease.
"""

from __future__ import annotations

from dataclasses import dataclass

from cyxmake_common.digest import Digest
from cyxmake_common.errors import ExitStatus
from cyxmake_common.ids import LeaseId
from cyxmake_common.protocol.messages import Message, RunningLease


@dataclass(frozen=True, slots=True)
class Effect:
    """Base of all effects."""


@dataclass(frozen=True, slots=True)
class Connect(Effect):
    """Open a control connection and name the leases that are still worked on."""

    running: tuple[RunningLease, ...]


@dataclass(frozen=True, slots=True)
class Disconnect(Effect):
    """Close the control connection."""

    reason: str


@dataclass(frozen=True, slots=True)
class Send(Effect):
    """Send a message on the control connection."""

    message: Message


@dataclass(frozen=True, slots=True)
class Beat(Effect):
    """Send a sign of life with these leases and the state of the machine."""

    leases: tuple[LeaseId, ...]


@dataclass(frozen=True, slots=True)
class Prepare(Effect):
    """Bring the inputs of a lease into the local store."""

    lease: LeaseId
    action: Digest


@dataclass(frozen=True, slots=True)
class Execute(Effect):
    """Run the command of a prepared lease."""

    lease: LeaseId


@dataclass(frozen=True, slots=True)
class Upload(Effect):
    """Bring the outputs of an executed lease to the coordinator and make its report."""

    lease: LeaseId


@dataclass(frozen=True, slots=True)
class Abort(Effect):
    """Kill what is being done for a lease; ends with `Stopped`."""

    lease: LeaseId


@dataclass(frozen=True, slots=True)
class Forget(Effect):
    """Nothing will be asked about a lease any more."""

    lease: LeaseId


@dataclass(frozen=True, slots=True)
class Exit(Effect):
    """End the program, killing whatever still runs."""

    status: ExitStatus
    reason: str
