"""Scores the diagnosis on recorded failures: strangers' and injected ones.

Knows no rule. A case is right when the first cause has its category (or one it also accepts),
silent when nothing is said, else wrong; facts count where the category is right.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cyxmake_common.diagnosis.diagnose import diagnose
from cyxmake_common.diagnosis.model import Diagnosis, LogInput
from support.injected_cases import FOLDER, cases

NOTHING: Final = "unknown"
"""The category of an excerpt that does not hold the cause: silence is right."""
_STRANGERS: Final = Path(__file__).parents[1] / "failures" / "strangers"
RECORDED: Final = FOLDER / "recorded.json"
SETS: Final = {
    "development": _STRANGERS / "development.toml",
    "sealed": _STRANGERS / "sealed.toml",
    "sealed last": _STRANGERS / "sealed_last.toml",
    "sealed second": _STRANGERS / "sealed_second.toml",
    "sealed third": _STRANGERS / "sealed_third.toml",
    "opened later": _STRANGERS / "opened.toml",
    "opened second": _STRANGERS / "opened_second.toml",
    "opened third": _STRANGERS / "opened_third.toml",
    "opened fourth": _STRANGERS / "opened_fourth.toml",
    "opened fifth": _STRANGERS / "opened_fifth.toml",
    "opened sixth": _STRANGERS / "opened_sixth.toml",
    "opened seventh": _STRANGERS / "opened_seventh.toml",
    "opened eighth": _STRANGERS / "opened_eighth.toml",
    "opened ninth": _STRANGERS / "opened_ninth.toml",
    "nothing told": _STRANGERS / "nothing_told.toml",
}
"""The sets of strangers' failures."""


@dataclass
class Case:
    """One recorded failure, and what is true of it."""

    source: str
    category: str
    log: str
    also: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    exit_status: int | None = None


@dataclass
class Score:
    """Counts over one set of cases."""

    cases: int = 0
    right: int = 0
    silent: int = 0
    wrong: int = 0
    facts: int = 0
    facts_right: int = 0
    misses: list[str] = field(default_factory=list)

    @property
    def right_share(self) -> float:
        """Return the share of cases whose first cause is right."""
        return self.right / self.cases

    @property
    def silent_share(self) -> float:
        """Return the share of cases of which nothing is said."""
        return self.silent / self.cases

    @property
    def wrong_share(self) -> float:
        """Return the share of cases with a wrong first cause."""
        return self.wrong / self.cases

    @property
    def facts_share(self) -> float:
        """Return the share of expected facts that were read, where the category was right."""
        return self.facts_right / self.facts if self.facts else 1.0

    def as_json(self) -> dict[str, Any]:
        """Return what a machine reads."""
        shares = {n: round(getattr(self, f"{n}_share"), 4) for n in ("right", "wrong", "facts")}
        return {"cases": self.cases, "right": self.right, "silent": self.silent,
                "wrong": self.wrong, "facts": self.facts, "facts_right": self.facts_right,
                "shares": shares}  # fmt: skip


def load(path: Path) -> list[Case]:
    """Read the cases of one file."""
    return [Case(**raw) for raw in tomllib.loads(path.read_text("utf-8"))["case"]]


def strangers(name: str) -> list[Case]:
    """Read one set of strangers' failures."""
    return load(SETS[name])


def injected(chosen: str = "") -> list[Case]:
    """Return the injected failures whose output was recorded."""
    said: dict[str, dict[str, Any]] = json.loads(RECORDED.read_text("utf-8"))
    return [
        Case(c.id, c.category, said[c.id]["log"], list(c.also), c.facts, said[c.id]["status"])
        for c in cases(chosen)
        if c.id in said
    ]


def score(found: Iterable[Case]) -> Score:
    """Diagnose every case and count."""
    result = Score()
    for case in found:
        _count(result, case, diagnose(LogInput(case.log, case.exit_status)))
    return result


def _count(result: Score, case: Case, found: list[Diagnosis]) -> None:
    result.cases += 1
    if not found:
        result.silent += 1
        if case.category == NOTHING:
            result.right += 1
        else:
            result.misses.append(f"silent  {case.source}: {case.category}")
        return
    first = found[0]
    if first.category.value not in (case.category, *case.also):
        result.wrong += 1
        result.misses.append(f"wrong   {case.source}: {case.category}, not {first.rule}")
        return
    result.right += 1
    if first.category.value != case.category:
        return  # the facts are those of the other reading
    known = first.facts.known()
    for name, value in case.facts.items():
        result.facts += 1
        same = _same(name, known.get(name), value)
        result.facts_right += same
        if not same:
            result.misses.append(
                f"fact    {case.source}: {name} {value!r}, not {known.get(name)!r}"
            )


_VERSIONS: Final = ("subject", "wanted", "found")
_SIGNS: Final = "<>=~^! "


def _same(name: str, known: str | int | None, value: str | int) -> bool:
    """Compare a fact; after a star stands a path, of which tools say more or less of the front.

    CMake is cmake, and ">= 1.25" wants 1.25: of versions only the spelling differs.
    """
    if isinstance(value, str) and value.startswith("*"):
        wanted = value[1:]
        return isinstance(known, str) and (known.endswith(wanted) or wanted.endswith(f"/{known}"))
    if name in _VERSIONS and isinstance(known, str) and isinstance(value, str):
        return known.lower().lstrip(_SIGNS) == value.lower().lstrip(_SIGNS)
    return known == value
