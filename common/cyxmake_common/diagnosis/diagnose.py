"""Finds the causes in what a failed command said: strongest first, then in order of appearance.

Knows no fix. Says nothing rather than guess: no diagnosis is the answer to output that no rule
knows. What follows from an earlier cause is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from cyxmake_common.diagnosis.around import completed
from cyxmake_common.diagnosis.choice import best_by_place, complaints_of, without_consequences
from cyxmake_common.diagnosis.fingerprint import fingerprint
from cyxmake_common.diagnosis.matching import Match, matches_in
from cyxmake_common.diagnosis.model import Diagnosis, FixIt, LogInput
from cyxmake_common.diagnosis.rules import Rule, load_rules
from cyxmake_common.diagnosis.structured import Reading, read
from cyxmake_common.diagnosis.text import essential_lines

_MOST_CAUSES: Final = 20


def diagnose(log: LogInput, rules: Iterable[Rule] | None = None) -> list[Diagnosis]:
    """Return the causes that the output and the exit status name; empty when none is certain."""
    chosen = tuple(load_rules() if rules is None else rules)
    reading = read(log.text)
    if reading is not None:
        log = replace(log, text=reading.text)
    lines, numbers = essential_lines(log.text)
    matches = best_by_place(matches_in(chosen, lines, log))
    matches = without_consequences(matches, complaints_of(lines, matches))
    found: dict[str, Diagnosis] = {}
    for match in sorted(matches, key=lambda m: (-m.strength, m.first)):
        diagnosis = _diagnosis(match, log, lines, numbers)
        seen = found.get(diagnosis.fingerprint)
        if seen is not None:
            found[diagnosis.fingerprint] = replace(
                seen,
                count=seen.count + 1,
                lines=_joined(seen.lines, diagnosis.lines),
                facts=replace(seen.facts, host=seen.facts.host or diagnosis.facts.host),
            )
        else:
            found[diagnosis.fingerprint] = diagnosis
    causes = list(found.values())[:_MOST_CAUSES]
    return causes if reading is None else _with_fixits(causes, reading)


def _with_fixits(causes: list[Diagnosis], reading: Reading) -> list[Diagnosis]:
    """Add what the tool proposes to the cause at that place, else to the file's first cause.

    Lines of what was no text mean nothing to anyone.
    """
    proposed: list[list[FixIt]] = [[] for _ in causes]
    for (file, line), fixit in reading.fixits:
        here = [n for n, cause in enumerate(causes) if cause.facts.file == file]
        exact = [n for n in here if causes[n].facts.line == line]
        for number in (exact or here)[:1]:
            proposed[number].append(fixit)
    return [
        replace(cause, lines=(), fixits=tuple(fixits))
        for cause, fixits in zip(causes, proposed, strict=True)
    ]


def _diagnosis(match: Match, log: LogInput, text: list[str], numbers: list[int]) -> Diagnosis:
    rule = match.rule
    lines = tuple(numbers[match.first : match.last + 1]) if match.evidence else ()
    return Diagnosis(
        category=rule.category,
        facts=completed(rule.category, match.facts, text, match.first, match.last),
        confidence=rule.confidence,
        rule=rule.id,
        fingerprint=fingerprint(rule.category, match.facts, match.evidence or rule.id),
        lines=lines,
        evidence=match.evidence,
        phase=log.phase or rule.phase,
    )


def _joined(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted({*first, *second}))[:50]
