"""What can go wrong between agents."""

from __future__ import annotations

from cyxmake_common.errors import CyxError, ExitStatus


class Conflict(CyxError):
    """Two agents want the same thing; the message names the other one."""

    code = "conflict"
    exit_status = ExitStatus.BUILD_FAILED


class NotDelivered(CyxError):
    """A letter has no receiver, or its mailbox is full."""

    code = "not-delivered"
    exit_status = ExitStatus.USAGE
