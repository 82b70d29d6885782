"""Free text to what it says of a project: rules over a table of words, nothing else.

Knows no template. What stands before the first "that", "for", "with" and their like says what the
thing is, the rest what it does: a word there counts a third.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from cyxmake_cli.creation.model import Kind, Language, Licence, Reading

MOST_CHARACTERS: Final = 2000
_BEFORE: Final = r"(?<![\w+#.-])(?:"
_AFTER: Final = r")(?![\w+#]|-\w)"
_NEGATED: Final = re.compile(
    r"\b(?:instead of|rather than|not(?: (?:in|an?|with|using|for))*|without(?: any| an?)*|no)"
    r"\s+[\w+#.-]+",
    re.IGNORECASE,
)
_OPENING: Final = re.compile(
    r"^(?:(?:please|create|make|write|build|generate|start|give|me|us|i'd|i|we|would|want|need|like"
    r"|can|could|you|to|have|an?|the|new|in [\w+#]+,?|[\w+#]+:)\s+)+",
    re.IGNORECASE,
)
_HEAD_ENDS: Final = re.compile(
    r"[,;:(]\s|\s\(|\s(?:that|which|who|where|to|for|with|so|using|written|based|in|on|as)\s",
    re.IGNORECASE,
)
_CALLED: Final = re.compile(r"\b(?:called|named)\s+[\"'`]?([\w][\w.-]*)", re.IGNORECASE)
_MOST_NAME_WORDS: Final = 3
_MOST_NAME: Final = 40


@dataclass(frozen=True, slots=True)
class _Word:
    """A pattern, and how much it says for a value of `subject`."""

    subject: str
    value: str
    weight: int
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class _Hit:
    """A word where it was found, with how much it counts there."""

    word: _Word
    weight: int
    start: int
    end: int


@cache
def _words() -> tuple[_Word, ...]:
    return tuple(_rows(_table()))


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads(files(__package__).joinpath("data/words.toml").read_text("utf-8"))


def _rows(table: Mapping[str, Any]) -> Iterator[_Word]:
    for subject in ("language", "kind", "licence"):
        for value, weights in table[subject].items():
            for weight, patterns in weights.items():
                exact = weight == "exact"
                for pattern in patterns:
                    compiled = _compiled(pattern, exact=exact)
                    yield _Word(subject, value, 3 if exact else int(weight), compiled)
    for subject, patterns in table["unknown"].items():
        for pattern in patterns:
            yield _Word("unknown", subject, 3, _compiled(pattern))


def _compiled(pattern: str, *, exact: bool = False) -> re.Pattern[str]:
    spaced = pattern.replace(" ", r"\s+")
    return re.compile(_BEFORE + spaced + _AFTER, 0 if exact else re.IGNORECASE)


def understand(text: str) -> Reading:
    """Return what a description says."""
    text = " ".join(text.split())[:MOST_CHARACTERS]
    meant = _NEGATED.sub(lambda found: " " * len(found[0]), text)
    opening = _OPENING.match(meant)
    start = opening.end() if opening else 0
    ends = _HEAD_ENDS.search(meant, start)
    head = ends.start() if ends else len(meant)
    hits = [
        _Hit(word, word.weight * (3 if found.start() < head else 1), found.start(), found.end())
        for word in _words()
        for found in word.pattern.finditer(text if word.subject == "licence" else meant)
    ]
    hits = [hit for hit in hits if not _covered(hit, hits)]
    language = _best([h for h in hits if h.word.subject == "language"], by_place=True)
    kind = _best([h for h in hits if h.word.subject == "kind"], by_place=False)
    licence = _best([h for h in hits if h.word.subject == "licence"], by_place=True)
    known = {"languages": language, "licences": licence}
    unknown = {
        (h.word.value, text[h.start : h.end]): None
        for h in hits
        if h.word.subject == "unknown" and known[h.word.value] is None
    }
    return Reading(
        Language(language) if language else None,
        Kind(kind) if kind else None,
        Licence(licence) if licence else None,
        _name(text, meant, hits, kind or ""),
        tuple(unknown),
    )


def _covered(hit: _Hit, hits: list[_Hit]) -> bool:
    """Tell whether a word is part of a longer one of its kind: the GPL of a GPL-2."""
    return any(
        other.start <= hit.start
        and hit.end <= other.end
        and other.end - other.start > hit.end - hit.start
        and hit.word.subject in (other.word.subject, _MEANT.get(other.word.value))
        for other in hits
    )


_MEANT: Final = {"languages": "language", "licences": "licence"}


def _best(hits: list[_Hit], *, by_place: bool) -> str | None:
    """Return the value that the heaviest word speaks for; of equals the first in place or table."""
    if not hits:
        return None
    order = list(_table()[hits[0].word.subject])
    if by_place:  # a language in the tail is as good as one in the head
        return max(hits, key=lambda h: (h.word.weight, -h.start)).word.value
    return max(hits, key=lambda h: (h.weight, -order.index(h.word.value))).word.value


def _name(text: str, meant: str, hits: list[_Hit], kind: str) -> str | None:
    if called := _CALLED.search(text):
        return as_name(called[1])
    plain = list(meant)
    for hit in hits:
        if hit.word.weight > 1:
            plain[hit.start : hit.end] = " " * (hit.end - hit.start)
    empty = frozenset(_table()["name"]["empty"])
    found = re.findall(r"[a-z][a-z0-9]*", "".join(plain).lower().replace("'", " "))
    words = [word for word in found if word not in empty][:_MOST_NAME_WORDS]
    return as_name(" ".join((*words, kind) if len(words) == 1 else words))


def as_name(text: str) -> str | None:
    """Return a text as the name of a project: `word-counter`; None: nothing is left of it."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-").lstrip("0123456789-")
    return plain[:_MOST_NAME].rstrip("-") or None
