"""What a text is by its words: an order that begins with a verb, a statement, a prohibition.

Knows no other parts of the line (see acts).
"""

from __future__ import annotations

import re
from functools import cache

from cyxmake_cli.repl.intents.text import data, stem, words


@cache
def verbs() -> frozenset[str]:
    """Return the words that an order may begin with."""
    return frozenset(data("language")["words"]["verbs"].split())


@cache
def _finite() -> frozenset[str]:
    return frozenset(data("language")["words"]["finite"].split())


@cache
def _subjects() -> frozenset[str]:
    return frozenset(data("language")["words"]["subjects"].split())


def verb_of_form(word: str) -> str | None:
    """Return the verb that a form is of: "installing"."""
    return next((verb for verb in sorted(verbs()) if stem(verb) == stem(word)), None)


def is_verb(word: str) -> bool:
    """Tell whether an order may begin with this very word."""
    return word.lower() in verbs()


def begins(text: str) -> bool:
    """Tell whether an order begins with this text: a verb stands first."""
    first = next(
        (
            word
            for word in words(text)
            if word.low not in ("also", "please", "just", "re", "and", "now", "only", "me", "us")
        ),
        None,
    )
    return first is not None and (
        first.low in verbs()
        or first.low.removesuffix("ing") in verbs()
        or stem(first.low) in verbs()
        or first.low in ("compiling", "making", "removing")
    )


def states(text: str) -> bool:
    """Tell whether a text states something: a subject, and a verb that goes with it."""
    every = [word.low for word in words(text)]
    if len(every) < 2:
        return False
    if begins(text) and every[0] not in _subjects():
        # "build takes ages", "cleaning is dangerous": but "show what is in the cache".
        return (
            every[1] in _finite() and every[1] not in ("only", "just", "always", "still", "up")
        ) or (
            every[0].endswith("ing")
            and bool(set(every[1:5]) & {"is", "takes", "was", "would", "will", "costs", "seems"})
        )
    if every[0] in (
        "i",
        "we",
        "he",
        "she",
        "they",
        "nobody",
        "everybody",
        "somebody",
        "someone",
        "everyone",
    ):
        return True
    relative = next((n for n, w in enumerate(every) if w in ("that", "which", "who") and n > 1), 6)
    if every[0] in _subjects():
        every = every[: max(relative, 2)]
        return bool(
            set(every[1:6])
            & (
                _finite()
                | {"should", "must", "would", "will", "needs", "has", "can", "could", "may", "do"}
            )
        )
    return any(
        word
        in _finite() - {"always", "still", "just", "only", "never", "work", "built", "does", "has"}
        for word in every[1:4]
    )


def forbids(text: str) -> bool:
    """Tell whether a text begins as what says that something is not to be done, or to be left."""
    return bool(
        re.match(
            r"(?:(?:and|but|so|then|just|whatever you do|under no circumstances|for now) ?)*(?:do not|does not|never|not (?:now|yet|\w+ing)|no (?:need|more|building|tests?|clean\w*|install\w*|build)\b|without|avoid|skip|omit|refrain|you (?:must|should|need|may|can|are) not|no,? do not"
            r"|leave (?:.* (?:alone|out|as (?:it|they) (?:is|are)|untouched|intact|in peace|off)|out|off|(?:it|that|this|everything)(?: be)?$)|keep (?:your|the|my|all) .*|(?:stop|cancel|abort|quit)(?: (?:that|it|this|everything|the (?:build|tests?|clean\w*)|\w+ing.*))?$|forget (?:it|that|about it)|never ?mind|hands off|wait|not yet|nothing|no$|no thanks|nope$|hold on|i (?:do|would|did) not (?:want|need|wish)|i (?:said|meant|told you) (?:not|do not))",
            text,
            re.I,
        )
    )
