"""Scores the diagnosis: python tests/failures/score.py strangers|injected [--show] [--json FILE].

Knows no rule and runs no build: injected failures are scored on what they said when they were last
tried (tests/failures/injected.py).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.diagnosis_score import SETS, Case, Score, injected, score, strangers


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
    parser.add_argument("kind", nargs="?", choices=sorted(_KINDS))
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--json", type=Path, help="write the counts to a file")
    options = parser.parse_args()
    chosen = [options.kind] if options.kind else list(_KINDS)
    sets = {name: found for kind in chosen for name, found in _KINDS[kind]().items()}
    scores = {name: score(found) for name, found in sets.items()}
    print("| set | cases | right | silent | wrong | facts |\n|---|---|---|---|---|---|")
    for name, result in scores.items():
        print(_row(name, result))
    if options.show:
        for name, result in scores.items():
            if "sealed" not in name:
                kinds = Counter(case.category for case in sets[name])
                print(f"\n{name}: " + ", ".join(f"{k} {n}" for k, n in kinds.most_common()))
                print("\n".join(f"    {miss}" for miss in result.misses))
    if options.json:
        document = {name: result.as_json() for name, result in scores.items()}
        options.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
