"""The rules as data: what each looks for, which facts it reads, how much it is worth.

Knows no log; the TOML files beside it hold the rules with examples that must and must not match.
In a pattern `<header>` stands for a named group with that fact's usual characters (`<header2>` in
a second alternative); a `wrapped` rule takes any white space where its pattern has a space.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from importlib.resources import files
from typing import Final, cast

from cyxmake_common.diagnosis.model import FACT_NAMES, Category, Phase

_PATH: Final = r"(?:[A-Za-z]:[\\/])?[^\s:*?\"'<>|()\[\],;`]+"
_WORD: Final = r"[^\s'\"`,:;()\[\]]+"
_CHARACTERS: Final = {
    "header": r"[^\s:'\"<>]+",
    "library": r"[^\s'\"`,:;()]+",
    "module": r"[^\s'\"`,;()]+",
    "command": r"[^\s'\"`,:;()]+",
    "symbol": r"[^'\"`\n]+",
    "option": r"[^\s'\"`,;()\[\]]+",
    "file": _PATH,
    "path": r"[^\s'\"`,;]+",
    "line": r"\d+",
    "host": r"[A-Za-z0-9][\w.-]*",
    "wanted": r"[^\s'\"`,;()]+",
    "found": r"[^\s'\"`,;()]+",
    "target": r"[^'\"`\n]+",
    "message": r"[^\n]+",
}
_HINT_WORD: Final = re.compile(r"[A-Za-z]{4,}|LNK|MSB")
_PLACEHOLDER: Final = re.compile(r"(?<!\?P)<([a-z]+)(\d?)>")


class Strength(IntEnum):
    """Which of several matches is the cause: the stronger one."""

    WEAK = 0
    """Counts only when nothing else in the output does."""
    GENERAL = 1
    """Any error of a tool; gives way to what is said of the same place in particular."""
    CAUSE = 2
    RESOURCE = 3
    """The machine failed; whatever else was said may follow from it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that tools say when they fail."""

    id: str
    category: Category
    pattern: re.Pattern[str] | None
    hints: tuple[str, ...]
    """One stands in every text that the pattern matches: a quick look before a slow one."""
    one_line: bool
    """No match of the pattern spans lines: only lines with a hint need to be looked at."""
    strength: Strength
    confidence: float
    phase: Phase | None
    constant: dict[str, str]
    """Facts that follow from the rule itself."""
    exit_statuses: frozenset[int]
    """Without a pattern: these alone suffice. With one: asked for as well, where known."""
    tools: frozenset[str]
    """Speaks only of these programs, where the caller knows the program."""
    yields_to: frozenset[Category]
    """Follows from these when they are there, too."""
    follows: bool
    """Is said because something failed before: a cause only when nothing complained earlier."""
    alone: bool
    """Is said by builds that then go on, too: a cause only when nothing complains anywhere."""
    reads_remarks: bool
    """Believes warnings and what checks report on their way, too, although it is not strong."""


@dataclass(frozen=True, slots=True)
class Examples:
    """What proves a rule: texts it must win on, texts it must not match, facts of the first."""

    positive: tuple[str, ...]
    negative: tuple[str, ...]
    expected: dict[str, str | int]


@lru_cache(maxsize=1)
def load_rules() -> tuple[Rule, ...]:
    """Return every rule of the package, in the order of its files."""
    return tuple(rule for rule, _ in rules_with_examples())


@lru_cache(maxsize=1)
def words_of_many_hints() -> dict[str, str]:
    """Return, for a hint, the word of it that most others hold, too: one look spares many."""
    hints = {hint for rule in load_rules() for hint in rule.hints}
    number = Counter(word for hint in hints for word in set(_HINT_WORD.findall(hint)))
    shared: dict[str, str] = {}
    for hint in hints:
        words = [word for word in _HINT_WORD.findall(hint) if word != hint and number[word] > 2]
        if words:
            shared[hint] = max(words, key=lambda word: (number[word], word))
    return shared


def rules_with_examples() -> list[tuple[Rule, Examples]]:
    """Read every rule with its examples; raises ValueError for one that is malformed."""
    data = files(__package__).joinpath("data")
    found: list[tuple[Rule, Examples]] = []
    for entry in sorted(data.iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".toml"):
            found.extend(parse_rules(entry.name, entry.read_text("utf-8")))
    ids = [rule.id for rule, _ in found]
    if len(ids) != len(set(ids)):
        raise ValueError(f"rules of the same name: {sorted({i for i in ids if ids.count(i) > 1})}")
    return found


def parse_rules(name: str, text: str) -> list[tuple[Rule, Examples]]:
    """Read the rules of one file; raises ValueError for one that is malformed."""
    try:
        return [_parse(name, raw) for raw in tomllib.loads(text).get("rule", [])]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{name}: {type(error).__name__}: {error}") from error


def prove(rule: Rule, examples: Examples) -> None:
    """Raise ValueError where a rule's pattern does not do what its examples say."""
    if rule.pattern is None:
        return
    if not examples.positive:
        raise ValueError(f"{rule.id}: no example of what it matches")
    for text in examples.positive:
        if rule.pattern.search(text) is None or not any(h in text for h in rule.hints or ("",)):
            raise ValueError(f"{rule.id}: does not match its example {text!r}")
    for text in examples.negative:
        if rule.pattern.search(text) is not None:
            raise ValueError(f"{rule.id}: matches {text!r}, which it must not")


