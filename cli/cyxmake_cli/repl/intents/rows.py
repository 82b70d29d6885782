"""Clauses to commands, by evidence: which row of the table has a word in the clause for each of its groups.

Knows no grammar and no frames' options. Each word of the clause has to be accounted for: by the row,
by an option, by a slot, or as one that says nothing (`left` are the others).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Final

from cyxmake_cli.repl.intents.model import Argv, reads_only
from cyxmake_cli.repl.intents.slots import LISTS, SLOTS, free, listed, named, of_packages, read_slot
from cyxmake_cli.repl.intents.text import MANNER, Word, data, stem, words

_SLOT: Final = re.compile(r"\{(\w+)(\?)?\}")


@dataclass(frozen=True, slots=True)
class Group:
    """Words of which a clause has to have one: stems, several stems together, or a slot."""

    stems: frozenset[str]
    pairs: tuple[tuple[str, ...], ...]
    slot: str = ""
    nominal: bool = False
    """Whether a clause without a verb needs none of them."""


@dataclass(frozen=True, slots=True)
class Row:
    """A command or a frame, and what speaks for it."""

    argv: str
    frame: str
    groups: tuple[Group, ...]
    also: frozenset[str]
    none: Group
    undo: str
    look: bool
    stated: bool
    """Whether a statement asks for it: "w1 is to get no new work"."""
    negative: bool
    """Whether a clause that begins with a prohibition asks for it: "never use the cluster"."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A row that fits a clause: its command, how many words speak for it, and those that do not."""

    row: Row
    argv: Argv
    undo: Argv
    score: float
    left: tuple[Word, ...] = field(default=())
    groups: int = 0


@dataclass(frozen=True, slots=True)
class Option:
    """An option that may be said anywhere in a clause."""

    of: frozenset[str]
    add: str
    say: re.Pattern[str]


def stems(text: str) -> frozenset[str]:
    """Return the stems of words separated by blanks."""
    return frozenset(stem(word) for word in text.split()) - {MANNER}


@cache
def table() -> tuple[Row, ...]:
    """Return all rows."""
    return tuple(_row(row) for row in data("commands")["row"])


def _row(row: dict[str, object]) -> Row:
    argv = str(row.get("do", row.get("look", "")))
    return Row(
        argv,
        str(row.get("frame", "")),
        tuple(group(text) for text in row["of"]),  # type: ignore[attr-defined]
        stems(str(row.get("also", ""))),
        group(str(row.get("none", ""))),
        str(row.get("undo", "")),
        "look" in row,
        bool(row.get("stated")),
        bool(row.get("negative")),
    )


def group(text: str) -> Group:
    """Return a group of a table, as it is written there."""
    if match := _SLOT.fullmatch(text):
        return Group(frozenset(), (), match[1])
    nominal, text = text.startswith("?"), text.removeprefix("?")
    single = frozenset(stem(word) for word in text.split() if "+" not in word) - {MANNER}
    pairs = tuple(tuple(stem(w) for w in word.split("+")) for word in text.split() if "+" in word)
    return Group(single, pairs, nominal=nominal)


@cache
def filler() -> frozenset[str]:
    """Return the stems of words that say nothing by themselves."""
    return stems(data("language")["words"]["filler"]) | {MANNER}


@cache
def asked() -> frozenset[str]:
    """Return those that say nothing in a question, beside the others."""
    return stems(data("language")["words"]["asked"])


@cache
def vocabulary() -> frozenset[str]:
    """Return every word that speaks for something here: a misspelt word may be meant to be one."""
    found: set[str] = set()
    for row in data("commands")["row"]:
        for text in (*row["of"], row.get("also", "")):
            found |= {w for part in text.split() for w in part.split("+") if w.isalpha()}
    table_ = data("language")["words"]
    for name in ("filler", "asked", "verbs", "modifiers"):
        found |= {word for word in table_[name].split() if word.isalpha()}
    return frozenset(found)


# ── options ──────────────────────────────────────────────────────────────────────────────────────


@cache
def options() -> tuple[Option, ...]:
    """Return all options."""
    return tuple(
        Option(
            frozenset(word.replace("+", " ") for word in row["of"].split()),
            row["add"],
            named(row["say"]),
        )
        for row in data("options")["option"]
    )


@cache
def _options_of(command: str) -> tuple[Option, ...]:
    return tuple(option for option in options() if command in option.of)


