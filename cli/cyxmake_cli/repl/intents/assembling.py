"""Clauses to a plan: what one leaves open another says, or what was done last; prohibitions hold.

Knows no word of a clause but those that forbid.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from cyxmake_cli.repl.intents import near, rows
from cyxmake_cli.repl.intents.frame import BUILDING, Frame, argvs, frame_of, pieces
from cyxmake_cli.repl.intents.framing import Clause, Puzzled, modifiers, speaks, verb_of
from cyxmake_cli.repl.intents.model import (
    Known,
    Look,
    Meaning,
    Nothing,
    Plan,
    Step,
    Unclear,
    Unknown,
    doing,
    not_offered,
    offered,
    reads_only,
)
from cyxmake_cli.repl.intents.text import words
from cyxmake_cli.repl.intents.words import NEGATION, NOUNS, pattern

_GENERAL: Final = pattern(
    r"(?:actually |really )?(?:do|run|execute|change|touch|delete|remove|start|modify|write|break|destroy|harm|wipe|"
    r"clean|lose|install|build|overwrite)?(?:ing)? ?(?:anything|something|any(?: of (?:it|that|them))?|a thing|it|any files?|files?|my files|"
    r"one|that|so|yet|for real|really)?(?: (?:yet|now|for real|really|else|at all|please|though))*"
)
_NO_VERB: Final = ("build", "test")
_IMPLIED: Final = {"test": ("build",), "install": ("build",), "auto": ("build",)}
"""What a command does first by itself."""

_INHERITED: Final = ("type", "build_dir", "directory", "system")


def assembled(clauses: list[Clause], texts: list[str], text: str, known: Known) -> Meaning:
    """Return what clauses mean together; `texts` are their words, `text` is the whole line."""
    last = frame_of(known.last)
    done: list[Frame | tuple[Step, ...]] = []
    for clause in _forward(clauses):
        if clause.steps:
            done.append(clause.steps)
        elif clause.frame is not None:
            _add(done, clause, last, known, text)
    forbidden = [clause.forbidden for clause in clauses if clause.forbidden is not None]
    if forbidden:
        if not done:
            return Nothing("nothing is done")
        done = _obeying(done, forbidden, text, known)
    if any(isinstance(i, Frame) and i.verb == "install" and not i.prefix for i in done):
        return Unclear("where to: say it with the directory, as in: install it into /opt/app", ())
    steps: list[Step] = []
    for item in done:
        if isinstance(item, tuple):
            steps += item
            continue
        found = argvs(item)
        if not found:
            choices = tuple(doing(argv) for argv in pieces(item) if argv[0] in known.commands)
            return Unclear("no one command does all of that; which part counts", choices)
        steps += (Step(argv) for argv in found)
    steps = [step for n, step in enumerate(steps) if n == 0 or step != steps[n - 1]]
    for step in steps:
        if not offered(step.argv, known):
            return not_offered(step.argv)
    looks = [reads_only(step.argv) for step in steps]
    if any(looks) and not all(looks) and not any(rows.shows(part) for part in texts):
        return near.unknown(text, known)
    if all(looks):
        return Look(tuple(step.argv for step in steps))
    return Plan(tuple(steps))


def _forward(clauses: list[Clause]) -> list[Clause]:
    """Return the clauses with modifiers that come before their verb put where the verb is."""
    found: list[Clause] = []
    waiting: Frame | None = None
    for number_, clause in enumerate(clauses):
        frame, rest = clause.frame, clauses[number_ + 1 :]
        if frame and not frame.verb and not clause.again and not any(c.frame for c in found) and (
            any(c.frame and c.frame.verb for c in rest)
        ):  # fmt: skip
            waiting = frame if waiting is None else frame.over(waiting)
            continue
        if frame and waiting is not None:
            found.append(replace(clause, frame=frame.over(waiting)))
            waiting = None
            continue
        found.append(clause)
    return found


def _add(
    done: list[Frame | tuple[Step, ...]],
    clause: Clause,
    last: Frame | None,
    known: Known,
    text: str,
) -> None:
    """Add a clause's frame, put over what it refers to."""
    frame = clause.frame
    assert frame is not None
    before = done[-1] if done and isinstance(done[-1], Frame) else None
    if before is not None and not frame.verb:
        done[-1] = frame.over(before)
        return
    if before is not None and before.verb == frame.verb == "build" and frame.bare:
        return  # "configure it with ... and build"
    if before is not None and (before.verb, frame.verb) == ("build", "auto"):
        done[-1] = replace(before, verb="auto") if frame.bare else frame
        return
    if before is not None:
        done.append(_inheriting(frame, before))
        return
    if clause.again or not frame.verb:
        if last is not None:
            done.append(frame.over(last))
        elif clause.again and known.last and frame == Frame():
            done.append((Step(known.last),))
        elif frame.verb:
            done.append(frame)
        elif frame.strategy or speaks(frame.extra):
            done.append(replace(frame, verb="build"))
        elif done and clause.again and frame.bare:
            raise Puzzled(near.unknown(text, known))
        else:
            raise Puzzled(_which_verb(frame, known))
        return
    done.append(_inheriting(frame, last) if clause.inherits and last is not None else frame)


