"""Scores diagnosis and repairs: score.py [strangers|injected|fixes] [--show] [--json FILE].

Knows no rule and runs no build: injected failures are scored on what they said when they were last
tried (injected.py), repairs on what came of them (fixes.py).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.diagnosis_score import SETS, Case, Score, injected, score, strangers
from support.fix_score import fix_scores


def _strangers() -> dict[str, list[Case]]:
    return {f"strangers, {name}": strangers(name) for name in SETS if SETS[name].exists()}


def _injected() -> dict[str, list[Case]]:
    return {"injected": injected()}


_KINDS: dict[str, Callable[[], dict[str, list[Case]]]] = {
    "strangers": _strangers,
    "injected": _injected,
}


def _row(name: str, s: Score) -> str:
    return (
        f"| {name} | {s.cases} | {s.right_share:.0%} | {s.silent_share:.0%} | {s.wrong_share:.0%} "
        f"| {s.facts_share:.0%} |"
    )


def main() -> None:
    """Print the table, in Markdown; --show tells the misses of the sets that are not sealed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", nargs="?", choices=[*_KINDS, "fixes"])
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--json", type=Path, help="write the counts to a file")
    options = parser.parse_args()
    document: dict[str, Any] = {}
    if options.kind != "fixes":
        document.update(_diagnosis([options.kind] if options.kind else list(_KINDS), options.show))
    if options.kind in ("fixes", None):
        document["fixes"] = _fixes(options.show)
    if options.json:
        options.json.write_text(json.dumps(document, indent=2) + "\n")


def _diagnosis(chosen: list[str], show: bool) -> dict[str, Any]:
    sets = {name: found for kind in chosen for name, found in _KINDS[kind]().items()}
    scores = {name: score(found) for name, found in sets.items()}
    print("| set | cases | right | silent | wrong | facts |\n|---|---|---|---|---|---|")
    for name, result in scores.items():
        print(_row(name, result))
    if show:
        for name, result in scores.items():
            if "sealed" not in name:
                kinds = Counter(case.category for case in sets[name])
                print(f"\n{name}: " + ", ".join(f"{k} {n}" for k, n in kinds.most_common()))
                print("\n".join(f"    {miss}" for miss in result.misses))
    return {name: result.as_json() for name, result in scores.items()}


def _fixes(show: bool) -> dict[str, Any]:
    scores = fix_scores()
    print(
        "| cases | tried | fixed at once | fixed | other files changed | not put back | forbidden "
        "| files by hand | harmed |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, s in scores.items():
        shares = [f"{part / s.cases:.0%}" if s.cases else "-" for part in (s.first, s.fixed)]
        cells = [
            name,
            s.cases,
            *shares,
            s.collateral,
            s.not_restored,
            s.forbidden,
            s.by_hand,
            s.harmed,
        ]
        print("| " + " | ".join(map(str, cells)) + " |")
    if show:
        for name, s in scores.items():
            print(f"\n{name}, not mended:\n" + "\n".join(f"    {miss}" for miss in s.misses))
    return {name: s.as_json() for name, s in scores.items()}


if __name__ == "__main__":
    main()
