"""Scores rules and a model together: score_models.py [worst|PROVIDER:MODEL] [--alone]
[--set=WORDS].

Knows no rule. Beside the counts of `score.py` it counts suggestions, where the rules are silent:
what a person reads, and nobody acts upon. `worst` is the model that would mislead most: of all that
it could say, it says a wrong thing that passes every check, if there is one.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from cyxmake_cli.llm.causes import diagnose_with_model, excerpt_of
from cyxmake_cli.llm.open import open_models
from cyxmake_cli.llm.prompts import MEANINGS
from cyxmake_cli.llm.router import Models
from cyxmake_cli.settings import AiSettings
from cyxmake_common.diagnosis.diagnose import diagnose
from cyxmake_common.diagnosis.model import Diagnosis, LogInput
from support.diagnosis_score import SETS, Case, load
from support.fake_models import answering

_WORD = re.compile(r"[\w./+:@-]{2,60}")
_MOST_WORDS = 150


@dataclass
class Counts:
    """What came of one set of cases."""

    cases: int = 0
    right: int = 0
    silent: int = 0
    wrong: int = 0
    suggested_right: int = 0
    suggested_wrong: int = 0
    surer_right: int = 0
    surer_wrong: int = 0
    seconds: float = 0.0


def fits(case: Case, cause: Diagnosis) -> bool:
    """Tell whether a cause has the category of the label, or one it also accepts."""
    return cause.category.value in (case.category, *case.also)


def count(
    counts: Counts, case: Case, models: Models | None, *, worst: bool = False, alone: bool = False
) -> None:
    """Diagnose one case and count; `alone`: as if no rule knew it."""
    log = LogInput(case.log, case.exit_status)
    rules = [] if alone else diagnose(log)
    begun = time.process_time()
    causes = misled(case, log, rules) if worst else diagnose_with_model(log, rules, models).causes
    counts.seconds += time.process_time() - begun
    counts.cases += 1
    acted = [cause for cause in causes if not cause.suggested]
    assert [c.category for c in acted] == [c.category for c in rules], "a rule was overridden"
    if acted:
        good = fits(case, acted[0])
        counts.right += good
        counts.wrong += not good
        surer = acted[0].confidence > rules[0].confidence
        counts.surer_right += surer and good
        counts.surer_wrong += surer and not good
        return
    counts.silent += 1
    if causes:
        good = fits(case, causes[0])
        counts.suggested_right += good
        counts.suggested_wrong += not good


def misled(case: Case, log: LogInput, rules: list[Diagnosis]) -> tuple[Diagnosis, ...]:
    """Return what the worst model brings about: a wrong cause, if any passes the checks."""
    best = tuple(rules)
    for answer in _lies(case, log, rules):
        said = {"fix": "none", "confidence": 1.0, "summary": "so it is", **answer}
        causes = diagnose_with_model(log, rules, Models([answering(said)])).causes
        if rules and causes and causes[0].confidence > best[0].confidence:
            best = causes
        if not rules and causes:
            return causes
    return best


def _lies(case: Case, log: LogInput, rules: list[Diagnosis]) -> Iterator[dict[str, object]]:
    lines = excerpt_of(log, rules).split("\n")
    words = list(dict.fromkeys(w.strip(".:") for line in lines for w in _WORD.findall(line)))
    if rules:  # against a rule there is no lie but to agree with a wrong one
        known = rules[0].facts.known()
        for fact in ("", *map(str, known.values())):
            yield {"category": rules[0].category.value, "fact": fact, "line": 1}
        return
    for category in MEANINGS:
        if category.value not in (case.category, *case.also):
            for fact in ("", *words[:_MOST_WORDS]):
                yield {"category": category.value, "fact": fact, "line": 1}


def main() -> None:
    """Print the table."""
    alone = "--alone" in sys.argv
    wanted = next((w.removeprefix("--set=") for w in sys.argv if w.startswith("--set=")), "")
    named = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    worst = named == "worst"
    models = None
    if named and not worst:
        models = open_models(replace(AiSettings(), providers=named), os.environ)
    print(f"{'set':28} cases  right silent  wrong | suggested | surer   | CPU s")
    total = Counts()
    for name, path in SETS.items():
        if wanted not in name:
            continue
        counts = Counts()
        for case in load(path):
            count(counts, case, models, worst=worst, alone=alone)
        _show(name, counts)
        for field in fields(Counts):
            setattr(total, field.name, getattr(total, field.name) + getattr(counts, field.name))
    _show("all", total)
    print("suggested, surer: right and wrong ones")


def _show(name: str, c: Counts) -> None:
    print(f"{name:28} {c.cases:5} {c.right:6} {c.silent:7} {c.wrong:6} | "
          f"{c.suggested_right:3} {c.suggested_wrong:3} | {c.surer_right:3} {c.surer_wrong:3} | "
          f"{c.seconds:.1f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
