"""Lines as typed to lines to be read: short forms spelt out, typing errors set right, words and stems.

Knows no command: which words there are, and which may be meant by a misspelt one, it is told by tables.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Final

_TOKEN: Final = re.compile(
    r"\"[^\"]*\"|[A-Za-z]:[\\/]\S*[^\s,.;!?]|-{1,2}[A-Za-z][\w:=./+*-]*|(?:wss?|https?)://\S+"
    r"|[\w~./@+*\\:-]*[\w+*/~]|\.{1,2}(?![\w.])"
)
_PLAIN: Final = re.compile(r"[a-z]+(?:-[a-z]+)*", re.IGNORECASE)
_IRREGULAR: Final = {
    form: base
    for base, forms in {
        "build": "built builded", "rebuild": "rebuilt", "run": "ran", "break": "broke broken", "make": "made",
        "get": "got gotten", "go": "went gone", "say": "said", "take": "took taken", "throw": "threw thrown",
        "keep": "kept", "leave": "left", "find": "found", "give": "gave given", "do": "did done does",
        "have": "has had", "be": "is are was were been am", "write": "wrote written", "send": "sent",
        "show": "shown", "see": "saw seen", "undo": "undid undone", "forget": "forgot forgotten",
        "choose": "chose chosen", "bring": "brought", "mean": "meant", "know": "knew known", "tell": "told",
        "begin": "began begun", "need": "needed", "die": "dying died", "analyse": "analysis analyses",
        "analyze": "analyzing", "dependency": "dependencies", "library": "libraries", "status": "statuses",
        "this": "these", "that": "those", "use": "using used uses",
    }.items()
    for form in forms.split()
}  # fmt: skip
MANNER: Final = "~ly"
"""The stem of all adverbs of manner: none says what is to be done."""
_NO_MANNER: Final = frozenset(
    [
        "daily",
        "weekly",
        "nightly",
        "hourly",
        "monthly",
        "yearly",
        "early",
        "family",
        "supply",
        "remotely",
        "locally",
        "hardly",
        "nearly",
        "rarely",
        "unlikely",
        "friendly",
        "lonely",
        "lovely",
        "partly",
        "mostly",
        "directly",
        "quietly",
        "silently",
        "verbosely",
        "distributedly",
        "temporarily",
        "assembly",
        "anomaly",
        "multiply",
        "conditionally",
        "partially",
        "sequentially",
        "serially",
    ]
)
_LY: Final = 5
_VOWEL: Final = re.compile(r"[aeiouy]")
_SHORT, _LONG = 4, 8
_KEYS: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


@cache
def data(name: str) -> Mapping[str, Any]:
    """Return one of the tables."""
    return tomllib.loads(files(__package__).joinpath(f"data/{name}.toml").read_text("utf-8"))


@cache
def english() -> frozenset[str]:
    """Return common words of English: none is a name, or another word misspelt."""
    text = files(__package__).joinpath("data/english.txt").read_text("utf-8")
    return frozenset(text.split())


@cache
def stem(word: str) -> str:
    """Return what the forms of a word have in common."""
    word = word.lower()
    if word.endswith("ly") and len(word) > _LY and word not in _NO_MANNER:
        return MANNER
    if word in ("setting", "settings"):
        return "setting"
    if word in _IRREGULAR:
        return stem(_IRREGULAR[word])
    if not _PLAIN.fullmatch(word) or len(word) < _SHORT:
        return word
    if word.endswith(("ies", "ied")):
        word = word[:-3] + "y"
    elif word.endswith(("shes", "ches", "sses", "xes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        base = word.removesuffix(ending)
        if base != word and len(base) > 2 and _VOWEL.search(base) and not word.endswith("eed"):
            word = base
            if re.search(r"([bdgmnprt])\1$", word):
                word = word[:-1]
            break
    return word.removesuffix("e") if len(word) > _SHORT - 1 else word


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a line, as it stands there, and its stem."""

    text: str
    stem: str

    @property
    def low(self) -> str:
        """Return the word in small letters."""
        return self.text.lower()

    @property
    def marked(self) -> bool:
        """Tell whether it can be no word of English: a path, a name with digits, an option."""
        return bool(re.search(r"[\d_./+@*:\\]|[a-z][A-Z]|^-|\w-\w", self.text))


def words(text: str) -> list[Word]:
    """Return the words of a text."""
    return list(_words(text))


@lru_cache(maxsize=256)
def _words(text: str) -> tuple[Word, ...]:
    return tuple(Word(found.strip('"'), stem(found)) for found in _TOKEN.findall(text))


