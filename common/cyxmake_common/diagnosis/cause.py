"""One failure's first cause as whoever groups failures needs it: a name, a line, whose fault.

Knows nothing of machines and builds. Where no rule is certain, the first line that looks like an
error names the cause, so that equal failures are still told to be equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cyxmake_common.diagnosis.diagnose import diagnose
from cyxmake_common.diagnosis.fingerprint import named_by_message
from cyxmake_common.diagnosis.model import IDENTITY, Category, Diagnosis, LogInput
from cyxmake_common.diagnosis.reduce import redact
from cyxmake_common.diagnosis.text import comparable_lines

UNKNOWN: Final = "unknown"
"""The category of a failure that no rule explains."""
_LONGEST: Final = 200
_MOST_BYTES: Final = 32 << 10
"""A compiler tells of the first error first."""

_DOUBTFUL: Final = frozenset(
    {
        Category.OUT_OF_MEMORY,
        Category.DISK_FULL,
        Category.PERMISSION_DENIED,
        Category.NETWORK_FAILURE,
        Category.TIMEOUT,
        Category.RESOURCE_BUSY,
        Category.LIMIT_EXCEEDED,
        Category.CLOCK_SKEW,
        Category.WORKER_FAULT,
        Category.TOOL_CRASH,
        Category.MISSING_TOOL,
    }
)
"""What may be the fault of the machine as well as of the source."""


@dataclass(frozen=True, slots=True)
class FirstCause:
    """Why a command failed, as far as its output says."""

    fingerprint: str
    category: str
    line: str
    """One line for people, without secrets and home directories."""
    doubtful: bool


def first_cause(output: bytes, exit_status: int) -> FirstCause | None:
    """Return the first cause that a failed command's output names; None when it says nothing."""
    text = output[:_MOST_BYTES].decode("utf-8", "replace")
    found = diagnose(LogInput(text, exit_status))
    if found:
        cause = found[0]
        doubtful = cause.category in _DOUBTFUL
        return FirstCause(cause.fingerprint, cause.category.value, _line(cause), doubtful)
    lines = [line.strip() for line in comparable_lines(text) if line.strip()]
    if not lines:
        return None
    telling = next((line for line in lines if "error" in line.lower()), lines[0])
    return FirstCause(named_by_message(UNKNOWN, telling), UNKNOWN, _short(telling), doubtful=False)


def _line(cause: Diagnosis) -> str:
    words = cause.category.value.replace("_", " ")
    facts = (getattr(cause.facts, name) for name in IDENTITY.get(cause.category, ()))
    named = " ".join(str(fact) for fact in facts if fact)
    said = named or cause.evidence.split("\n")[0].strip()
    return _short(f"{words}: {said}" if said else words)


def _short(line: str) -> str:
    line = redact(line)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
