"""Chooses the causes among all that matched: one for a place, nothing that follows from others.

Knows no rule by name; where complaints stay that nobody understands, it rather says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cyxmake_common.diagnosis.lines import is_complaint
from cyxmake_common.diagnosis.matching import Match
from cyxmake_common.diagnosis.model import Category
from cyxmake_common.diagnosis.rules import Strength

_APART: Final = 5
"""How many lines away a tool's own words for the same failure may stand."""


def best_by_place(matches: list[Match]) -> list[Match]:
    """Keep one match for each line: what is most particular about it."""
    taken: set[int] = set()
    kept: list[Match] = []
    for match in sorted(matches, key=lambda m: m.merit, reverse=True):
        place = set(range(match.first, match.last + 1))
        if not match.evidence or taken.isdisjoint(place):
            taken |= place
            kept.append(match)
    return kept


@dataclass(frozen=True, slots=True)
class Complaints:
    """Lines on which tools say why they fail: all of them, and those that no match is near to."""

    said: list[int]
    not_understood: list[int]

    def before(self, match: Match) -> bool:
        """Tell whether something complained before."""
        return bool(self.said) and self.said[0] < match.first

    def elsewhere(self, match: Match) -> bool:
        """Tell whether anything else complains at all."""
        return any(not match.first <= number <= match.last for number in self.said)

    def hide(self, match: Match) -> bool:
        """Tell whether a match of any tool's words may follow from what nobody understands."""
        return bool(self.not_understood) and (
            match.strength is Strength.WEAK or self.not_understood[0] < match.first
        )


def complaints_of(lines: list[str], matches: list[Match]) -> Complaints:
    """Look for complaints, where anything depends on them."""
    if not any(m.rule.follows or m.rule.alone or m.unplaced for m in matches):
        return Complaints([], [])
    near = {n for m in matches for n in range(m.first - _APART, m.last + _APART + 1)}
    said = [number for number, line in enumerate(lines) if is_complaint(line)]
    return Complaints(said, [number for number in said if number not in near])


def without_consequences(matches: list[Match], complaints: Complaints) -> list[Match]:
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
