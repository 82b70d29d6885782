"""Which build systems a directory has, with the evidence; and the facts that their steps need.

Knows the table and file names; opens only files that a mark or a fact asks about.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_cli.systems.model import FactRule, Mark, SystemName, SystemSpec
from cyxmake_cli.systems.plan import CONFIGURED, tool_fact
from cyxmake_cli.systems.table import SYSTEMS

_READ_LIMIT: Final = 1 << 20
_MOST_FILES: Final = 400
"""How many files are opened for one fact."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A file below the directory that speaks for a build system, and the line, 0: the whole."""

    file: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Detection:
    """A build system that a directory has; `confidence` is between 0 and 1."""

    system: SystemName
    confidence: float
    evidence: tuple[Evidence, ...]

    @property
    def spec(self) -> SystemSpec:
        """Return what is known of the system."""
        return SYSTEMS[self.system]


def detect_systems(directory: Path, names: Collection[str] | None = None) -> tuple[Detection, ...]:
    """Return the build systems of a directory, the one that is meant first.

    `names` are the files in it, if somebody knows them already. Subdirectories are not looked at.
    """
    if names is None:
        try:
            names = {entry.name for entry in os.scandir(directory) if entry.is_file()}
        except OSError:
            return ()
    found = [d for spec in SYSTEMS.values() if (d := _detect(spec, directory, names)) is not None]
    # Stable: of equal confidence the earlier row of the table stays first.
    return tuple(sorted(_without_shadowed(found), key=lambda d: -d.confidence))


def _detect(spec: SystemSpec, directory: Path, names: Collection[str]) -> Detection | None:
    confidence, evidence = 0.0, []
    for mark in spec.marks:
        if mark.file in names:
            weight, line = _weigh(mark, directory / mark.file)
            if weight > 0:
                confidence = max(confidence, weight)
                evidence.append(Evidence(mark.file, line))
    if not evidence:
        return None
    return Detection(spec.name, confidence, tuple(dict.fromkeys(evidence)))


def _weigh(mark: Mark, path: Path) -> tuple[float, int]:
    """Return how much a mark counts, and on which line that shows."""
    if mark.test is None and not mark.shows:
        return mark.confidence, 0
    text = _text(path)
    weight = mark.confidence if mark.test is None or mark.test(text) else mark.otherwise
    wanted = mark.shows.lower()
    for number, line in enumerate(text.splitlines(), 1):
        if wanted and wanted in line.lower().replace(" (", "("):
            return weight, number
    return weight, 0


def _without_shadowed(found: list[Detection]) -> list[Detection]:
    """Drop npm where a lock file says that another package manager is used."""
    names = {d.system for d in found}
    if names & {SystemName.YARN, SystemName.PNPM}:
        return [d for d in found if d.system is not SystemName.NPM]
    return found


def facts_of(
    spec: SystemSpec,
    source: Path,
    build: Path,
    which: Callable[[str], str | None] = shutil.which,
) -> frozenset[str]:
    """Return the facts that the steps of a build system ask about."""
    facts = {rule.name for rule in spec.facts if _holds(rule, source)}
    if spec.configured and all((build / name).exists() for name in spec.configured):
        facts.add(CONFIGURED)
    asked = {fact for steps in spec.steps.values() for s in steps for fact in s.needs | s.unless}
    for fact in asked:
        program = fact.removeprefix(tool_fact(""))
        if program != fact and which(program):
            facts.add(fact)
    return frozenset(facts)


def missing_tools(
    spec: SystemSpec, source: Path, which: Callable[[str], str | None] = shutil.which
) -> tuple[tuple[str, ...], ...]:
    """Return the groups of programs of which none is installed."""
    return tuple(
        group
        for group in spec.tools
        if not any(
            (source / name).is_file() if name.startswith("./") else which(name) for name in group
        )
    )


def _holds(rule: FactRule, source: Path) -> bool:
    opened = 0
    for pattern in rule.files:
        plain = not any(c in pattern for c in "*?[")
        for path in (source / pattern,) if plain else sorted(source.glob(pattern)):
            if not path.exists() or path.name.endswith("_test.go"):
                continue
            if rule.test is None:
                return True
            opened += 1
            if opened > _MOST_FILES:
                return False
            if rule.test(_text(path)):
                return True
    return False


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_READ_LIMIT).decode("utf-8", "replace")
    except OSError:
        return ""
