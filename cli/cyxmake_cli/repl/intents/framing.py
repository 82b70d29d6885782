"""One clause to a frame: its verb, its modifiers and options, its targets; every word accounted for.

Knows no row that is a command as it stands, and nothing of other clauses. A clause with a word that
means nothing here is not guessed at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from cyxmake_cli.repl.intents import near, rows
from cyxmake_cli.repl.intents.frame import Frame
from cyxmake_cli.repl.intents.model import Known, Step, Unclear, Unknown
from cyxmake_cli.repl.intents.text import is_english, stem, words
from cyxmake_cli.repl.intents.verbs import is_verb
from cyxmake_cli.repl.intents.words import (
    AGAIN,
    FILLER,
    MODIFIERS,
    NAME,
    NEGATION,
    NO_TARGET,
    ONLY,
    OWN_PROJECTS,
    TARGETS,
    number,
    pattern,
)

_ANEW: Final = re.compile(r"\bre-?(?=build|compil|test)", re.IGNORECASE)
_NOT_TYPE: Final = re.compile(
    r"(?<=\w),? (?:and |but )?(?:not|instead of|rather than)(?: in| as| an?| the)* (?:debug|release|relwithdebinfo|minsizerel)"
    r"(?: (?:mode|build|type))?\b", re.IGNORECASE
)  # fmt: skip
_INSTEAD: Final = re.compile(
    r"(?<=\w),? (?:instead of|rather than|as opposed to)(?: (?:in|on|with|using|by|into|to|the|an?|my|our|its|any|usual|default|normal|standard))*"
    r" [\w/.-]+(?: (?:one|folder|directory|mode|build|machine|strategy|cluster))?(?=[ ,]|$)", re.IGNORECASE
)  # fmt: skip
_OURS: Final = re.compile(
    r"\b(?P<verb>(?:re)?(?:build|compile|make|test)(?:ing)?)(?: up)?(?: all(?: of)?)? (?:my|our)(?P<what>(?: [\w'-]+){0,3}? (?:"
    + "|".join(sorted(OWN_PROJECTS))
    + r"))(?= (?:with|in|on|as|using|for|from|and|to|without|by|at|here|now|again|please|locally|remotely|but)\b|[ ,.]*$)",
    re.IGNORECASE,
)
_NO_LOOSE: Final = re.compile(
    r"-|\d+$|(?:windows|linux|mac|macos|android|ios|whole-project|compile-units|hybrid)$",
    re.IGNORECASE,
)
_JOINS: Final = frozenset(
    (
        "again",
        "but",
        "except",
        "has",
        "if",
        "not",
        "now",
        "only",
        "or",
        "please",
        "shall",
        "should",
        "that",
        "unless",
        "until",
        "when",
        "which",
    )
)
_RUNS: Final = pattern(r"run|execute|launch")  # what has a name and is run is a test
_ANAPHORA: Final = pattern(r"it|that|this|now|the same")
_BETWEEN: Final = frozenset(
    ("about", "after", "at", "before", "by", "into", "my", "or", "our", "the")
)
_NO_TARGET: Final = frozenset(("and", "as", "for", "from", "in", "is", "of", "on", "to", "with"))


@dataclass(frozen=True, slots=True)
class Clause:
    """What one clause says: a frame, or commands as they stand, or what is forbidden in it."""

    frame: Frame | None = None
    steps: tuple[Step, ...] = ()
    again: bool = False
    forbidden: str | None = None
    inherits: bool = False
    loose: bool = False
    """Whether words were taken for targets only because nothing else explains them."""


class Puzzled(Exception):
    """A clause cannot be read, or not in one way: `meaning` says so."""

    def __init__(self, meaning: Unclear | Unknown) -> None:
        super().__init__(meaning)
        self.meaning = meaning


def framed(text: str, known: Known, *, alone: bool, opens: bool = False) -> Clause:
    """Return what a clause says; one that `opens` a line has nothing before it to say more about."""
    text = _whole(text, known)
    given: dict[str, Any] = {}
    extra, rest = _options(text, given)
    said, rest = modifiers(rest, alone=alone or opens)
    said = {**given, **said}
    forbidden: str | None = None
    if match := NEGATION.search(rest):
        forbidden = rest[match.start() :]
        rest = rest[: match.start()]
        if not rest.strip(" ,") and not said.get("again"):
            # What is said of something forbidden is not said of anything else.
            return Clause(forbidden=text)
    again = bool(said.pop("again", False))
    if _ANEW.search(rest):
        again = True
    if match := AGAIN.search(rest):
        again, rest = True, without(rest, match)
    targets, rest = _named_targets(rest)
    verb, left = verb_of(rest)
    if not verb and said.get("auto_fix") and not again:
        verb = "auto"
        del said["auto_fix"]
    if not verb and (said or extra):
        left = [word for word in left if stem(word) not in rows.around_builds()]
    if not verb and not targets and left and said and all(_marked(word) for word in left):
        targets, left = tuple(left), []
    if not verb and targets and all("test" in target for target in targets):
        verb = "test"
    if not verb and targets and _RUNS.search(text):
        verb, left = "test", [word for word in left if not _RUNS.search(word)]
    if not verb and targets and not again and not said:
        if "target" not in text:
            raise Puzzled(near.unknown(text, known))
        verb = "build"
    loose = False
    if verb == "clean" and len(left) == 1 and re.fullmatch(r"[\w/~.-]*[-_/][\w-]+", left[0]):
        said.setdefault("build_dir", left.pop())
    if left and not targets and verb in ("build", "dbuild", "test", "auto"):
        targets, left = _loose_targets(text, left, known)
        loose = bool(targets)
    if left or not (verb or said or again or targets or extra):
        raise Puzzled(near.unknown(text, known))
    if (
        not verb
        and ("strategy" in said or speaks(extra) or {"jobs", "cluster"} <= set(said))
        and not again
    ):
        verb = "build" if alone else verb
    if verb == "dbuild":
        verb, said = "build", {**said, "cluster": True}
    frame = Frame(verb=verb, targets=targets, extra=extra, **said)
    inherits = bool(_ANAPHORA.search(text))
    return Clause(frame, again=again, forbidden=forbidden, inherits=inherits, loose=loose)


def speaks(extra: tuple[str, ...]) -> bool:
    """Tell whether options say by themselves that something is to be built."""
    return bool(set(extra) - {"--yes", "--no-color", "--no-ai"})


_FIELDS: Final = {
    "--verbose": "verbose",
    "--quiet": "quiet",
    "--dry-run": "dry_run",
    "--json": "json",
}
_FRAMES: Final = ("build", "dbuild", "test", "install", "auto", "clean", "init")


def _options(text: str, said: dict[str, Any]) -> tuple[tuple[str, ...], str]:
    """Take options out of a clause: those that modifiers know go there, the others are returned."""
    extra: list[str] = []
    for command in _FRAMES:
        added, text, _ = rows.with_options(text, command)
        rest = list(added)
        while rest:
            option = rest.pop(0)
            if option in _FIELDS:
                said[_FIELDS[option]] = True
            elif option == "--strategy":
                said.setdefault("strategy", rest.pop(0))
            elif option not in extra:
                extra.append(option)
                while rest and not rest[0].startswith("-"):
                    extra.append(rest.pop(0))
    return tuple(extra), text


def verb_of(text: str) -> tuple[str, list[str]]:
    """Return the verb that leaves fewest words, and those."""
    found = rows.frame_fits(text)
    if not found:
        left = [w.text for w in words(text) if w.stem not in rows.filler()]
        return "", left
    return found[0].row.frame, [word.text for word in found[0].left]


def modifiers(text: str, *, alone: bool) -> tuple[dict[str, Any], str]:
    said: dict[str, Any] = {}
    for rather in (_NOT_TYPE, _INSTEAD):
        if match := rather.search(text):
            text = without(text, match)
    for modifier in MODIFIERS:
        while match := modifier.pattern.search(text):
            if modifier.field == "auto_fix" and alone and not match.start():
                break  # nothing stands before it: that is what is to be done
            value = modifier.value
            if value is None:
                value = next(group for name, group in match.groupdict().items() if group)
                value = _value(modifier.field, value)
            if modifier.field == "options":
                value = (*said.get("options", ()), value)
            elif said.get(modifier.field, value) != value:
                raise Puzzled(Unclear(f"{said[modifier.field]} or {value}?", ()))
            said[modifier.field] = value
            text = without(text, match)
    return said, text


def _value(field: str, text: str) -> str | int:
    match field:
        case "jobs":
            return number(text)
        case "strategy":
            words = text.lower().replace(" ", "-")
            if words in ("as-a-whole", "in-one-piece", "as-one-job"):
                return "whole-project"
            return {"compile-unit": "compile-units", "target": "targets"}.get(words, words)
        case _:
            return text


def _whole(text: str, known: Known) -> str:
    """Return a clause without what somebody calls the whole project: "my thesis simulation"."""
    match = _OURS.search(text)
    if match is None:
        return text
    said = match["what"].split()
    if known.targets & set(said):
        return text
    if any(
        w.lower() in NO_TARGET | _JOINS | _NO_TARGET | _BETWEEN or is_verb(w) or _marked(w)
        for w in said[:-1]
    ):
        return text
    return f"{text[: match.start()]}{match['verb']}{text[match.end() :]}"


def _named_targets(text: str) -> tuple[tuple[str, ...], str]:
    for row in (*TARGETS, ONLY):
        unsure = _NO_TARGET if row is TARGETS[0] else FILLER
        match = row.search(text)
        if match is None:
            continue
        names = [n for n in re.split(r",? and |, ?| ", match["names"]) if n]
        names = [n for n in names if n.lower() not in unsure]
        # A verb within is none of the names: "just build it", "only test".
        marked = row is TARGETS[0]  # "the target a": any word but those that join others
        if names and not any(
            is_verb(n) or _NO_LOOSE.match(n) or (n.lower() in _JOINS if marked else _no_target(n))
            for n in names
        ):
            verbs = verb_of(match[0])[0]
            kept = f" {verbs} " if verbs else " "
            around = text[: match.start()] + kept + text[match.end() :]
            return tuple(names), " ".join(around.split())
    return (), text


def _loose_targets(text: str, left: list[str], known: Known) -> tuple[tuple[str, ...], list[str]]:
    """Take words that nothing else explains for targets, where they can be nothing else."""
    if all(word in known.targets for word in left):
        return tuple(left), []
    if any(_no_target(word) for word in left):
        return (), left
    if re.search(r"\btest", text) and not all(_marked(w) or not is_english(w) for w in left):
        return (), left  # "test the waters"
    if not all(re.fullmatch(NAME, word) and not _NO_LOOSE.match(word) for word in left):
        return (), left
    marked = [word for word in left if _marked(word)]
    after_verb = re.search(
        r"\b(?:d?build|rebuild|compile|recompile|test|fix|make(?= (?:the )?\w*[^aeiou\W]\w* and )) (?:of |for |the )*"
        + r"(?:,? (?:and )?(?:the )?)".join(map(re.escape, left)) + r"(?![\w-])", text, re.IGNORECASE
    )  # fmt: skip
    if len(marked) == len(left) or (after_verb and (len(left) == 1 or " and " in text)):
        return tuple(left), []
    return (), left


def _marked(word: str) -> bool:
    return re.search(r"[\d_./+-]|[a-z][A-Z]", word) is not None


def _no_target(word: str) -> bool:
    low = word.lower()
    return low in NO_TARGET or (stem(low) in rows.filler() | rows.asked() and low != "tests")


def without(text: str, match: re.Match[str]) -> str:
    return " ".join(f"{text[: match.start()]} {text[match.end() :]}".split())


def without_condition(text: str) -> bool:
    """Tell whether no condition is left of a clause when its options are taken out of it."""
    rest = modifiers(_options(text, {})[1], alone=False)[1]
    return not re.search(r"\b(?:if|unless|when|whenever|once|until|till)\b", rest)


def modified(text: str) -> Frame | None:
    """Return the frame of a clause that holds nothing but modifiers."""
    said: dict[str, Any] = {}
    extra, rest = _options(text, said)
    more, rest = modifiers(rest, alone=False)
    if rest or "again" in more:
        return None
    return Frame(extra=extra, **{**said, **more})
