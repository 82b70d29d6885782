"""What fixes in force mean to a build: variables, options of the configuring tool, jobs.

Pure but for the one context manager, which sets the variables for whatever is run inside. Flags are
translated for each build system here, so that a recipe fits whichever one the next clone uses.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from cyxmake_cli.building.perform import Task
from cyxmake_cli.recovery.fixes import (
    SOURCE,
    AddFlags,
    AddOptions,
    FewerJobs,
    Fix,
    How,
    RunTool,
    SetVariables,
    Variable,
)
from cyxmake_cli.systems.model import SystemName

MAKE_FRAGMENT: Final = "fix.mk"
"""Read after the project's own Makefile; stands in the project's own folder."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """Everything that fixes add to a build."""

    variables: tuple[Variable, ...] = ()
    options: tuple[str, ...] = ()
    compile: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Flags by language: c, c++."""
    link: tuple[str, ...] = ()
    jobs: int = 0

    def __add__(self, other: Overlay) -> Overlay:
        return Overlay(
            (*self.variables, *other.variables),
            tuple(dict.fromkeys((*self.options, *other.options))),
            (*self.compile, *other.compile),
            tuple(dict.fromkeys((*self.link, *other.link))),
            min(self.jobs or other.jobs, other.jobs or self.jobs),
        )

    def flags(self, language: str) -> tuple[str, ...]:
        """Return the flags for compiles of a language."""
        found = (word for name, words in self.compile if name == language for word in words)
        return tuple(dict.fromkeys(found))


def overlay_of(fixes: Iterable[tuple[Fix, tuple[Variable, ...]]]) -> Overlay:
    """Return what fixes add, each with the variables that making it gave."""
    total = Overlay()
    for fix, variables in fixes:
        total += Overlay(variables)
        match fix:
            case SetVariables():
                total += Overlay(fix.variables)
            case AddOptions():
                total += Overlay(options=fix.options)
            case RunTool():
                total += Overlay(fix.variables, fix.options)
            case AddFlags():
                compile_ = tuple((language, fix.compile) for language in fix.languages)
                total += Overlay(compile=compile_, link=fix.link)
            case FewerJobs():
                total += Overlay(jobs=fix.jobs)
            case _:
                pass
    return total


_CMAKE: Final = {"c": "CMAKE_C_FLAGS", "c++": "CMAKE_CXX_FLAGS"}
_CMAKE_LINK: Final = ("CMAKE_C_STANDARD_LIBRARIES", "CMAKE_CXX_STANDARD_LIBRARIES")
_PLAIN: Final = {"c": "CFLAGS", "c++": "CXXFLAGS"}
_MESON: Final = {"c": "-Dc_args", "c++": "-Dcpp_args"}
_MESON_LINK: Final = ("-Dc_link_args", "-Dcpp_link_args")
_FROM_ENVIRONMENT: Final = (
    SystemName.PYTHON, SystemName.CARGO, SystemName.GO, SystemName.NPM, SystemName.YARN,
    SystemName.PNPM,
)  # fmt: skip
"""Systems whose tools read CFLAGS and LDFLAGS when they compile something of C."""


def task_with(
    overlay: Overlay,
    task: Task,
    system: SystemName,
    makefiles: tuple[str, ...],
    environ: Mapping[str, str],
) -> Task:
    """Return a task as fixes want it; make reads `makefiles`, the last one is ours."""
    options = (*task.options, *overlay.options)
    match system:
        case SystemName.CMAKE:
            for language, variable in _CMAKE.items():
                options = _cmake(options, variable, overlay.flags(language),
                                 environ.get(_PLAIN[language], ""))  # fmt: skip
            for variable in _CMAKE_LINK:
                options = _cmake(options, variable, overlay.link, "")
        case SystemName.MESON:
            for language, variable in _MESON.items():
                options = _worded(options, variable, overlay.flags(language))
            for variable in _MESON_LINK:
                options = _worded(options, variable, overlay.link)
        case SystemName.AUTOTOOLS:
            for language, variable in _PLAIN.items():
                flags = overlay.flags(language)
                options = _worded(options, variable, flags, environ.get(variable, "-g -O2"))
            options = _worded(options, "LIBS", overlay.link, environ.get("LIBS", ""))
        case SystemName.MAKE if overlay.compile or overlay.link:
            options = (*(word for name in makefiles for word in ("-f", name)), *options)
        case _:
            pass
    jobs = overlay.jobs and min(task.jobs or overlay.jobs, overlay.jobs)
    return replace(task, options=options, jobs=jobs or task.jobs)


def make_fragment(overlay: Overlay) -> str:
    """Return what make is to read after the project's own Makefile."""
    lines = ["# Written by cyxmake: flags of fixes that are in force. `cyxmake undo` ends them."]
    for language, variable in _PLAIN.items():
        if flags := overlay.flags(language):
            lines.append(f"override {variable} += {_make_words(flags)}")
    if overlay.link:
        words = _make_words(overlay.link)
        lines.extend(f"override {variable} += {words}" for variable in ("LDLIBS", "LIBS"))
    return "\n".join(lines) + "\n"


def variables_for(overlay: Overlay, system: SystemName) -> tuple[Variable, ...]:
    """Return the variables to set, with flags for systems that take them from there."""
    if system not in _FROM_ENVIRONMENT:
        return overlay.variables
    more = [
        Variable(variable, " ".join(flags), How.AFTER)
        for language, variable in _PLAIN.items()
        if (flags := overlay.flags(language))
    ]
    if overlay.link:
        more.append(Variable("LDFLAGS", " ".join(overlay.link), How.AFTER))
    return (*overlay.variables, *more)


def environment_with(
    variables: Iterable[Variable], environ: Mapping[str, str], source: str
) -> dict[str, str | None]:
    """Return what changes in an environment for a project; None: the variable goes."""
    changed: dict[str, str | None] = {}
    for variable in variables:
        name = variable.name
        value = variable.value.replace(SOURCE, source)
        old = (changed[name] if name in changed else environ.get(name)) or ""
        match variable.how:
            case How.SET:
                changed[name] = value
            case How.UNSET:
                changed[name] = None
            case How.BEFORE:
                entries = [e for e in old.split(os.pathsep) if e and e != value]
                changed[name] = os.pathsep.join((value, *entries))
            case How.AFTER:
                changed[name] = f"{old} {value}".strip()
    return changed


@contextmanager
def in_force(variables: Iterable[Variable], source: str) -> Iterator[None]:
    """Set variables for everything that this process looks for and starts meanwhile."""
    changed = environment_with(variables, os.environ, source)
    old = {name: os.environ.get(name) for name in changed}
    _set(changed)
    try:
        yield
    finally:
        _set(old)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _cmake(
    options: tuple[str, ...], variable: str, words: tuple[str, ...], base: str
) -> tuple[str, ...]:
    return _worded(options, f"-D{variable}", words, base)


def _worded(
    options: tuple[str, ...], name: str, words: tuple[str, ...], base: str = ""
) -> tuple[str, ...]:
    """Add words to the option of this name; a value that somebody gave stays before them."""
    if not words:
        return options
    given = [o for o in options if o.startswith((f"{name}=", f"{name}:"))]
    value = given[-1].partition("=")[2] if given else base
    kept = tuple(o for o in options if o not in given)
    return (*kept, f"{name}={' '.join((value, *words)).strip()}")


def _make_words(words: Iterable[str]) -> str:
    return " ".join(word.replace("$", "$$").replace("#", "\\#") for word in words)