@lru_cache(maxsize=256)
def with_options(text: str, command: str) -> tuple[tuple[str, ...], str, int]:
    """Take the options of a command out of a text; returns them, the rest, and how many words."""
    added: list[str] = []
    taken = 0
    for option in _options_of(command):
        for match in option.say.finditer(text):
            if not match[0].strip():
                continue
            argv = _filled_option(option.add, match)
            said_before = argv is not None and bool(argv) and not _new(argv, added)
            if argv is not None:
                argv = _new(argv, added)
            if not said_before and (not argv or argv[0] in added):
                continue
            argv = argv or []
            added += argv
            taken += len(match[0].split())
            text = " ".join(f"{text[: match.start()]} {text[match.end() :]}".split())
            break
    return tuple(added), text, taken


@cache
def takes(command: str, option: str) -> bool:
    """Tell whether an option of the table is one of a command."""
    return any(command in row.of and option in row.add.split() for row in options())


def _new(argv: list[str], added: list[str]) -> list[str]:
    # The same strategy may be said by several options.
    if argv[:2] == ["--strategy", "whole-project"] and "--strategy" in added:
        return argv[2:]
    return argv


def _filled_option(template: str, match: re.Match[str]) -> list[str] | None:
    groups: dict[str, str] = {}
    for name, value in match.groupdict().items():
        if value:
            groups.setdefault(name.rstrip("0123456789"), value)
    found: list[str] = []
    for word in template.split():
        if slot := _SLOT.fullmatch(word):
            value = read_slot(slot[1], groups.get(slot[1], ""))
            if value is None:
                return None
            found.append(value)
        else:
            found.append(word)
    return found


# ── fits ─────────────────────────────────────────────────────────────────────────────────────────


def fits(text: str, *, question: bool = False, spare: frozenset[str] = frozenset()) -> list[Fit]:
    """Return the rows (no frames) that fit a clause, best first; words in `spare` may be left."""
    every = words(text)
    found = []
    for row in table():
        if row.frame or (question and not row.look) or not _hit(row, every, question=question):
            continue
        if fit := _fit(row, text, question=question, spare=spare):
            found.append(fit)
    return sorted(found, key=lambda fit: (len(fit.left) * 1.5 - fit.score, -fit.groups))


def frame_fits(text: str) -> list[Fit]:
    """Return the frames' verbs that fit what is left of a clause without modifiers."""
    every = words(text)
    found = []
    for row in table():
        if row.frame and _hit(row, every):
            used = _used(row, every)
            left = tuple(w for n, w in enumerate(every) if n not in used and w.stem not in filler())
            found.append(Fit(row, (), (), len(used), left, len(row.groups)))
    return sorted(found, key=lambda fit: (len(fit.left), -fit.groups, -fit.score))


def _hit(row: Row, every: list[Word], *, question: bool = False) -> bool:
    there = {word.stem for word in every}
    if _literal(row, every):
        return True
    if row.none.stems & there or any(there.issuperset(pair) for pair in row.none.pairs):
        return False
    hits: set[str] = set()
    plain = 0
    for group in row.groups:
        if group.slot:
            continue
        found = group.stems & there
        for pair in group.pairs:
            if there.issuperset(pair):
                found |= set(pair)
        if not found and group.nominal and not question and not begins(every):
            continue
        if not found:
            return False
        hits |= found
        plain += 1
    # One word alone does not speak for two groups.
    return len(hits) >= plain


def _literal(row: Row, every: list[Word]) -> bool:
    """Tell whether a clause begins with the very words of a command."""
    said = [word for word in row.argv.split() if word[0] != "{"]
    return bool(said) and [word.low for word in every[: len(said)]] == said


def _used(row: Row, every: list[Word]) -> set[int]:
    there = {word.stem for word in every}
    wanted = set(row.also)
    if _literal(row, every):
        wanted |= {stem(word) for word in row.argv.split()}
    for group in row.groups:
        wanted |= group.stems
        for pair in group.pairs:
            if there.issuperset(pair):
                wanted |= set(pair)
    return {n for n, word in enumerate(every) if word.stem in wanted}


_AT: Final = frozenset(("on", "of", "from", "at", "in"))
_OWN: Final = frozenset(("this", "my", "local", "very", "own", "the", "little", "old"))
_PLACES: Final = frozenset(
    (
        "machine",
        "computer",
        "laptop",
        "box",
        "host",
        "pc",
        "workstation",
        "desktop",
        "notebook",
        "disk",
    )
)
_ELSEWHERE: Final = frozenset(("workers", "explain", "graph"))


