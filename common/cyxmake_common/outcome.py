"""How the execution of an action ended: a verdict, never an exception.

Only a tool verdict may fail a build; every other kind is run again, elsewhere or locally.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cyxmake_common.action import ActionResult


class OutcomeKind(StrEnum):
    """Who is to be believed, and what to do next."""

    TOOL = "tool"
    """The command ran to its end; its exit code is the tool's own verdict."""
    RESOURCE = "resource"
    """Memory, disk or time ran out; the cause is known and partial output exists."""
    INFRASTRUCTURE = "infrastructure"
    """A worker, a blob or the network failed; says nothing about the action."""
    AMBIGUOUS = "ambiguous"
    """A signal, or an exit without the promised outputs: run again elsewhere."""
    CANCELLED = "cancelled"


class Cause(StrEnum):
    """What ended a command before its own end."""

    NONE = ""
    MEMORY = "memory"
    DISK = "disk"
    TIME = "time"
    SIGNAL = "signal"
    MISSING_OUTPUT = "missing-output"
    MISSING_INPUT = "missing-input"
    SANDBOX = "sandbox"
    TOOLCHAIN = "toolchain"
    WORKER_LOST = "worker-lost"
    PROTOCOL = "protocol"
    CLIENT = "client"
    SAME_CAUSE = "same-cause"
    """It was not run: what is alike has failed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict with its cause, a sentence for people, and whatever the command left behind."""

    kind: OutcomeKind
    result: ActionResult | None = None
    cause: Cause = Cause.NONE
    detail: str = ""

    @property
    def succeeded(self) -> bool:
        """Tell whether the tool ran and was content."""
        return (
            self.kind is OutcomeKind.TOOL and self.result is not None and self.result.exit_code == 0
        )
