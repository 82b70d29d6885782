"""Reads a line of plain English: what it asks for, asks about, forbids, or leaves open.

Knows the grammar between clauses and no word by itself (see words, orders, questions), and runs
nothing. Every word of an instruction has to be accounted for: a line with one that means nothing
here is not guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
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
from cyxmake_cli.repl.intents.text import corrected, is_english, tidy
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
_SEQUENCE: Final = (
    (re.compile(r"^(?P<who>(?:show|tell|list|print|display)(?: me| us)?),? (?:first|please|just|only|now|beforehand|quickly)+,? (?=what|which|how|why|where)", re.I), r"\g<who> "),
    (re.compile(r"\btest (?=(?:whether|if)\b)", re.I), "check "),
    (re.compile(r"(?:,|\band)+ if (?:that|it) (?:fails|does not (?:work|answer)|is (?:away|down|not there))[ ,]+(?:then )?(?:use )?(?=(?:the )?(?:local|ollama|openai|anthropic|gemini|llama-server|lmstudio|vllm|openrouter)\b)", re.I), " then "),
    (re.compile(r"^(?:what|which)(?: files| things)? (?:will|would|gets?)(?: be)? (?:deleted|removed|cleaned|thrown away)(?: (?:when|if|by).*clean\w*(?: up)?)?[?.! ]*$", re.I), "dry run of clean"),
    (re.compile(r"(?:show|tell|list|print|display|name)(?: me| us)? (?:what|which(?: \w+){0,2}) (?:would|will)(?: then)? (?:be|get) (?:re-?)?(?:built|compiled)\b", re.I), "dry run of build"),
    (re.compile(r"(?:show|tell|list|print|display|name)(?: me| us)? (?:what|which(?: \w+){0,2}|the (?:files|things|stuff)(?: that| which)?|everything that|all that) (?:would|will)(?: then)? (?:be|get) (?:removed|deleted|cleaned|erased|wiped|thrown away)(?: up)?(?: by (?:a )?clean(?:ing)?(?: up)?)?\b", re.I), "dry run of clean"),
    (re.compile(r"(?<=\w),? (?:and )?(?:please )?(?:fix|repair)(?:ing)?(?: it| them| things| errors)? (?:if|where|when|as) (?:needed|necessary|required|possible)", re.I), " with auto-fix"),
    (re.compile(r"\b(?:let me|i (?:want|would like|would love|need) to|(?:can|may|could) i) (?:please |now )?(?:see|have a look at|look at)\b(?! (?:if|whether)\b)", re.I), "show me"),
    (re.compile(r"^(?:what|how) means? (?=\S)", re.I), "what is the meaning of "),
    (re.compile(r"\b(delete|remove|erase|wipe|change|touch|do|run|build|install|start|execute|write|modify|clean|send) nothing\b(?! (?:but|except|else|more|besides|other|that)\b)", re.I), r"do not \1 anything"),
    (re.compile(r"(?<=\w),? (?:and |but )?(?:absolutely |really )?(?:nothing (?:else|more|besides|other|beyond (?:that|this|these|those)|apart from (?:that|these|those)|in addition)|stop there|leave it at that|no further|no other (?:targets?|ones?|things?)|no others|(?:and |but )(?:that is|only|just) (?:it|all|that|those|these|them)|(?:that is|only|just) (?:all|those|these))(?: (?:please|though|for now))?(?=[,.!]|$)", re.I), ""),
    (re.compile(r"(?<=\w)(?<!list)(?<!show)(?<!what)(?<!which)(?<! me),? (?:and |of |for |with )?(?:all|every|each)(?: of)?(?: the| my| our| its)? (?:single |existing |available )?targets?(?=[,.!]|$| (?:in|on|with|as|using|at|for|from)\b)", re.I), " build"),
    (re.compile(r"^(?:all|every|each)(?: of)?(?: the| my| our| its)? targets?(?= (?:in|on|with|as|using|at|for|from)\b)", re.I), "build"),
    (re.compile(r"\b((?:all|every|each)(?: of)?(?: the| my| our| its)? targets?|everything|all(?: of (?:it|them))?),? but (?=\S)", re.I), r"\1 except "),
    (re.compile(r"\b(throw away|throw out|remove|delete|erase|wipe|clear|discard|trash|get rid of|nuke|clean(?: up)?) (?:all )?what(?:ever)? (?:was|has been|had been|got|is|were|the build|you|i|we) (?:has |have )?(built|generated|produced|compiled|made|left(?: behind)?)", re.I), r"\1 everything \2"),
    (re.compile(r"(?:(?<=failures)|(?<=errors)|(?<=failure)|(?<=error)|(?<=problems)|(?<=failing)|(?<=fails)),? (?:and |so |because |as |since )?(?:so that |(?:i|we) (?:want|would like|need|have|wish|like) (?:to )?|let me )?(?:see|show me|know|get|have|collect|find)(?: about)? (?:them all|all of them|every(?: single)? (?:one|error|failure)(?: of them)?|everything|all(?: the)? (?:errors|failures|problems))(?: (?:at once|in one go|together|first))?", re.I), ""),
    (re.compile(r"\b(?:make sure|ensure|double-?check|check|verify|confirm|see to it|be sure)(?: that| whether| if)? (?:nothing|none|no \w+|everything|all(?: \w+)?|anything|any \w+)((?: \w+)*? cache)(?: \w+)*? (?:is|are|was|were|has been|got|went|looks|gets) (?:\w+ )?(?:corrupt\w*|damaged|broken|bad|rotten|wrong|ok|fine|intact|sound|good|valid|in order)", re.I), r"verify \1"),
    (re.compile(r"\brestart the coordinator\b", re.I), "stop the coordinator and start the coordinator"),
    (re.compile(r"(?:(?:just|only|please|but)[ ,]+)*(?:show|tell|list)(?: (?:me|us))? (?:what|which (?:files|commands|steps|things)) (?:you|it) (?:would|will) (build|test|clean|install|do|remove|delete|run|compile)(?: now| here)?(?=[.,!]|$)", re.I), r"dry run of \1"),
    (re.compile(r"(?:(?:just|only|please|but)[ ,]+)*(?:show|tell|list)(?: (?:me|us))? which (?:files|commands|steps|things) (?:an? |the )?(.+?) (?:would|will) (?:run|do|remove|delete|build|execute|install|change|send|start|throw)\b(?: (?:here|away|up|out))?", re.I), r"dry run of \1"),
    (re.compile(r"(?:(?:just|only|please|but)[ ,]+)*(?:show|tell)(?: (?:me|us))? what (?:you|it) would (?:do|try|change) (?:to|when you|for|if you|in order to) ", re.I), "dry run of "),
    (re.compile(r",? (?:when|while|for)(?:ever)? (?:(?:you|we|i) )?(build|compile|test|run the tests|install|clean|building|compiling)(?: (?:it|this))?(?=[.!]*$)", re.I), r" \1"),
    (re.compile(r"\b(?:make|get|bring) (it|this|that|(?:the|my|our|this|that) (?:whole |entire |damn |stupid )?(?:project|build|code|thing|program|target \S+|\S+ target)) (?:to )?(?:build|compil(?:e|ing)|work|pass|succeed|go)(?:ing)?(?: again)?\b(?! (?:in|with|on|for|as|using|locally|remotely|\d)\b)", re.I), r"repair \1 until it works"),
    (re.compile(r"^(.+?),? after (?:you have |having |the )?(building|compiling|cleaning up|cleaning|testing)(?: it| everything)?[.!]*$", re.I), r"\2, then \1"),
    (re.compile(r"^((?:clean|remove|delete|wipe|tidy|clear|empty|run the tests|test)\b[^?]*?),? before (?:you )?(?:build|compil)(?:e|ing)?(?: it)?[.!]*$", re.I), r"\1, then build"),
    (re.compile(r"(?:do not|never|without) (?:stop(?:ping)?|giv(?:e|ing) up|rest(?:ing)?|quit(?:ting)?)(?: \w+ing)? (?=until\b)", re.I), "keep trying "),
    (re.compile(r"what would you do (?:for|to|in|(?:if|when) i (?:asked|told|want(?:ed)?)(?: you)? (?:to|for))(?: do)? (?:an? |the )?(\w+)\b", re.I), r"dry run of \1, "),
    (re.compile(r"(?:(?:just|only|please|but)[ ,]+)*(?:show|tell)(?: (?:me|us))? what (?:an? |the )?(.+?) (?:would|will) (?:run|do|remove|delete|build|execute|install|change|send|start)\b(?: here)?", re.I), r"dry run of \1"),
    (re.compile(r",? (?:and )?(?:try (?:to )?|attempt to )?(?:auto-?)?(?:fix|repair|mend)(?:ing)?(?: (?:it|that|this|the \w+|yourself|itself))* (?:if|when|in case|whenever) (?:it|that|this|the build|something|anything|one) (?:breaks?|fails?|goes wrong|does not (?:work|compile|build|succeed))", re.I), " with auto-fix"),
    (re.compile(r"^(if|when|once|after) ([^,]+), ((?:what|how|which|why|who|where|do|does|is|are|will|can|would)\b .+?)[?.!]*$", re.I), r"\3 \1 \2"),
    (re.compile(r"^(why|how come) (\w+) not (\S+)", re.I), r"\1 \2 \3 not"),
    (re.compile(r",? (?:and )?if (?:it|that|this|the build|something|anything|one|compilation|compiling) (?:breaks?|fails?|goes wrong|does not (?:work|compile|build|succeed)),? (?:then )?(?:please )?(?:try (?:to )?|attempt to )?(?:auto-?)?(?:fix|repair|mend)(?:ing)?(?: (?:it|that|this|the \w+|yourself|itself|by yourself|automatically))*", re.I), " with auto-fix"),
)  # fmt: skip
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


def _tidy(line: str) -> str:
    text = tidy(line)
    for short, long in _SEQUENCE:
        text = short.sub(long, text)
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
