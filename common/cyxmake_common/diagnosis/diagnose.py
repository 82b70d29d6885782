"""Finds the causes in what a failed command said: strongest first, then in order of appearance.

Knows no fix. Says nothing rather than guess: no diagnosis is the answer to output that no rule
knows. What follows from an earlier cause is left out.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, Final

from cyxmake_common.diagnosis.around import completed
from cyxmake_common.diagnosis.fingerprint import fingerprint
from cyxmake_common.diagnosis.lines import (
    PROBE_MARKS,
    is_about_a_word,
    is_complaint,
    is_idle,
    is_quoted_code,
    is_remark,
    is_tried_again,
    probed,
)
from cyxmake_common.diagnosis.model import Category, Diagnosis, Facts, FixIt, LogInput
from cyxmake_common.diagnosis.rules import (
    Rule,
    Strength,
    fact_of,
    load_rules,
    words_of_many_hints,
)
from cyxmake_common.diagnosis.structured import Reading, read
from cyxmake_common.diagnosis.text import essential_lines

_MATCHES_A_RULE: Final = 200
_MOST_CAUSES: Final = 20
_APART: Final = 5
"""How many lines away a tool's own words for the same failure may stand."""
_TOOLS: Final = frozenset(
    {"bison", "clang", "cmake", "cython", "flex", "gcc", "go", "java", "make", "meson", "ninja"}
    | {"node", "numpy", "perl", "python"}
)
"""Named alike however a message writes them."""
_TRAILING: Final = " \t.,;:"
_QUOTES: Final = "'\"`"


@dataclass(frozen=True, slots=True)
class _Match:
    rule: Rule
    first: int
    """Index of the first line of the match."""
    last: int
    facts: Facts
    evidence: str
    strength: Strength
    """The rule's, or less where the line itself says that it need not be a failure."""

    @property
    def merit(self) -> tuple[int, float, int]:
        """Say which of two matches of the same place is to be believed."""
        return (self.strength, self.rule.confidence, len(self.evidence))

    @property
    def unplaced(self) -> bool:
        """Tell whether any tool's words were read, at no place of a source."""
        return self.strength <= Strength.GENERAL and self.facts.line is None


def diagnose(log: LogInput, rules: Iterable[Rule] | None = None) -> list[Diagnosis]:
    """Return the causes that the output and the exit status name; empty when none is certain."""
    chosen = tuple(load_rules() if rules is None else rules)
    reading = read(log.text)
    if reading is not None:
        log = replace(log, text=reading.text)
    lines, numbers = essential_lines(log.text)
    matches = _best_by_place(_matches(chosen, lines, log))
    matches = _without_consequences(matches, _complaints(lines, matches))
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


def _matches(rules: tuple[Rule, ...], lines: list[str], log: LogInput) -> list[_Match]:
    text = _Text(lines)
    found: list[_Match] = []
    for rule in rules:
        if rule.tools and log.tool and log.tool not in rule.tools:
            continue
        if rule.exit_statuses and log.exit_status not in rule.exit_statuses:
            continue
        if rule.pattern is None:
            facts = _facts(rule.constant)
            found.append(_Match(rule, len(lines), len(lines), facts, "", rule.strength))
        else:
            found.extend(_in_text(rule, text))
    return found


