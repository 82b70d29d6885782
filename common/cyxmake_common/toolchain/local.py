"""The answer "this must run here", with the reason in words for a person.

Knows nothing of compilers; it is a value, never an exception: running locally is not a failure.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LocalOnly:
    """A command that cannot be guaranteed to give the same bytes elsewhere; `reason` says why."""

    reason: str

    def __str__(self) -> str:
        return self.reason