_KNOWN_KEYS: Final = {
    "id", "category", "pattern", "hint", "strength", "confidence", "phase", "set", "exits",
    "tools", "yields_to", "wrapped", "remarks", "follows", "alone", "positive", "negative",
    "expect",
}  # fmt: skip


def _parse(file: str, raw: dict[str, object]) -> tuple[Rule, Examples]:
    name = f"{file}: {raw.get('id', '?')}"
    if unknown := raw.keys() - _KNOWN_KEYS:
        raise ValueError(f"{name}: unknown keys {sorted(unknown)}")
    source = cast("str | None", raw.get("pattern"))
    hint = cast("str | list[str]", raw.get("hint", []))
    constant = cast("dict[str, str]", raw.get("set", {}))
    pattern = None if source is None else _compile(name, source, bool(raw.get("wrapped")))
    groups = {fact_of(group) for group in pattern.groupindex} if pattern else set()
    if strange := (groups | constant.keys()) - set(FACT_NAMES):
        raise ValueError(f"{name}: no such facts: {sorted(strange)}")
    rule = Rule(
        id=cast("str", raw["id"]),
        category=Category(cast("str", raw["category"])),
        pattern=pattern,
        hints=(hint,) if isinstance(hint, str) else tuple(hint),
        one_line=source is not None and not raw.get("wrapped") and _one_line(source),
        strength=Strength[cast("str", raw.get("strength", "cause")).upper()],
        confidence=cast("float", raw.get("confidence", 0.95)),
        phase=Phase(cast("str", raw["phase"])) if "phase" in raw else None,
        constant=constant,
        exit_statuses=frozenset(cast("list[int]", raw.get("exits", []))),
        tools=frozenset(cast("list[str]", raw.get("tools", []))),
        yields_to=frozenset(Category(c) for c in cast("list[str]", raw.get("yields_to", []))),
        follows=bool(raw.get("follows")),
        alone=bool(raw.get("alone")),
        reads_remarks=bool(raw.get("remarks")),
    )
    if rule.pattern is None and not rule.exit_statuses:
        raise ValueError(f"{name}: neither a pattern nor exit statuses")
    examples = Examples(
        tuple(cast("list[str]", raw.get("positive", []))),
        tuple(cast("list[str]", raw.get("negative", []))),
        cast("dict[str, str | int]", raw.get("expect", {})),
    )
    return rule, examples


def fact_of(group: str) -> str:
    """Return the fact that a named group holds: alternatives of one pattern number their groups."""
    return group.rstrip("0123456789")


def _one_line(source: str) -> bool:
    outside = re.sub(r"\[\^[^\]]*\]", "", source.replace(r"[^\0]", r"\n"))
    return r"\n" not in outside and r"\s" not in outside


def _compile(name: str, source: str, wrapped: bool) -> re.Pattern[str]:
    def group(match: re.Match[str]) -> str:
        return f"(?P<{match[1]}{match[2]}>{_CHARACTERS.get(match[1], _WORD)})"

    expanded = _PLACEHOLDER.sub(group, source)
    if wrapped:
        expanded = expanded.replace(" ?", r"\s*").replace(" ", r"\s+")
    try:
        return re.compile(expanded, re.MULTILINE)
    except re.error as error:
        raise ValueError(f"{name}: {error}: {expanded}") from error
