"""Counts what came of letting cyxmake repair injected failures.

Knows no repair: it reads what `fixes.py` kept.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from support.injected_cases import FOLDER, cases

FIXED: Final = FOLDER / "fixed.json"


@dataclass
class FixScore:
    """Counts over the cases that were tried."""

    cases: int = 0
    first: int = 0
    """Builds again after one fix, or by building again."""
    fixed: int = 0
    collateral: int = 0
    not_restored: int = 0
    forbidden: int = 0
    by_hand: int = 0
    """Files by hand that stood in the way of all of them."""
    harmed: int = 0
    """Of these, files that some command changed without saying so."""
    seconds: list[float] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)

    def add(self, result: dict[str, Any]) -> None:
        """Count one case."""
        self.cases += 1
        self.first += result["fixed"] and result["tried"] <= 1
        self.fixed += result["fixed"]
        self.collateral += bool(result["collateral"])
        self.not_restored += bool(result["not_restored"])
        self.forbidden += bool(result["forbidden"])
        self.by_hand += result.get("by_hand", 0)
        self.harmed += len(result.get("harmed", ()))
        self.seconds.append(result["seconds"])
        if not result["fixed"]:
            self.misses.append(f"{result['id']}: {result['sentence']}")

    def as_json(self) -> dict[str, Any]:
        """Return what a machine reads."""
        return {
            "cases": self.cases, "fixed_at_1": self.first, "fixed_at_k": self.fixed,
            "collateral": self.collateral, "not_restored": self.not_restored,
            "forbidden": self.forbidden, "by_hand": self.by_hand, "harmed": self.harmed,
            "median_seconds": round(median(self.seconds), 1) if self.seconds else None,
        }  # fmt: skip


def fix_scores(path: Path = FIXED) -> dict[str, FixScore]:
    """Return the counts of cases that may be mended alone, and of those that are a person's."""
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    scores = {"to be mended alone": FixScore(), "a person's": FixScore()}
    for case in cases():
        if case.id in found:
            kind = "to be mended alone" if case.autonomous else "a person's"
            scores[kind].add(found[case.id])
    return scores
