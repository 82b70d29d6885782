"""Asks a model why a build failed, where the rules are silent or unsure; checks what it says.

Knows no fix and no package. The rules win: a model's word never replaces a cause that a rule found,
and where no rule spoke it stays a suggestion, which is shown and never acted upon unasked. What it
names must stand in the log, in a line that speaks of that kind of trouble.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from cyxmake_cli.llm.backend import ModelError
from cyxmake_cli.llm.prompts import (
    MEANINGS,
    NO_FIX,
    Answer,
    TinyAnswer,
    answer_form,
    cause_messages,
    fact_messages,
    label_messages,
)
from cyxmake_cli.llm.router import Models
from cyxmake_cli.llm.words import safe_summary
from cyxmake_common.diagnosis.fingerprint import fingerprint
from cyxmake_common.diagnosis.model import (
    SUGGESTED,
    Category,
    Diagnosis,
    Facts,
    LogInput,
)
from cyxmake_common.diagnosis.reduce import redact, reduce_log
from cyxmake_common.diagnosis.text import comparable_lines, first_line_kept

_MOST_SURE: Final = 0.5
"""No model's word is worth more: the least sure of the rules is worth as much."""
_UNSURE: Final = 0.9
"""A rule's cause below this is held against what a model says."""
_AGREEMENT: Final = 0.6
"""What is left of the doubt when a model says the same by itself."""
_EXCERPT: Final = 3500
_TINY_EXCERPT: Final = 1200

