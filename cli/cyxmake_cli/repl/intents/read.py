"""Reads a line of plain English: what it asks for, asks about, forbids, or leaves open.

Knows the grammar between clauses and no word by itself (see words, orders, questions), and runs
nothing. Every word of an instruction has to be accounted for: a line with one that means nothing
here is not guessed at.
"""

from __future__ import annotations

import re
from typing import Final

from cyxmake_cli.repl.intents import near
from cyxmake_cli.repl.intents.clauses import instructions
from cyxmake_cli.repl.intents.lookup import about, looked_up
from cyxmake_cli.repl.intents.model import (
    Argv,
    Known,
    Look,
    Meaning,
    Plan,
    Tell,
    Unclear,
    Unknown,
    doing,
)
from cyxmake_cli.repl.intents.orders import AMBIGUOUS
from cyxmake_cli.repl.intents.questions import ASKS, EXIT_STATUS, HOW, INDIRECT
from cyxmake_cli.repl.intents.words import (
    ASKED_TO,
    NEGATION,
    POLITE,
)
from cyxmake_common.errors import ExitStatus

LONGEST: Final = 500
"""Characters of a line that is read at all: nobody means more with one."""

_SHORT: Final = (
    (re.compile(r"[\u2018\u2019\u02bc]"), "'"), (re.compile(r"[\u201c\u201d]"), '"'),
    (re.compile(r"\bcan't\b|\bcannot\b", re.I), "can not"), (re.compile(r"\bwon't\b", re.I), "will not"),
    (re.compile(r"\bdont\b", re.I), "do not"), (re.compile(r"\b(\w+)n't\b", re.I), r"\1 not"),
    (re.compile(r"\b(what|who|where|how|that|it|there|here|why|when|which)'s\b", re.I), r"\1 is"),
    (re.compile(r"\bwhats\b", re.I), "what is"), (re.compile(r"\bi'm\b", re.I), "i am"),
    (re.compile(r"(?<!\S)[\"'`]([^\"'`\s]+)[\"'`](?=[\s,.?!]|$)"), r"\1"), (re.compile(r"\s+"), " "),
    (re.compile(r"\bw/ ?(?=\w)"), "with "),
    (re.compile(r"^(from now on|by default|in (?:the )?future),? (.+)$", re.I), r"\2 \1"), (re.compile(r"\b(?:pls|plz)\b", re.I), "please"),
    (re.compile(r"^(if|when|once|after) ([^,]+), (what .+?)[?.!]*$", re.I), r"\3 \1 \2"),
    (re.compile(r"(?:[, ]+(?:please|thanks|thank you|thx|ok|okay|if you can|if possible|for me|right now|immediately|asap|cheers))+[.!]*$", re.I), ""),
    (re.compile(r"^(why|how come) (\w+) not (\S+)", re.I), r"\1 \2 \3 not"),
)  # fmt: skip


def read(line: str, known: Known) -> Meaning:
    """Return what a line means."""
    if len(line) > LONGEST:
        return Unknown("that is too long to be sure what is meant")
    text = _tidy(line)
    asked = line.rstrip().endswith("?")
    body = POLITE.sub("", text).strip(" ,") or text
    if not re.search(r"\w", body):
        return Unknown("nothing is said")
    if wish := ASKED_TO.match(body):
        return _wish(body[wish.end() :], known, please="please" in line.lower())
    if found := _question(body, known):
        return found
    if asked or ASKS.match(body):
        found = _question_in_parts(body, known) or about(body, known)
        return found or near.unknown(body, known, question=True)
    if found := _ambiguous(body, known):
        return found
    meaning = instructions(body, known)
    if isinstance(meaning, Unknown) and (better := near.corrected(body)):
        other = _question(better, known) or instructions(better, known)
        if isinstance(other, Plan | Look):
            return Unclear(f"did you mean: {better}", (other,))
    return meaning


def asks(line: str) -> bool:
    """Tell whether a line asks, or wishes to see something: nothing is to be done for it."""
    body = POLITE.sub("", _tidy(line)).strip(" ,")
    return line.rstrip().endswith("?") or bool(ASKS.match(body))


def _tidy(line: str) -> str:
    text = line.strip()
    for short, long in _SHORT:
        text = short.sub(long, text)
    return text.strip(" .!?,;…")


# ── questions ───────────────────────────────────────────────────────────────────────────────────


def _question(text: str, known: Known) -> Meaning | None:
    if found := looked_up(text, known):
        return found
    text = INDIRECT.sub("", text)
    if match := EXIT_STATUS.match(text):
        return _exit_status(int(match["n"]))
    if match := HOW.match(text):
        return _how(text[match.end() :].strip(), known)
    return None


def _question_in_parts(text: str, known: Known) -> Meaning | None:
    """Return the answers to a question of several parts; None unless each part has one."""
    found: list[Argv] = []
    for part in re.split(r",? and (?=\w)|, |[?.;] ", text):
        if NEGATION.match(part):
            continue  # "..., don't do it": a question does nothing anyway
        meaning = _question(POLITE.sub("", part).strip(), known)
        if not isinstance(meaning, Look):
            return None
        found += [argv for argv in meaning.commands if argv not in found]
    return Look(tuple(found)) if found else None


def _how(rest: str, known: Known) -> Meaning | None:
    meaning = _question(rest, known) or instructions(rest, known)
    match meaning:
        case Plan(steps):
            return Tell("that is done by", tuple(step.argv for step in steps))
        case Look(commands):
            return Tell("that is shown by", commands)
        case Tell():
            return meaning
        case Unclear(_, choices) if choices:
            every = (argv for choice in choices for argv in _commands(choice))
            return Tell("one of these does that", tuple(every))
    return None


def _commands(meaning: Plan | Look | Tell) -> tuple[Argv, ...]:
    if isinstance(meaning, Plan):
        return tuple(step.argv for step in meaning.steps)
    return meaning.commands


def _exit_status(status: int) -> Meaning:
    try:
        name = ExitStatus(status).name.lower().replace("_", " ")
    except ValueError:
        return Tell(f"no command of cyxmake ends with status {status} by itself")
    return Tell(f"status {status} means: {name}")


def _wish(rest: str, known: Known, *, please: bool) -> Meaning:
    """Read what follows "could you": a request when it says please, else one to make sure of."""
    if found := _question(rest, known):
        return found
    meaning = instructions(rest, known)
    if isinstance(meaning, Plan) and not please:
        how = Tell("that is done by", tuple(step.argv for step in meaning.steps))
        return Unclear("is that to be done, or only asked about", (meaning, how))
    return meaning


# ── doubts ──────────────────────────────────────────────────────────────────────────────────────


def _ambiguous(text: str, known: Known) -> Meaning | None:
    for row, question, commands in AMBIGUOUS:
        if row.match(text):
            offered = [tuple(c.split()) for c in commands if c.split()[0] in known.commands]
            return Unclear(question, tuple(doing(argv) for argv in offered))
    return None
