"""Finds every place of a log where a rule matches, with the facts that it reads there.

Knows not which of them are causes.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from cyxmake_common.diagnosis.lines import (
    PROBE_MARKS,
    is_about_a_word,
    is_idle,
    is_quoted_code,
    is_remark,
    is_tried_again,
    probed,
)
from cyxmake_common.diagnosis.model import Category, Facts, LogInput
from cyxmake_common.diagnosis.rules import Rule, Strength, fact_of, words_of_many_hints

_MATCHES_A_RULE: Final = 200
_TOOLS: Final = frozenset(
    {"bison", "clang", "cmake", "cython", "flex", "gcc", "go", "java", "make", "meson", "ninja"}
    | {"node", "numpy", "perl", "python"}
)
"""Named alike however a message writes them."""
_TRAILING: Final = " \t.,;:"
_QUOTES: Final = "'\"`"


@dataclass(frozen=True, slots=True)
class Match:
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


def matches_in(rules: tuple[Rule, ...], lines: list[str], log: LogInput) -> list[Match]:
    """Return what every rule reads in the lines, and from the exit status."""
    text = _Text(lines)
    found: list[Match] = []
    for rule in rules:
        if rule.tools and log.tool and log.tool not in rule.tools:
            continue
        if rule.exit_statuses and log.exit_status not in rule.exit_statuses:
            continue
        if rule.pattern is None:
            facts = _facts(rule.constant)
            found.append(Match(rule, len(lines), len(lines), facts, "", rule.strength))
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


def _in_text(rule: Rule, text: _Text) -> Iterator[Match]:
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
        yield Match(rule, first, last, _facts(facts), evidence, strength)


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