_ABSENT: Final = (
    r"not found|no such|cannot (?:find|open|locate)|can't (?:find|open|locate)|couldn't find|"
    r"could not (?:find|locate|open|resolve)|missing|unable to (?:find|locate|open)|"
    r"not installed|not available|required|requires|no module|unresolved|not exist|failed to find|"
    r"no package|unknown|undefined|command"
)
_CUES: Final[dict[Category, str]] = {
    Category.MISSING_HEADER: _ABSENT,
    Category.MISSING_LIBRARY: _ABSENT,
    Category.MISSING_PACKAGE_CONFIG: _ABSENT,
    Category.MISSING_TOOL: _ABSENT,
    Category.MISSING_MODULE: _ABSENT,
    Category.MISSING_INPUT: _ABSENT + r"|no rule to make",
    Category.VERSION_MISMATCH: r"version|require|too (?:old|new)|newer|older|at least|need",
    Category.ARCH_MISMATCH: r"architecture|incompatible|machine|elf|format|relocation|x86|arm",
    Category.DEPENDENCY_CONFLICT: r"conflict|resolve|incompatible|satisf|depend|version",
    Category.UNSUPPORTED_OPTION: r"option|argument|flag|unrecogni[sz]ed|unknown|unsupported",
    Category.OUT_OF_MEMORY: r"memory|killed|alloc|oom|heap|signal",
    Category.DISK_FULL: r"space|quota|disk",
    Category.PERMISSION_DENIED: r"permission|denied|permitted|read-only|access|forbidden",
    Category.NETWORK_FAILURE: r"connect|resolve|timed? ?out|ssl|tls|certificate|proxy|network|"
    r"fetch|download|http|host|socket|unreachable",
    Category.TIMEOUT: r"time(?:d|out)?|deadline|exceeded",
    Category.RESOURCE_BUSY: r"busy|lock|in use|another process",
    Category.LIMIT_EXCEEDED: r"too many|too long|limit|exceed|exhaust",
    Category.CLOCK_SKEW: r"clock|future|modification time|skew",
    Category.WORKER_FAULT: r"input/output|i/o|device|hardware|stale|corrupt|mount",
    Category.TOOL_CRASH: r"internal|crash|segmentation|signal|abort|panic|assert|bug|core dumped",
    Category.UNDEFINED_SYMBOL: r"undefined|unresolved|undeclared",
    Category.DUPLICATE_SYMBOL: r"multiple|duplicate|redefin|already",
    Category.WARNING_AS_ERROR: r"-werror|warning",
    Category.TEST_FAILURE: r"test|assert|expect|fail",
}
"""What a line must speak of to be evidence of a cause; without a row any trouble will do."""
_TROUBLE: Final = re.compile(
    r"(?i)error|fail|fatal|cannot|can't|unable|invalid|exception|denied|abort|undefined|"
    + _ABSENT.replace("|command", "")
)
_SPELLED: Final = re.compile(r"[\w./+@:<>~*&(), -]{1,120}")
_NAMED: Final = re.compile(r"[\w@][\w./+@:-]{0,119}")
_OPTION: Final = re.compile(r"[-/][\w./+=:,-]{1,119}")
_FACTS: Final[dict[Category, str]] = {
    Category.MISSING_HEADER: "header",
    Category.MISSING_LIBRARY: "library",
    Category.MISSING_PACKAGE_CONFIG: "package",
    Category.MISSING_TOOL: "command",
    Category.MISSING_MODULE: "module",
    Category.MISSING_INPUT: "path",
    Category.UNSUPPORTED_OPTION: "option",
    Category.UNDEFINED_SYMBOL: "symbol",
    Category.DUPLICATE_SYMBOL: "symbol",
}
"""What must be named, by category; for the others a line says enough.

Of which ecosystem a module is stays open: its package would follow from its name alone.
"""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What came of asking: the causes, and what else a model said.

    `causes` are those of the rules, surer where a model agrees; where the rules are silent, what it
    suggests, if that holds against the log.
    """

    causes: tuple[Diagnosis, ...]
    fix: str = ""
    """The kind of fix that a model would try first, of those it was offered."""
    summary: str = ""
    """Its words on it, fit to be shown."""
    model: str = ""
    why_not: str = ""
    """Why nothing came of it."""


def diagnose_with_model(
    log: LogInput, causes: Sequence[Diagnosis], models: Models | None, fixes: Sequence[str] = ()
) -> Opinion:
    """Return the causes of a failure, by the rules' result and a model's word.

    `fixes` are the kinds of fix that may be named. A model that does not answer changes nothing.
    """
    known = tuple(causes)
    if models is None:
        return Opinion(known, why_not="no model is configured")
    if known and known[0].confidence >= _UNSURE:
        return Opinion(known, why_not="the rules are sure")
    try:
        answer, model, excerpt = _asked(log, known, models, tuple(fixes))
    except ModelError as error:
        return Opinion(known, why_not=error.message)
    fix = "" if answer.fix == NO_FIX else answer.fix
    found = _checked(answer, excerpt, log, model)
    if known:
        if found is None or not _same(found, known[0]):
            return Opinion(known, model=model, why_not="the model sees another cause")
        first = known[0]
        doubt = (1 - first.confidence) * _AGREEMENT
        surer = replace(first, confidence=max(first.confidence, min(0.99, 1 - doubt)))
        return Opinion((surer, *known[1:]), fix, safe_summary(answer.summary), model)
    if found is None:
        return Opinion((), model=model, why_not="what the model says does not hold against the log")
    return Opinion((found,), fix, safe_summary(answer.summary), model)


def excerpt_of(log: LogInput, causes: Sequence[Diagnosis], limit: int = _EXCERPT) -> str:
    """Return what a model reads of a log: at most 4 kB, without secrets."""
    lines = [line for cause in causes for line in cause.lines]
    return reduce_log(log.text, lines, limit).strip("\n")


def _asked(
    log: LogInput, known: tuple[Diagnosis, ...], models: Models, fixes: tuple[str, ...]
) -> tuple[Answer, str, str]:
    tiny = models.tiny
    excerpt = excerpt_of(log, known, _TINY_EXCERPT if tiny else _EXCERPT)
    labels = tuple(category.value for category in MEANINGS)
    if tiny:  # such a model cannot choose in words; how likely it finds each label says more
        label = models.choose_calibrated(label_messages(excerpt), label_messages(""), labels)
        said, model = models.structured(fact_messages(excerpt, label), TinyAnswer, max_tokens=80)
        answer = Answer(category=label, fact=said.fact, line=said.line, fix=NO_FIX,
                        confidence=0.5, summary="")  # fmt: skip
        return answer, model, excerpt
    messages = cause_messages(excerpt, fixes)
    answer, model = models.structured(messages, answer_form(labels, fixes), max_tokens=300)
    return answer, model, excerpt


def _checked(answer: Answer, excerpt: str, log: LogInput, model: str) -> Diagnosis | None:
    """Return a model's answer as a diagnosis, if it holds against the log."""
    category = Category(answer.category)
    cue = re.compile(_CUES[category], re.IGNORECASE) if category in _CUES else _TROUBLE
    name = _FACTS.get(category, "")
    fact = answer.fact.strip().strip("'\"`<>") if name else ""
    if name and not _well_formed(name, fact):
        return None
    lines = excerpt.split("\n")
    order = [answer.line - 1, *range(len(lines))]
    line = next(
        (lines[n] for n in order if 0 <= n < len(lines) and cue.search(lines[n])
         and (not fact or _stands_in(fact, lines[n]))),
        None,
    )  # fmt: skip
    if line is None or not _TROUBLE.search(line):
        return None
    facts = Facts(**{name: fact}) if fact else Facts()  # type: ignore[arg-type]
    sure = min(_MOST_SURE, max(0.0, answer.confidence) * _MOST_SURE)
    return Diagnosis(
        category=category,
        facts=facts,
        confidence=sure if sure == sure else 0.0,  # noqa: PLR0124 - not a number
        rule=SUGGESTED + model,
        fingerprint=fingerprint(category, facts, line),
        lines=_numbers(line, log),
        evidence=line.strip(),
        phase=log.phase,
    )


def _well_formed(name: str, fact: str) -> bool:
    pattern = {"option": _OPTION, "symbol": _SPELLED}.get(name, _NAMED)
    return pattern.fullmatch(fact) is not None and ".." not in fact


def _stands_in(fact: str, line: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(fact)}(?![\w-])", line) is not None


def _numbers(line: str, log: LogInput) -> tuple[int, ...]:
    """Return where an excerpt's line stands in the log."""
    offset = first_line_kept(log.text)
    for number, text in enumerate(comparable_lines(redact(log.text))):
        if text.startswith(line) and line:
            return (number + offset,)
    return ()


def _same(found: Diagnosis, cause: Diagnosis) -> bool:
    if found.category is not cause.category:
        return False
    known = cause.facts.known()
    return all(known.get(name, value) == value for name, value in found.facts.known().items())
