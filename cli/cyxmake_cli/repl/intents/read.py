"""Reads a line of plain English: what it asks for, asks about, forbids, or leaves open.

Knows the grammar between clauses and no word by itself (see words, orders, questions), and runs
nothing. Every word of an instruction has to be accounted for: a line with one that means nothing
here is not guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from cyxmake_cli.repl.intents import answers, near, rows
from cyxmake_cli.repl.intents.acts import Speech, greetingless, parts
from cyxmake_cli.repl.intents.clauses import carried, instructions, stated
from cyxmake_cli.repl.intents.frame import frame_of
from cyxmake_cli.repl.intents.lookup import about, looked_up
from cyxmake_cli.repl.intents.made import created
from cyxmake_cli.repl.intents.model import (
    Argv,
    Known,
    Look,
    Meaning,
    Nothing,
    Plan,
    Step,
    Tell,
    Unclear,
    Unknown,
    doing,
    offered,
)
from cyxmake_cli.repl.intents.orders import AMBIGUOUS
from cyxmake_cli.repl.intents.questions import ASKS, EXIT_STATUS, HOW, INDIRECT
from cyxmake_cli.repl.intents.text import corrected, data, is_english, tidy
from cyxmake_cli.repl.intents.words import NEGATION
from cyxmake_common.errors import ExitStatus

LONGEST: Final = 500
"""Characters of a line that is read at all: nobody means more with one."""
MOST_WORDS: Final = 80
FEW: Final = 2
"""Words of a question that says nothing without what was said before it."""

_SHELL: Final = re.compile(r"[$&|<>`{}]|\s;")
_WOULD: Final = re.compile(
    r"(?:what|which)(?: \w+)? (?:would|will) (?:an? |the |you )?(?P<what>(?!you\b|it\b|be\b|happen\b)[\w -]+?) "
    r"(?:run|do|delete|remove|change|install|put back|build|execute|start|send|touch|clean)\b(?! (?:if|when)\b)", re.IGNORECASE
)  # fmt: skip
_TYPES: Final = ("debug", "release", "relwithdebinfo", "minsizerel")
_GO: Final = re.compile(
    r"(?:(?:(?:that|this|it|all|everything) )?(?:(?:all )?(?:looks|look|is|seems|sounds) )?(?:good|fine|ok|okay|right|great|perfect|correct|alright|nice|yes|yeah|yep|sure|agreed|as expected|as it should)(?: to me)?[ ,.!:;-]+|(?:so|then|now|please|well|and|just) )*"
    r"(?:(?:go ahead|proceed|go on|carry on)(?: (?:and|then))?(?: (?:please )?(?:do|run|execute|perform|apply) (?:it|that|this|them))?(?: (?:then|please|now|with it|with that|for real|really|this time))*"
    r"|(?:now |really |actually |please )*(?:do|run|execute|perform|apply|repeat) (?:it|that|this|them|the same)(?: again| now| once more)*(?: for real| really| actually| in earnest| without (?:the |a )?dry[- ]?run)(?: (?:now|then|please|this time))*"
    r"|(?:really|actually) (?:do|run|execute) (?:it|that|this)(?: now)?|(?:and )?now (?:(?:do|run) (?:it|that) )?(?:for real|really|in earnest|without (?:the )?dry[- ]?run)|for real(?: now| this time)?)[ .!]*",
    re.IGNORECASE,
)
"""What says after a dry run that it is to be done."""
_NAMES: Final = frozenset(
    [
        "target",
        "targets",
        "worker",
        "called",
        "named",
        "package",
        "packages",
        "label",
        "agent",
        "name",
        "plugin",
        "test",
        "library",
        "install",
        "uninstall",
        "apt",
        "pip",
    ]
)


def read(line: str, known: Known) -> Meaning:
    """Return what a line means."""
    if len(line) > LONGEST or len(line.split()) > MOST_WORDS:
        return Unknown("that is too long to be sure what is meant")
    text = _tidy(line)
    if not re.search(r"\w", text):
        return Unknown("nothing is said")
    if typed := _typed(line, known) or _for_real(text, known):
        return typed
    if made := created(tidy(line), known):
        return made
    said = parts(text)
    if asked := next((part for part in said if part.speech is Speech.QUESTION), None):
        why = INDIRECT.sub("", asked.text)
        if len(why.split()) <= FEW and all(
            p.speech in (Speech.STATE, Speech.QUESTION) for p in said
        ):
            return _asked(" ".join((why, *(p.text for p in said if p is not asked))), known)
        answer = _asked(asked.text, known)
        shown = [part for part in said if part.speech is Speech.ORDER]
        if isinstance(answer, Unknown) and shown:
            # "the last builds, how long did they take?"
            other = carried(shown, text, known)
            return other if isinstance(other, Look) else answer
        return answer
    orders = [part for part in said if part.speech is Speech.ORDER]
    if _SHELL.search(text):
        return near.unknown(text, known)
    forbids = any(part.speech is Speech.FORBID for part in said)
    first = next((n for n, part in enumerate(said) if part.speech is Speech.FORBID), len(said))
    ordered = any(p.starts or n < first for n, p in enumerate(said) if p.speech is Speech.ORDER)
    if forbids and not ordered:
        meaning = stated(said, known) or carried(said, text, known)
        return meaning if isinstance(meaning, Look | Plan) else Nothing("nothing is done")
    if not orders:
        if any(part.speech is Speech.CONDITION for part in said):
            return near.unknown(text, known)
        if found := stated(said, known):
            return found
        greets = all(part.speech is Speech.GREET for part in said)
        return Nothing("at your service" if greets else "nothing is asked for, and nothing is done")
    if len(said) == 1 and (found := _ambiguous(orders[0].text, known)):
        return found
    meaning = carried(said, text, known)
    unread = isinstance(meaning, Unknown) or (isinstance(meaning, Unclear) and not meaning.choices)
    if unread and line.rstrip().endswith("?"):
        return next(_answers(orders[0].text, known), meaning)
    return meaning


def _typed(line: str, known: Known) -> Plan | Look | None:
    """Return the command that a line is as it stands: `build --type debug -j12`."""
    argv = re.sub(r"(?<=\s-j)(?=\d)|(?<=--type)=|(?<=--jobs)=", " ", line.strip()).split()
    if len(argv) <= 1 or argv[0] not in known.commands or not argv[1].startswith("-"):
        return None
    frame = frame_of(tuple(argv))
    if frame is None or not re.fullmatch(r"[\w./=+ -]+", line.strip()):
        return None
    if any(is_english(target) for target in frame.targets) or not str(frame.jobs).isdigit():
        return None
    if frame.type not in ("", *_TYPES):
        return None
    return doing(tuple(argv))


def _for_real(text: str, known: Known) -> Plan | None:
    """Return what a dry run has shown, done: "looks fine, do it for real"."""
    done = tuple(word for word in known.last if word not in ("--dry-run", "-n"))
    if done == known.last or "?" in text or not _GO.fullmatch(text) or not offered(done, known):
        return None
    return Plan((Step(done),))


def asks(line: str) -> bool:
    """Tell whether a line asks, or wishes to see something: nothing is to be done for it."""
    said = parts(_tidy(line))
    return any(p.speech is Speech.QUESTION for p in said) or bool(
        ASKS.match(said[0].text if said else "")
    )


@cache
def _rewrites() -> tuple[tuple[re.Pattern[str], str], ...]:
    table = data("rewrites")["rewrite"]
    return tuple((re.compile(row["said"], re.IGNORECASE), row["meant"]) for row in table)


def _tidy(line: str) -> str:
    text = tidy(line)
    for said, meant in _rewrites():
        text = said.sub(meant, text)
    if text.startswith("dry run of"):
        text = text.rstrip("? ,")
    return corrected(text, rows.vocabulary(), _NAMES)


# ── questions ───────────────────────────────────────────────────────────────────────────────────


def _asked(text: str, known: Known) -> Meaning:
    """Return what answers a question."""
    text = INDIRECT.sub("", greetingless(text.replace('"', "").strip(" .!?,;")))
    if match := EXIT_STATUS.match(text):
        return _exit_status(int(match["n"]))
    if (match := HOW.match(text)) and (found := _how(text[match.end() :].strip(), known)):
        return found
    found = next(_answers(text, known), None)
    return found or near.unknown(text, known, question=True)


def _answers(text: str, known: Known) -> Iterator[Meaning]:
    """Yield the answers to a question, the surest first."""
    topic = answers.topic(text, known)
    knowing = answers.is_of_knowledge(text)
    for found in (
        topic if knowing else None,
        answers.look(text, known),
        _would(text, known),
        looked_up(text, known),
        about(text, known),
        _question_in_parts(text, known),
        answers.look(text, known, left=3 if answers.is_about_a_file(text) else 1),
        topic,
        answers.look(text, known, left=3),
        answers.option(text),
        answers.topic(text, known, near=True),
    ):
        if found is not None:
            yield found


def _would(text: str, known: Known) -> Look | None:
    """Return the dry run that answers "what would X do?"."""
    match = _WOULD.match(text)
    found = instructions(f"dry run of {match['what']}", known) if match else None
    return found if isinstance(found, Look) else None


def _question(text: str, known: Known) -> Meaning | None:
    if found := looked_up(text, known) or answers.look(text, known):
        return found
    return None


def _question_in_parts(text: str, known: Known) -> Meaning | None:
    """Return the answers to a question of several parts; None unless each part has one."""
    found: list[Argv] = []
    for part in re.split(r",? and (?=\w)|, |[?.;] ", text):
        if NEGATION.match(part):
            continue  # "..., don't do it": a question does nothing anyway
        meaning = _question(part.strip(), known)
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


# ── doubts ──────────────────────────────────────────────────────────────────────────────────────


def _ambiguous(text: str, known: Known) -> Meaning | None:
    for row, question, commands in AMBIGUOUS:
        if row.match(text):
            offered = [tuple(c.split()) for c in commands if c.split()[0] in known.commands]
            return Unclear(question, tuple(doing(argv) for argv in offered))
    return None
