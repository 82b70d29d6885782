"""Says why a build failed: what the rules read, which package has what is missing, a model's words.

Knows no command line. What comes from a model is marked as such; it names no package, and what it
suggests is shown with a package only where the index of this system has one.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cyxmake_cli.config import cache_directory
from cyxmake_cli.plugins.rules import known_rules
from cyxmake_cli.settings import AiSettings
from cyxmake_common.diagnosis.diagnose import diagnose
from cyxmake_common.diagnosis.model import Diagnosis, LogInput
from cyxmake_common.errors import UsageError

if TYPE_CHECKING:
    from cyxmake_cli.knowledge.contents import ContentsIndex
    from cyxmake_cli.llm.backend import Request
    from cyxmake_cli.llm.router import Models

_MOST_CAUSES: Final = 5
_MOST_LINES: Final = 3
_LONGEST: Final = 200
_MOST_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Failure:
    """What a failed build left behind, and where it came from."""

    log: LogInput
    source: str
    root: Path


@dataclass(frozen=True, slots=True)
class Telling:
    """How it is told: to whom, who sees what is sent, and whether anything is."""

    say: Callable[[str], None]
    on_sent: Callable[[str, Request], None] | None = None
    dry_run: bool = False


def read_failure(named: str, directory: Path) -> Failure:
    """Return the log of a file, of stdin (`-`), or of the last build here that failed (`last`)."""
    if named == "-":
        return Failure(LogInput(_text(sys.stdin.buffer.read(_MOST_BYTES))), "stdin", directory)
    if named == "last" and not Path(named).is_file():
        return _last(directory)
    try:
        with Path(named).open("rb") as file:
            return Failure(LogInput(_text(file.read(_MOST_BYTES))), named, directory)
    except OSError as error:
        raise UsageError(
            f"{named} cannot be read: {error.strerror}", next_step="name a file that holds a log"
        ) from error


def _last(directory: Path) -> Failure:
    from cyxmake_cli.building.history import builds
    from cyxmake_cli.building.own_folder import OwnFolder

    failed = [build for build in builds(OwnFolder(directory)) if build.facts.get("exit_code")]
    if not failed:
        raise UsageError(
            "no build that failed is remembered here",
            next_step="name a log: `cyxmake ai explain FILE`",
        )
    build = failed[-1]
    data = b""
    with contextlib.suppress(OSError):  # a history that lost its output still has its exit status
        data = build.log.read_bytes()[-_MOST_BYTES:]
    commands = build.facts.get("commands") or [{}]
    code = commands[-1].get("exit_code") if isinstance(commands[-1], dict) else None
    status = code if isinstance(code, int) else None
    return Failure(LogInput(_text(data), status), build.id, directory)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def explain_failure(failure: Failure, settings: AiSettings, telling: Telling) -> dict[str, Any]:
    """Tell why it failed; returns the document that says the same."""
    from cyxmake_cli.knowledge.contents import open_index

    causes = diagnose(failure.log, known_rules())
    index = open_index(cache_directory())
    try:
        shown = [_cause(cause, index, failure) for cause in causes[:_MOST_CAUSES]]
        for cause in shown:
            _tell(cause, telling)
        more = _ask(failure, causes, settings, telling, index)
    finally:
        if index is not None:
            index.close()
    if not shown and not more["causes"]:
        telling.say("no rule knows this failure" + (f"; {w}" if (w := more["why_not"]) else ""))
    return {"source": failure.source, **more, "causes": [*shown, *more["causes"]]}


def _ask(
    failure: Failure,
    causes: list[Diagnosis],
    settings: AiSettings,
    telling: Telling,
    index: ContentsIndex | None,
) -> dict[str, Any]:
    """Ask a model, where there is one: for a cause if the rules are silent, and for words."""
    none: dict[str, Any] = {"causes": [], "fix": "", "words": [], "model": "", "why_not": ""}
    if not settings.enabled:
        return {**none, "why_not": "models are off"}
    from cyxmake_cli.llm.causes import diagnose_with_model, excerpt_of
    from cyxmake_cli.llm.open import open_models
    from cyxmake_cli.recovery.fixes import KINDS

    kinds = tuple(kind.name for kind in KINDS.values())
    models = open_models(settings, on_sent=telling.on_sent)
    if models is None:
        return {**none, "why_not": "no model is configured"}
    with contextlib.closing(models):
        if telling.dry_run:
            _preview(models, excerpt_of(failure.log, causes), telling)
            return {**none, "why_not": "--dry-run"}
        opinion = diagnose_with_model(failure.log, causes, models, kinds)
        suggested = [cause for cause in opinion.causes if cause.suggested]
        found = [_cause(cause, index, failure) for cause in suggested]
        for cause in found:
            telling.say(f"no rule knows this failure; {opinion.model} suggests:")
            _tell(cause, telling)
        if opinion.summary and found:
            telling.say(f"  in its words: {opinion.summary}")
        words, why = _words(failure, [*causes, *suggested], models, telling)
    silent = not causes and not suggested
    return {"causes": found, "fix": opinion.fix, "words": words, "model": opinion.model,
            "why_not": opinion.why_not if silent else why}  # fmt: skip


def _preview(models: Models, excerpt: str, telling: Telling) -> None:
    from cyxmake_cli.llm.prompts import numbered
    from cyxmake_cli.llm.redact import anonymous

    names = ", ".join(backend.name for backend in models.backends)
    telling.say(f"would ask {names}; of the log, what is not on this machine would read:")
    for line in numbered(anonymous(excerpt, models.policy.identity)).split("\n"):
        telling.say(f"  {line}")


def _words(
    failure: Failure, causes: list[Diagnosis], models: Models, telling: Telling
) -> tuple[list[str], str]:
    """Let a model explain; returns what it said, and why it did not, or not to the end."""
    from cyxmake_cli.llm.backend import ModelError, Request
    from cyxmake_cli.llm.causes import excerpt_of
    from cyxmake_cli.llm.prompts import explain_messages
    from cyxmake_cli.llm.words import SafeLines

    if models.tiny:
        return [], "the model is too small to explain anything"
    told: list[str] = []

    def tell(line: str) -> None:
        if not told:
            telling.say("a model's words, which may be wrong:")
        told.append(line)
        telling.say(f"  {line}")

    lines = SafeLines(tell)
    why = ""
    try:
        question = explain_messages(excerpt_of(failure.log, causes), causes)
        models.complete(Request(question, max_tokens=400), lines)
    except ModelError as error:
        why = error.message
    lines.end()
    return told, why


def _cause(cause: Diagnosis, index: ContentsIndex | None, failure: Failure) -> dict[str, Any]:
    from cyxmake_cli.knowledge.advice import headers_below, sentence, system_manager

    suggested = cause.suggested
    manager = None if suggested and index is None else system_manager()
    said = sentence(cause, manager, index, headers_below(failure.root, cause),
                    verified_only=suggested)  # fmt: skip
    return {
        "category": cause.category.value, "facts": cause.facts.known(), "sentence": said,
        "confidence": round(cause.confidence, 3), "rule": cause.rule, "suggested": suggested,
        "lines": list(cause.lines), "evidence": cause.evidence, "count": cause.count,
    }  # fmt: skip


def _tell(cause: dict[str, Any], telling: Telling) -> None:
    sure = "not certain" if cause["suggested"] else f"{cause['confidence']:.0%} sure"
    telling.say(cause["sentence"])
    evidence = [line for line in cause["evidence"].split("\n") if line.strip()][:_MOST_LINES]
    numbers = [f"line {number}" for number in cause["lines"]]
    for n, line in enumerate(evidence):
        shown = "".join(c for c in line if c.isprintable())[:_LONGEST].strip()
        telling.say(f"  {numbers[n] if n < len(numbers) else 'then'}: {shown}")
    times = f", said {cause['count']} times" if cause["count"] > 1 else ""
    telling.say(f"  {cause['rule']}, {sure}{times}")