def _here(row: Row, every: list[Word]) -> set[int]:
    """Return the words that say "on this machine", where nothing else could be meant by a row."""
    found: set[int] = set()
    if row.argv.split(" ")[0] in _ELSEWHERE:
        return found
    for n, word in enumerate(every):
        end = n + 1
        while end < len(every) and every[end].low in _OWN:
            end += 1
        own = {w.low for w in every[n + 1 : end]} & {"this", "my", "local"}
        if word.low in _AT and own and end < len(every) and every[end].low in _PLACES:
            found |= set(range(n, end + 1))
    return found


def _fit(row: Row, text: str, *, question: bool, spare: frozenset[str]) -> Fit | None:
    command = " ".join(w for w in row.argv.split() if not w.startswith(("{", "-")) and "." not in w)
    added, rest, taken = with_options(text, command)
    every = words(rest)
    used = _used(row, every)
    empty = filler() | asked() | _showing() if question or row.look else filler()
    used |= _here(row, every)
    filled: dict[str, list[str]] = {}
    needed = [g.slot for g in row.groups if g.slot]
    optional = [m[1] for m in _SLOT.finditer(row.argv) if m[2] and m[1] not in needed]
    for slot in (*needed, *optional):
        taken_by = _typed(slot, every)
        if taken_by is None:
            continue
        used |= set(taken_by)
        filled[slot] = [every[n].text for n in taken_by]
    for slot in (*needed, *optional):
        if slot in filled:
            continue
        places = _free(slot, every, used, empty, text)
        if not places:
            if slot in needed:
                return None
            continue
        used |= set(places)
        filled[slot] = [every[n].text for n in places]
    left = tuple(w for n, w in enumerate(every) if n not in used and w.stem not in empty | spare)
    argv = _argv(row.argv, filled)
    undo = _argv(row.undo, filled) if row.undo else ()
    if argv is None or undo is None:
        return None
    content = sum(every[n].stem not in filler() for n in used)
    added = tuple(option for option in added if option not in row.argv.split())
    # Evidence beyond the groups counts less than the groups.
    score = (
        len(row.groups) + 0.5 * max(0, content - len(row.groups)) + 0.5 * bool(added) + taken * 0.25
    )
    return Fit(row, (*argv, *added), undo, score, left, len(row.groups))


def _typed(slot: str, every: list[Word]) -> list[int] | None:
    """Return where words of a slot's type stand; None for slots of names, which have none."""
    typed = SLOTS.get(slot)
    if typed is None or slot in LISTS:
        return None
    found = [n for n, word in enumerate(every) if typed(word.text)]
    return found[:1] if found else None


def _free(
    slot: str, every: list[Word], used: set[int], empty: frozenset[str], text: str
) -> list[int]:
    if slot in SLOTS and slot not in LISTS:
        return []
    if slot in SLOTS:
        return listed(slot, every)
    return free(slot, every, used, empty, packaged=of_packages(text))


def _argv(template: str, filled: dict[str, list[str]]) -> Argv | None:
    found: list[str] = []
    for word in template.split():
        if slot := _SLOT.fullmatch(word):
            values = filled.get(slot[1], [])
            if not values and not slot[2]:
                return None
            for value in values:
                read = read_slot(slot[1], value)
                if read is None:
                    return None
                found.append(read)
        else:
            found.append(word)
    return tuple(found)


def acts(fit: Fit) -> bool:
    """Tell whether a fit's command changes something."""
    return not reads_only(fit.argv)


@cache
def _known_stems() -> frozenset[str]:
    return frozenset(stem(word) for word in vocabulary())


def is_ours(word: Word) -> bool:
    """Tell whether a word speaks for something here."""
    return is_typed(word) or word.stem in _known_stems()


def is_typed(word: Word) -> bool:
    """Tell whether a word is the value of something: a tool, a type, a strategy, a setting."""
    return any(known(word.text) for slot, known in SLOTS.items() if slot not in ("n", "numbers"))


def begins(every: list[Word]) -> bool:
    """Tell whether the first word is a verb of an order."""
    return bool(every) and every[0].low in _verbs()


@cache
def _verbs() -> frozenset[str]:
    return frozenset(data("language")["words"]["verbs"].split())


@cache
def _showing() -> frozenset[str]:
    return stems(data("language")["words"]["show"])


def shows(text: str) -> bool:
    """Tell whether something is to be shown: the first word says so."""
    return any(word.stem in _showing() for word in words(text)[:1])


@cache
def around_builds() -> frozenset[str]:
    """Return the stems of verbs that may stand with a build: "send it", "produce one"."""
    return frozenset().union(*(row.also for row in table() if row.frame == "build"))