class _Text:
    """The lines as one text, and where in it the hints stand: many rules share one."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.whole = "\n".join(lines)
        self.probed = probed(lines) if any(mark in self.whole for mark in PROBE_MARKS) else ()
        self.starts = [0, *accumulate(len(line) + 1 for line in lines)]
        self._held: dict[str, bool] = {}
        self._with: dict[str, tuple[int, ...]] = {}

    def number(self, place: int) -> int:
        """Return the index of the line of a place."""
        return bisect_right(self.starts, place) - 1

    def holds(self, hint: str) -> bool:
        """Tell whether a hint stands anywhere; not where a word of it, of many hints, does not."""
        held = self._held.get(hint)
        if held is None:
            word = words_of_many_hints().get(hint)
            held = (word is None or self.holds(word)) and hint in self.whole
            self._held[hint] = held
        return held

    def lines_with(self, hint: str) -> tuple[int, ...]:
        """Return the indices of lines that hold a hint, the first ones of very many."""
        if not self.holds(hint):
            return ()
        known = self._with.get(hint)
        if known is None:
            found: list[int] = []
            at = self.whole.find(hint)
            while at >= 0 and len(found) < _MATCHES_A_RULE:
                found.append(self.number(at))
                at = self.whole.find(hint, self.starts[found[-1] + 1])
            known = self._with[hint] = tuple(found)
        return known


def _in_text(rule: Rule, text: _Text) -> Iterator[_Match]:
    for number, match in enumerate(_candidates(rule, text)):
        if number == _MATCHES_A_RULE:
            return
        blank = len(match[0]) - len(match[0].lstrip())  # perhaps the end of the line before
        first = text.number(match.start() + blank)
        strength = _strength(rule, text.lines[first], first in text.probed)
        if strength is None:
            continue
        last = text.number(max(match.start(), match.end() - 1))
        groups = ((fact_of(k), v) for k, v in match.groupdict().items() if v)
        named = {k: v.rstrip(_TRAILING) if k == "message" else _bare(v) for k, v in groups}
        facts = {**rule.constant, **{k: v for k, v in named.items() if v}}
        evidence = "\n".join(text.lines[first : last + 1]).strip()
        yield _Match(rule, first, last, _facts(facts), evidence, strength)


def _strength(rule: Rule, line: str, probe: bool) -> Strength | None:
    """Say what a match that begins on this line is worth; None for nothing at all."""
    if is_quoted_code(line) or (rule.strength is Strength.RESOURCE and is_about_a_word(line)):
        return None
    if rule.reads_remarks:
        return rule.strength
    if probe or is_idle(line):
        return Strength.WEAK
    if rule.strength <= Strength.CAUSE and is_remark(line):
        told = rule.strength is Strength.CAUSE and line.lstrip().startswith("checking ")
        return rule.strength if told else None  # a check may end with why it did not pass
    if rule.category is Category.NETWORK_FAILURE and is_tried_again(line):
        return Strength.WEAK
    return rule.strength


def _candidates(rule: Rule, text: _Text) -> Iterator[re.Match[str]]:
    """Match only where a hint stands: most rules have nothing to say of most lines."""
    assert rule.pattern is not None
    if not rule.one_line:
        if any(text.holds(hint) for hint in rule.hints):
            yield from rule.pattern.finditer(text.whole)
        return
    for number in sorted({n for hint in rule.hints for n in text.lines_with(hint)}):
        start = text.starts[number]
        yield from rule.pattern.finditer(text.whole, start, start + len(text.lines[number]))


def _bare(value: str) -> str:
    return value.rstrip(_TRAILING).strip(_QUOTES).rstrip(_TRAILING).lstrip()


def _facts(named: dict[str, str]) -> Facts:
    values: dict[str, Any] = {name: " ".join(value.split()) for name, value in named.items()}
    library = values.get("library", "")
    if library.startswith("lib") and "." not in library:
        values["library"] = library.removeprefix("lib")  # as after -l
    if values.get("subject", "").lower() in _TOOLS:
        values["subject"] = values["subject"].lower()
    if "line" in values:
        values["line"] = int(values["line"])
    return Facts(**values)


def _best_by_place(matches: list[_Match]) -> list[_Match]:
    """Keep one match for each line: what is most particular about it."""
    taken: set[int] = set()
    kept: list[_Match] = []
    for match in sorted(matches, key=lambda m: m.merit, reverse=True):
        place = set(range(match.first, match.last + 1))
        if not match.evidence or taken.isdisjoint(place):
            taken |= place
            kept.append(match)
    return kept


@dataclass(frozen=True, slots=True)
class _Complaints:
    """Lines on which tools say why they fail: all of them, and those that no match is near to."""

    said: list[int]
    not_understood: list[int]

    def before(self, match: _Match) -> bool:
        """Tell whether something complained before."""
        return bool(self.said) and self.said[0] < match.first

    def elsewhere(self, match: _Match) -> bool:
        """Tell whether anything else complains at all."""
        return any(not match.first <= number <= match.last for number in self.said)

    def hide(self, match: _Match) -> bool:
        """Tell whether a match of any tool's words may follow from what nobody understands."""
        return bool(self.not_understood) and (
            match.strength is Strength.WEAK or self.not_understood[0] < match.first
        )


def _complaints(lines: list[str], matches: list[_Match]) -> _Complaints:
    """Look for complaints, where anything depends on them."""
    if not any(m.rule.follows or m.rule.alone or m.unplaced for m in matches):
        return _Complaints([], [])
    near = {n for m in matches for n in range(m.first - _APART, m.last + _APART + 1)}
    said = [number for number, line in enumerate(lines) if is_complaint(line)]
    return _Complaints(said, [number for number in said if number not in near])


def _without_consequences(matches: list[_Match], complaints: _Complaints) -> list[_Match]:
    """Drop what the other matches, or complaints that nobody understands, explain."""
    matches = [
        match
        for match in matches
        if not (match.rule.follows and complaints.before(match))
        and not (match.rule.alone and complaints.elsewhere(match))
        and not (match.evidence and match.unplaced and complaints.hide(match))
    ]
    categories: set[Category] = {m.rule.category for m in matches}
    matches = [m for m in matches if not m.rule.yields_to & (categories - {m.rule.category})]
    strongest = max((m.strength for m in matches), default=Strength.WEAK)
    specific = any(m.strength >= Strength.CAUSE for m in matches)
    broken: dict[str, int] = {}
    for match in matches:
        if match.strength >= Strength.GENERAL and match.facts.file:
            name = match.facts.file
            broken[name] = min(match.first, broken.get(name, match.first))
    kept = []
    for match in matches:
        explained = (
            (match.strength is Strength.WEAK and strongest > Strength.WEAK)
            or (match.strength is Strength.GENERAL and strongest is Strength.RESOURCE)
            or (
                # A compiler that lost its way once complains to the end of the file.
                match.strength is Strength.GENERAL
                and (broken[match.facts.file] < match.first if match.facts.file else specific)
            )
        )
        if not explained:
            kept.append(match)
    return kept


def _diagnosis(match: _Match, log: LogInput, text: list[str], numbers: list[int]) -> Diagnosis:
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
