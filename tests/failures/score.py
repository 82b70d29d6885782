"""Scores the diagnosis on recorded failures: python tests/failures/score.py [--show].

Knows no rule. A case is right when the first cause has its category (or one it also accepts),
silent when nothing is said, else wrong; facts count where the category is right.
"""

from __future__ import annotations

import sys
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from cyxmake_common.diagnosis.diagnose import diagnose
from cyxmake_common.diagnosis.model import Diagnosis, LogInput

_HERE = Path(__file__).parent
SETS = {
    "strangers, development": _HERE / "strangers" / "development.toml",
    "strangers, sealed": _HERE / "strangers" / "sealed.toml",
    "strangers, sealed last": _HERE / "strangers" / "sealed_last.toml",
    "strangers, opened later": _HERE / "strangers" / "opened.toml",
    "strangers, opened last": _HERE / "strangers" / "opened_second.toml",
}


@dataclass
class Case:
    """One recorded failure, and the label it was given by reading it."""

    source: str
    category: str
    log: str
    also: list[str] = field(default_factory=list)
    facts: dict[str, str | int] = field(default_factory=dict)
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
    def wrong_share(self) -> float:
        """Return the share of cases with a wrong first cause."""
        return self.wrong / self.cases

    @property
    def facts_share(self) -> float:
        """Return the share of expected facts that were read, where the category was right."""
        return self.facts_right / self.facts if self.facts else 1.0


def load(path: Path) -> list[Case]:
    """Read the cases of one file."""
    return [Case(**raw) for raw in tomllib.loads(path.read_text("utf-8"))["case"]]


def score(cases: list[Case]) -> Score:
    """Diagnose every case and count."""
    result = Score()
    for case in cases:
        found = diagnose(LogInput(case.log, case.exit_status))
        _count(result, case, found)
    return result


def _count(result: Score, case: Case, found: list[Diagnosis]) -> None:
    result.cases += 1
    if not found:
        result.silent += 1
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
        same = known.get(name) == value
        result.facts_right += same
        if not same:
            result.misses.append(
                f"fact    {case.source}: {name} {value!r}, not {known.get(name)!r}"
            )


def main() -> None:
    """Print the table; with --show the misses of the sets that are not sealed."""
    print(f"{'set':28} cases  right       silent      wrong       facts")
    for name, path in SETS.items():
        if not path.exists():
            continue
        cases = load(path)
        s = score(cases)
        print(
            f"{name:28} {s.cases:5}  {s.right:3} ({s.right_share:4.0%})  {s.silent:3} "
            f"({s.silent / s.cases:4.0%})  {s.wrong:3} ({s.wrong_share:4.0%})  "
            f"{s.facts_right:3}/{s.facts} ({s.facts_share:4.0%})"
        )
        if "--show" in sys.argv and "sealed" not in name:
            print("\n".join(f"    {miss}" for miss in s.misses))
            kinds = Counter(case.category for case in cases)
            print("    " + ", ".join(f"{k} {n}" for k, n in kinds.most_common()))


if __name__ == "__main__":
    main()
