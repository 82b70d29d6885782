"""The failed edges of one build, grouped by cause: one line each, what most fail for first.

Knows nothing of where they ran. Nothing is printed here, and nothing of what edges print is kept
but the first output of each cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_cli.ui.tally import CauseCount

_MOST: Final = 5_000
"""Failures whose output is read: milliseconds each."""
_SHOWN: Final = 10


@dataclass(slots=True)
class _Cause:
    line: str
    exit_code: int
    output: bytes
    first: str
    certain: bool
    count: int = 1


class Failures:
    """What failed so far."""

    def __init__(self) -> None:
        self._causes: dict[str, _Cause] = {}
        self._count = 0

    def __repr__(self) -> str:
        return f"<Failures {self._count}, {len(self._causes)} causes>"

    def add(self, name: str, exit_code: int, output: bytes) -> None:
        """Take note of a failed edge: its first output, its exit code and what it printed."""
        from cyxmake_common.diagnosis.cause import UNKNOWN, first_cause

        self._count += 1
        if self._count > _MOST:
            return
        cause = first_cause(output, exit_code)
        key = cause.fingerprint if cause is not None else name
        known = self._causes.get(key)
        if known is not None:
            known.count += 1
            return
        line = cause.line if cause is not None else f"{name} failed without a word"
        certain = cause is not None and cause.category != UNKNOWN
        self._causes[key] = _Cause(line, exit_code, output, name, certain)

    def counts(self) -> list[CauseCount]:
        """Return causes and how many edges failed for each."""
        return [
            CauseCount(fingerprint=key, line=cause.line, count=cause.count, first=cause.first)
            for key, cause in self._sorted()
        ]

    def lines(self, source: Path, cache: Path) -> list[str]:
        """Return what a person is told, with the package that has what is missing."""
        if self._count == 1:
            (only,) = self._causes.values()
            return [_advice(only, source, cache)] if only.certain else []
        shown = self._sorted()[:_SHOWN]
        lines = []
        for _, cause in shown:
            failed = f"{cause.count} failed" if cause.count > 1 else f"{cause.first} failed"
            lines.append(f"{failed}: {_advice(cause, source, cache)}")
        if len(self._causes) > _SHOWN:
            rest = sum(cause.count for _, cause in self._sorted()[_SHOWN:])
            lines.append(f"{rest} failed for {len(self._causes) - _SHOWN} other causes")
        return lines

    def _sorted(self) -> list[tuple[str, _Cause]]:
        return sorted(self._causes.items(), key=lambda item: -item[1].count)


def _advice(cause: _Cause, source: Path, cache: Path) -> str:
    from cyxmake_cli.knowledge.advice import advice

    if not cause.certain:
        return cause.line
    return advice(cause.output, cause.exit_code, source, cache) or cause.line
