"""Questions to what answers them: a command that only reads, or what a topic says in words.

Knows no answer by itself (see data/topics.toml) and makes none up: a question about nothing that
stands there has none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from cyxmake_cli.repl.intents import rows
from cyxmake_cli.repl.intents.model import Argv, Known, Look, Tell, offered
from cyxmake_cli.repl.intents.slots import SLOTS
from cyxmake_cli.repl.intents.text import data, words

_KNOWLEDGE: Final = re.compile(
    r"what (?:is|are) (?:an? |meant by|\w+(?: \w+)? (?:for|good for)$)|.*\bdifference|.*\bversus\b|(?:explain (?:to me )?)?what (?:an? |the )[\w -]+ (?:is|are|means?)$|what do (?:i|we) (?:need|have to)|what (?:is )?the (?:difference|meaning|point|purpose|use|benefit|advantage|best)"
    r"|what (?:exactly )?(?:does|do|is) .*\b(?:do|mean|means|delete|remove|for|good for|about|check|show|print|change|keep)$|(?:explain|describe|tell (?:me|us) (?:more |something )?about|teach me) (?:an? )?\w+(?: \w+)?(?: to me)?$|who (?:can|could|may)\b|what does it (?:cost|take|need|mean)\b|how many \w+ should|does (?:auto|undo|clean|build|dbuild|init|create|test|install|an?|every|each) |where (?:do|can|could) (?:i|we) (?:see|find|look)|what (?:can|should|could|must) (?:i|we) do (?:when|if|to|after)\b|what (?:exactly )?(?:does|do|did) .* do to\b"
    r"|(?:can|could|may|might|should|shall|must|would)\b|(?:do|does) (?:i|we|one|you) (?:really |also |always |even |ever )*(?:have to|need)\b|(?:do|does) (?:my|our) "
    r"|is (?:it|this|that) (?:safe|ok|possible|allowed|necessary|required|dangerous|bad|wise|worth|free|a problem|better|enough|recommended|normal|faster|secure|needed)"
    r"|is there (?:a|an|any) (?:way|option|flag|possibility|risk|danger|difference|limit)|how (?:do|should|would|can|could|safe|secure)\b|how \w+ (?:can|could|should|may|must)\b|how does .* work|how long (?:is|are) (?:a |the |my )?tokens?"
    r"|what (?:happens|will happen|would happen)|when (?:should|must)|why (?:should|would (?:i|we|one|you))|why (?:is|are) (?:the )?\w+ (?:so |not |always )*(?:slow|slower|fast|faster)"
    r"|which (?:\w+ )*(?:should|is (?:better|best)|do i (?:need|use|take|choose|pick|want))|where (?:do|does|is|are) .*\b(?:store[sd]?|kept|live|put|saved|written|keep)\b|is an? \w+(?: \w+)* (?:really |always )?(?:needed|required|necessary|safe|identical|the same|slower|faster)|are .* (?:safe|identical|encrypted|shared|the same|deterministic)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Topic:
    groups: tuple[rows.Group, ...]
    also: frozenset[str]
    say: str
    see: tuple[Argv, ...]


@cache
def _topics() -> tuple[_Topic, ...]:
    return tuple(
        _Topic(
            tuple(rows.group(text) for text in row["of"]),
            rows.stems(row.get("also", "")),
            row["say"],
            tuple(tuple(command.split()) for command in row.get("see", ())),
        )
        for row in data("topics")["topic"]
    )


def is_of_knowledge(text: str) -> bool:
    """Tell whether a question asks how things are in general, not how they are here and now."""
    return bool(_KNOWLEDGE.match(text)) and not is_about_a_file(text)


def is_about_a_file(text: str) -> bool:
    """Tell whether a question names a file."""
    return any(SLOTS["file"](word.text) for word in words(text))


def topic(text: str, known: Known, *, near: bool = False) -> Tell | None:
    """Return what is said about the topic of a question; None where it is about none.

    With `near`, words that nobody here knows do not count.
    """
    every = [w for w in words(text) if w.stem not in rows.filler() | rows.asked()]
    there = {word.stem for word in words(text)}
    best: tuple[float, Tell] | None = None
    for row in _topics():
        hits: set[str] = set()
        for group in row.groups:
            found = group.stems & there
            for pair in group.pairs:
                if there.issuperset(pair):
                    found |= set(pair)
            if not found:
                break
            hits |= found
        else:
            covered = hits | (row.also & there)
            unknown = [w for w in every if w.stem not in covered and not rows.is_ours(w)]
            left = [w for w in every if w.stem not in covered]
            if not near and len(unknown) > max(2, len(covered) - 1):
                continue
            score = (
                2.0 * len(row.groups)
                + 0.7 * len(hits)
                + 0.5 * len(row.also & there)
                - 0.6 * len(left)
            )
            if best is None or score > best[0]:
                see = tuple(argv for argv in row.see if offered(argv, known))
                best = score, Tell(row.say, see)
    return best[1] if best and (near or best[0] > 1) else None


def option(text: str) -> Tell | None:
    """Return which commands have the option that is asked about."""
    said = next((word.text for word in words(text) if word.text.startswith("--")), None)
    of = sorted({name for row in rows.options() if said in row.add.split() for name in row.of})
    if not of:
        return None
    return Tell(
        f"what {said} does stands in the help of", tuple((*n.split(), "--help") for n in of)
    )


def look(text: str, known: Known, *, left: int = 0) -> Look | None:
    """Return the command that answers a question, of which so many words may not count."""
    for fit in rows.fits(text, question=True):
        if not offered(fit.argv, known):
            continue
        if not fit.left or (len(fit.left) <= left and len(fit.left) < fit.score):
            return Look((fit.argv,))
    return None