def _inheriting(frame: Frame, other: Frame) -> Frame:
    """Return a frame that is about the same build as another: the same type, at the same place."""
    if frame.verb not in BUILDING or frame.verb == other.verb or other.verb not in BUILDING:
        return frame
    return replace(frame, **{n: getattr(frame, n) or getattr(other, n) for n in _INHERITED})


def _which_verb(frame: Frame, known: Known) -> Unclear:
    found = [argvs(replace(frame, verb=verb)) for verb in _NO_VERB]
    choices = tuple(doing(argv) for (argv, *_) in filter(None, found) if argv[0] in known.commands)
    return Unclear("what is to be done like that", choices)


def _obeying(
    done: list[Frame | tuple[Step, ...]], forbidden: list[str], text: str, known: Known
) -> list[Frame | tuple[Step, ...]]:
    """Return what is left to do of something when other things were forbidden."""
    for clause in forbidden:
        match = NEGATION.search(clause)
        rest = clause[match.end() :].strip() if match else clause
        rest = re.sub(r"^(\w+?)(?:ing)\b", lambda m: _stem(m[1]), rest) if match else rest
        if match and (word := re.search(r"(\w+)ing$", match[0])):
            rest = f"{_stem(word[1])} {rest}"
        said, left = modifiers(rest, alone=True)
        if said and not left and not any(_says(item, said) for item in done):
            continue  # "in debug, not in release": what is asked for is another thing
        verb, _ = verb_of(rest)
        verb = verb or next((noun for noun, row in NOUNS if row.search(rest)), "")
        verbs = {item.verb for item in done if isinstance(item, Frame)}
        if any(verb in _IMPLIED.get(asked, ()) for asked in verbs):
            raise Puzzled(Unknown(f"it cannot be done without this: {verb}"))
        if verb and verb not in verbs:
            continue  # what is forbidden was not asked for anyway
        if all(isinstance(i, tuple) and all(reads_only(s.argv) for s in i) for i in done):
            continue
        if rest and _GENERAL.fullmatch(rest) and all(isinstance(item, Frame) for item in done):
            done = [replace(item, dry_run=True) for item in done if isinstance(item, Frame)]
            continue
        # What is forbidden is known, and no part of what is asked for.
        asked = {w for item in done for w in _said_by(item)}
        named = [w for w in words(rest) if w.stem not in rows.filler()]
        if named and all(rows.is_typed(w) and w.stem not in asked for w in named):
            continue
        raise Puzzled(
            Unknown("one part of that forbids what another asks for, or is not understood")
        )
    return done


def _said_by(item: Frame | tuple[Step, ...]) -> set[str]:
    argvs_ = argvs(item) if isinstance(item, Frame) else [step.argv for step in item]
    return {word.stem for argv in argvs_ for word in words(" ".join(argv))}


def _says(item: Frame | tuple[Step, ...], said: dict[str, Any]) -> bool:
    return isinstance(item, Frame) and any(getattr(item, n) == v for n, v in said.items())


def _stem(word: str) -> str:
    short = re.sub(r"(.)\1$", r"\1", word)
    return {"compil": "compile", "delet": "delete", "remov": "remove", "mak": "make",
            "chang": "change", "us": "use"}.get(word, short)  # fmt: skip