def tidy(line: str) -> str:
    """Return a line without what only typing brings: odd quotes, short forms, quotes around words."""
    text = re.sub(r"[\u2018\u2019\u02bc`\u00b4]", "'", line.strip())
    text = re.sub(r"[\u201c\u201d]", '"', text)
    text = re.sub(r"(?<!\S)[\"']([^\"'\s]+)[\"'](?=[\s,.?!;:)]|$)", r"\1", text)
    text = re.sub(r"\s+", " ", text).replace("…", " ")
    for short, long in _spellings():
        text = short.sub(long, text)
    return re.sub(r"\s+", " ", text).strip()


@cache
def _spellings() -> tuple[tuple[re.Pattern[str], str], ...]:
    table = data("language")["spelling"]
    rows = [
        (re.compile(rf"(?<![\w./'-])(?:{short})(?![\w/'-])(?!\.\w)", re.IGNORECASE), long)
        for short, long in table["replace"]
    ]
    rows += [(re.compile(rf"(?<![\w./-]){typo}(?![\w./-])", re.IGNORECASE), long)
             for typo, long in table["typos"].items()]  # fmt: skip
    return tuple(rows)


# ── typing errors ───────────────────────────────────────────────────────────────────────────────


def corrected(text: str, meant: frozenset[str], before_name: frozenset[str]) -> str:
    """Return a text whose misspelt words are set right, where only one of `meant` can be meant.

    What follows a word of `before_name` is a name, and stays as it is.
    """
    known = english() | meant
    last = ""

    def better(match: re.Match[str]) -> str:
        nonlocal last
        word, before = match[0], last
        last = word.lower()
        if not re.fullmatch(r"[A-Z]?[a-z]+", word) or len(word) < _SHORT or before in before_name:
            return word
        low = word.lower()
        if low in known or any(stem(low) == stem(k) for k in (_base(low), low) if k in known):
            return word
        if any(form in known for form in _bases(low)):
            return word
        return _nearest(low, meant) or word

    return re.sub(r"(?<![\w./:\\@+*-])[\w./:\\@+*-]+", better, text)


def _base(word: str) -> str:
    return word.removesuffix("s")


def _bases(word: str) -> tuple[str, ...]:
    """Return the words of which this may be a form."""
    cut = [
        word.removesuffix(end)
        for end in ("s", "es", "ed", "d", "ing", "ly", "er", "r", "able", "n")
    ]
    cut += [c + "e" for c in cut] + [c[:-1] for c in cut if len(c) > 3 and c[-1] == c[-2]]
    return tuple(c for c in cut if c != word and len(c) > 2)


def is_english(word: str) -> bool:
    """Tell whether a word, or what it is a form of, is a common one of English."""
    low = word.lower()
    return low in english() or any(form in english() for form in _bases(low))


@cache
def _nearest(word: str, meant: frozenset[str]) -> str | None:
    most = 1 if len(word) < _LONG else 2
    found: dict[int, set[str]] = {}
    for other in meant:
        if abs(len(other) - len(word)) > most or len(other) < _SHORT:
            continue
        if other[0] != word[0] and sorted(other) != sorted(word):
            continue
        distance = _distance(word, other)
        short = len(word) <= _SHORT and len(other) == len(word) and sorted(other) != sorted(word)
        if distance <= most and not short:
            found.setdefault(distance, set()).add(other)
    if not found:
        return None
    best = found[min(found)]
    if len({stem(b) for b in best}) > 1:
        best = {b for b in best if sorted(b) == sorted(word)} or best
    # Between forms of one word that with the same ending; between several words none.
    if len({stem(b) for b in best}) > 1:
        return None
    return sorted(best, key=lambda b: (b[-1] != word[-1], -len(b)))[0]


def _distance(one: str, two: str) -> int:
    """Return how many letters are wrong, left out, too many, or swapped with the next.

    Wrong by itself is only a letter beside the right one on the keyboard; any other counts twice.
    """
    rows = [list(range(len(two) + 1))]
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(two, 1):
            wrong = 0 if a == b else 1 if b in _beside(a) else 2
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + wrong)
            if i > 1 and j > 1 and a == two[j - 2] and one[i - 2] == b:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]


@cache
def _beside(key: str) -> str:
    for above, row in enumerate(_KEYS):
        if (at := row.find(key)) >= 0:
            near = _KEYS[max(0, above - 1) : above + 2]
            return "".join(keys[max(0, at - 1) : at + 2] for keys in near)
    return ""
