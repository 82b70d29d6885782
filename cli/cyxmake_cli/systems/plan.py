"""From a build system's data, the facts of a project and a wish to the commands that fulfil it.

Knows nothing of files and processes: pure functions of their arguments.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterable
from dataclasses import dataclass

from cyxmake_cli.systems.model import BuildType, Place, Step, SystemSpec, TargetWords, Verb
from cyxmake_common.errors import UsageError

CONFIGURED = "configured"
"""The fact that the build directory has been configured before."""

RELAYERED = "relayered"
"""The fact that it was configured with other layers of packages than today's."""


def tool_fact(program: str) -> str:
    """Return the name of the fact that a program is installed."""
    return f"tool:{program}"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of a project; `jobs` 0 leaves the number to the tool."""

    source: str
    build: str
    type: BuildType | None = None
    jobs: int = 0
    targets: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    prefix: str = ""
    verbose: bool = False


@dataclass(frozen=True, slots=True)
class PlannedCommand:
    """One command: run in `cwd`, with these variables beside the usual ones."""

    verb: Verb
    argv: tuple[str, ...]
    cwd: str
    environment: tuple[tuple[str, str], ...] = ()


def commands(
    spec: SystemSpec, verb: Verb, wish: Wish, facts: frozenset[str]
) -> tuple[PlannedCommand, ...]:
    """Return what to run for a verb, in order; raises UsageError for what the system cannot do."""
    _check(spec, wish)
    return tuple(
        _command(spec, verb, step, wish, target)
        for step in spec.steps.get(verb, ())
        if step.needs <= facts and not (step.unless & facts)
        for target in (_targets_of(spec, wish) if step.each else ("",))
    )


def build_directory(spec: SystemSpec, source: str, named: str | None) -> str:
    """Return where a project builds, absolute; raises UsageError where that is not to be chosen."""
    if not named:
        return os.path.normpath(os.path.join(source, spec.build_dir))  # noqa: PTH118 - pure text
    place = os.path.normpath(os.path.join(source, named))  # noqa: PTH118 - pure text
    if not spec.build_dir and place != os.path.normpath(source):
        raise UsageError(
            f"{spec.title} builds among the sources: it cannot build in {named}",
            next_step="leave out --build-dir",
        )
    return place


def _check(spec: SystemSpec, wish: Wish) -> None:
    if wish.type is not None and (spec.types is None or wish.type not in spec.types):
        known = ", ".join(spec.types) if spec.types else "none"
        raise UsageError(
            f"{spec.title} has no build type {wish.type.value!r} (it has: {known})",
            next_step="leave out --type, and say it in the project's own files or with --option",
        )
    if wish.targets and spec.targets is None:
        raise UsageError(
            f"{spec.title} builds as a whole: it has no target {wish.targets[0]!r}",
            next_step="name no target",
        )


def _command(spec: SystemSpec, verb: Verb, step: Step, wish: Wish, target: str) -> PlannedCommand:
    lists = {
        "{type}": (spec.types or {}).get(wish.type, ()) if wish.type else (),
        "{jobs}": tuple(w.replace("{n}", str(wish.jobs)) for w in spec.jobs) if wish.jobs else (),
        "{targets}": target_words(spec.targets, wish.targets) if spec.targets else (),
        "{options}": wish.options,
        "{verbose}": spec.verbose if wish.verbose else (),
    }
    argv: list[str] = []
    for word in step.argv:
        if word in lists:
            argv.extend(lists[word])
        else:
            argv.append(_fill(word, wish, target))
    cwd = wish.source if step.place is Place.SOURCE else wish.build
    environment = tuple((name, _fill(value, wish, target)) for name, value in step.environment)
    return PlannedCommand(verb, tuple(argv), cwd, environment)


def target_words(words: TargetWords, targets: Iterable[str]) -> tuple[str, ...]:
    """Return how targets are written."""
    targets = tuple(targets)
    if not targets:
        return words.default
    if words.joined:
        return (*words.first, words.joined.join(targets))
    return (*words.first, *(w.replace("{target}", t) for t in targets for w in words.each))


def _targets_of(spec: SystemSpec, wish: Wish) -> tuple[str, ...]:
    return wish.targets or (spec.targets.default if spec.targets else ())


def _fill(word: str, wish: Wish, target: str) -> str:
    # One pass: a path that holds braces is not looked at again.
    parts = {
        "{source}": wish.source,
        "{build}": wish.build,
        "{prefix}": wish.prefix,
        "{target}": target,
    }
    result, rest = "", word
    while rest:
        start = rest.find("{")
        if start < 0:
            return result + rest
        result, rest = result + rest[:start], rest[start:]
        name = next((name for name in parts if rest.startswith(name)), "")
        result += parts[name] if name else rest[0]
        rest = rest[len(name) or 1 :]
    return result
