"""Takes an instruction apart into clauses, and puts what they say together into a plan.

Knows the grammar between clauses and no word by itself (see words, orders). Every word has to be
accounted for: a clause with one that means nothing here is not guessed at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Final

from cyxmake_cli.repl.intents import near
from cyxmake_cli.repl.intents.frame import BUILDING, Frame, argvs, frame_of, parts
from cyxmake_cli.repl.intents.lookup import looked_up
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
from cyxmake_cli.repl.intents.orders import CREATE, ORDERS, filled
from cyxmake_cli.repl.intents.words import (
    AGAIN,
    FILLER,
    MODIFIERS,
    NAME,
    NEGATION,
    NO_TARGET,
    NOUNS,
    ONLY,
    POLITE,
    TARGETS,
    VERBS,
    number,
    pattern,
)

_BEGINNING: Final = (
    r"(?:please |just |also |finally |do not |never |not |re-?)*(?:build|compile|make|test|run|clean|install|remove|"
    r"delete|(?:fix|repair)(?= (?:the|my|our) )|analy[sz]e|show|tell|list|start|stop|drain|set|clear|verify|check|wipe|tidy|execute|"
    r"do|don't|use|keep|init|print|display|explain|then|retry|undo|create|give|only|rebuild|recompile|"
    r"building|testing|cleaning|installing|running|put|turn|enable|disable)\b"
)
_CLAUSES: Final = re.compile(
    rf";|\. |,? and then |,? then |,? after that,? |,? afterwards |,? followed by |,? but |,(?: and)? (?={_BEGINNING})"
    rf"| and (?={_BEGINNING}(?! (?:with|in|on)\b))|, | and (?=(?:in|with|on|as|only) )",
    re.IGNORECASE,
)
_GENERAL: Final = pattern(
    r"(?:actually |really )?(?:do|run|execute|change|touch|delete|remove|start|modify|write|break|destroy|harm|wipe|"
    r"clean|lose|install|build|overwrite)?(?:ing)? ?(?:anything|something|any(?: of (?:it|that|them))?|a thing|it|any files?|files?|my files|"
    r"one|that|so|yet|for real|really)?(?: (?:yet|now|for real|really|else|at all|please|though))*"
)
_ANEW: Final = re.compile(r"\bre-?(?=build|compil|test)", re.IGNORECASE)
_AFTER: Final = re.compile(
    r"(?P<first>.+?),? (?:after|once|when)(?: (?:you|you have|the|it|it is))* "
    r"(?P<second>building|compiling|cleaning up|cleaning|testing|build)(?: it)?$", re.IGNORECASE
)  # fmt: skip
_RUNS: Final = pattern(r"run|execute|launch")  # what has a name and is run is a test
_ANAPHORA: Final = pattern(r"it|that|this|now|the same")
_NO_TARGET: Final = frozenset(("and", "as", "for", "from", "in", "is", "of", "on", "to", "with"))
_NO_VERB: Final = ("build", "test")
_IMPLIED: Final = {"test": ("build",), "install": ("build",), "auto": ("build",)}
"""What a command does first by itself."""

_INHERITED: Final = ("type", "build_dir", "directory", "system")


@dataclass(frozen=True, slots=True)
class _Clause:
    """What one clause says: a frame, or commands as they stand, or what is forbidden in it."""

    frame: Frame | None = None
    steps: tuple[Step, ...] = ()
    again: bool = False
    forbidden: str | None = None
    inherits: bool = False


class _Puzzled(Exception):
    def __init__(self, meaning: Unclear | Unknown) -> None:
        super().__init__(meaning)
        self.meaning = meaning


def instructions(text: str, known: Known) -> Meaning:
    """Return what an instruction asks for."""
    try:
        texts = _split(text)
        clauses = [_clause(part, known, alone=len(texts) == 1) for part in texts]
        return _assembled(clauses, text, known)
    except _Puzzled as puzzled:
        return puzzled.meaning


def _split(text: str) -> list[str]:
    # What creates a project is one clause, whatever its description holds.
    if CREATE.match(text) or any(order.pattern.match(text) for order in ORDERS):
        return [text]
    if match := _AFTER.match(text):
        text = f"{match['second']}, then {match['first']}"
    found = [part for raw in _CLAUSES.split(text) if (part := raw.strip(" ,"))]
    # "..., please": what says nothing by itself is no clause.
    says = [part for part in found if _says_something(part)]
    return says or found


def _says_something(text: str) -> bool:
    words = set(text.lower().split())
    return bool(words - FILLER or AGAIN.search(text) or _modifiers(text, alone=False)[0])


def _clause(text: str, known: Known, *, alone: bool) -> _Clause:
    text = POLITE.sub("", text).strip(" ,") or text
    if (
        not alone
        and (said := _modifiers(text, alone=False))
        and not said[1]
        and "again" not in said[0]
    ):
        return _Clause(Frame(**said[0]))
    for order in ORDERS:
        if match := order.pattern.match(text):
            argv = filled(order.argv, match)
            if argv == ("undo",) and known.undo:
                return _Clause(steps=tuple(Step(back) for back in known.undo))
            if not offered(argv, known):
                raise _Puzzled(not_offered(argv))
            undo = filled(order.undo, match) if order.undo else ()
            return _Clause(steps=(Step(argv, undo),))
    if not NEGATION.match(text) and (found := looked_up(text, known)):
        if isinstance(found, Unknown):
            raise _Puzzled(found)
        return _Clause(steps=tuple(Step(argv) for argv in found.commands))
    if match := CREATE.match(text):
        argv = ("create", match["rest"])
        if not offered(argv, known):
            raise _Puzzled(not_offered(argv))
        return _Clause(steps=(Step(argv),))
    return _framed(text, known, alone=alone)


def _framed(text: str, known: Known, *, alone: bool) -> _Clause:
    said, rest = _modifiers(text, alone=alone)
    forbidden: str | None = None
    if match := NEGATION.search(rest):
        forbidden = rest[match.start() :]
        rest = rest[: match.start()]
        if not rest.strip(" ,") and not said.get("again"):
            # What is said of something forbidden is not said of anything else.
            return _Clause(forbidden=text)
    again = bool(said.pop("again", False))
    if _ANEW.search(rest):
        again = True
    if match := AGAIN.search(rest):
        again, rest = True, _without(rest, match)
    targets, rest = _named_targets(rest)
    verb, rest = _verb(rest)
    if not verb and targets and "target" in text:
        verb = "build"
    if not verb and targets and _RUNS.search(text):
        verb, rest = "test", _RUNS.sub("", rest)
    if not verb and targets and not again and not said:
        raise _Puzzled(near.unknown(text, known))
    left = [word for word in re.findall(r"[^\s,]+", rest) if word.lower() not in FILLER]
    if left and not targets and verb in ("build", "test", "auto"):
        targets, left = _loose_targets(text, left, known)
    if left or not (verb or said or again or targets):
        raise _Puzzled(near.unknown(text, known))
    if not verb and "strategy" in said:
        verb = "build"
    if verb == "dbuild":
        verb, said = "build", {**said, "cluster": True}
    frame = Frame(verb=verb, targets=targets, **said)
    return _Clause(frame, again=again, forbidden=forbidden, inherits=bool(_ANAPHORA.search(text)))


def _modifiers(text: str, *, alone: bool) -> tuple[dict[str, Any], str]:
    said: dict[str, Any] = {}
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
                raise _Puzzled(Unclear(f"{said[modifier.field]} or {value}?", ()))
            said[modifier.field] = value
            text = _without(text, match)
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


def _named_targets(text: str) -> tuple[tuple[str, ...], str]:
    for row in (*TARGETS, ONLY):
        unsure = _NO_TARGET if row is TARGETS[0] else FILLER
        match = row.search(text)
        if match is None:
            continue
        names = [n for n in re.split(r",? and |, ?| ", match["names"]) if n]
        names = [n for n in names if n.lower() not in unsure]
        # A verb within is none of the names: "just build it", "only test".
        if names and not any(row.fullmatch(n) for _, row in VERBS for n in names):
            verbs = _verb(match[0])[0]
            kept = f" {verbs} " if verbs else " "
            around = text[: match.start()] + kept + text[match.end() :]
            return tuple(names), " ".join(around.split())
    return (), text


def _verb(text: str) -> tuple[str, str]:
    for verb, row in VERBS:
        if match := row.search(text):
            return verb, _without(text, match)
    return "", text


def _loose_targets(text: str, left: list[str], known: Known) -> tuple[tuple[str, ...], list[str]]:
    """Take words that nothing else explains for targets, where they can be nothing else."""
    if all(word in known.targets for word in left):
        return tuple(left), []
    if any(word.lower() in NO_TARGET for word in left):
        return (), left
    if any(near.like_a_word(word) for word in left) or not all(re.fullmatch(NAME, w) for w in left):
        return (), left
    marked = [word for word in left if re.search(r"[\d_./+-]|[a-z][A-Z]", word)]
    after_verb = re.search(
        r"\b(?:build|rebuild|compile|recompile|test|fix) (?:of |for |the )*"
        + r"(?:,? (?:and )?(?:the )?)".join(map(re.escape, left)) + r"(?![\w-])", text, re.IGNORECASE
    )  # fmt: skip
    if len(marked) == len(left) or (after_verb and (len(left) == 1 or " and " in text)):
        return tuple(left), []
    return (), left


def _without(text: str, match: re.Match[str]) -> str:
    return " ".join(f"{text[: match.start()]} {text[match.end() :]}".split())


# ── several clauses ─────────────────────────────────────────────────────────────────────────────


def _assembled(clauses: list[_Clause], text: str, known: Known) -> Meaning:
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
            choices = tuple(doing(argv) for argv in parts(item) if argv[0] in known.commands)
            return Unclear("no one command does all of that; which part counts", choices)
        steps += (Step(argv) for argv in found)
    steps = [step for n, step in enumerate(steps) if n == 0 or step != steps[n - 1]]
    for step in steps:
        if not offered(step.argv, known):
            return not_offered(step.argv)
    if all(reads_only(step.argv) for step in steps):
        return Look(tuple(step.argv for step in steps))
    return Plan(tuple(steps))


def _forward(clauses: list[_Clause]) -> list[_Clause]:
    """Return the clauses with modifiers that come before their verb put where the verb is."""
    found: list[_Clause] = []
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
    clause: _Clause,
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
        elif done and clause.again and frame.bare:
            raise _Puzzled(near.unknown(text, known))
        else:
            raise _Puzzled(_which_verb(frame, known))
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
        said, left = _modifiers(rest, alone=True)
        if said and not left and not any(_says(item, said) for item in done):
            continue  # "in debug, not in release": what is asked for is another thing
        verb, _ = _verb(rest)
        verb = verb or next((noun for noun, row in NOUNS if row.search(rest)), "")
        verbs = {item.verb for item in done if isinstance(item, Frame)}
        if any(verb in _IMPLIED.get(asked, ()) for asked in verbs):
            raise _Puzzled(Unknown(f"it cannot be done without this: {verb}"))
        if verb and verb not in verbs:
            continue  # what is forbidden was not asked for anyway
        if all(isinstance(i, tuple) and all(reads_only(s.argv) for s in i) for i in done):
            continue
        if rest and _GENERAL.fullmatch(rest) and all(isinstance(item, Frame) for item in done):
            done = [replace(item, dry_run=True) for item in done if isinstance(item, Frame)]
            continue
        raise _Puzzled(
            Unknown("one part of that forbids what another asks for, or is not understood")
        )
    return done


def _says(item: Frame | tuple[Step, ...], said: dict[str, Any]) -> bool:
    return isinstance(item, Frame) and any(getattr(item, n) == v for n, v in said.items())


def _stem(word: str) -> str:
    short = re.sub(r"(.)\1$", r"\1", word)
    return {"compil": "compile", "delet": "delete", "remov": "remove", "mak": "make",
            "chang": "change", "us": "use"}.get(word, short)  # fmt: skip
