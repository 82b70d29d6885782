"""What is said of a build system: marks, facts, steps and words. Data types only.

Knows no build system (see table), touches no file and runs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class SystemName(StrEnum):
    """Build systems that CyxMake can drive."""

    CMAKE = "cmake"
    MESON = "meson"
    AUTOTOOLS = "autotools"
    BAZEL = "bazel"
    SCONS = "scons"
    CARGO = "cargo"
    GO = "go"
    MAVEN = "maven"
    GRADLE = "gradle"
    PNPM = "pnpm"
    YARN = "yarn"
    NPM = "npm"
    PYTHON = "python"
    NINJA = "ninja"
    MAKE = "make"


class Verb(StrEnum):
    """What a build system can be asked to do."""

    CONFIGURE = "configure"
    BUILD = "build"
    TEST = "test"
    CLEAN = "clean"
    INSTALL = "install"


class BuildType(StrEnum):
    """How a program is to be built, in the words of CMake; each system has its own for it."""

    DEBUG = "debug"
    RELEASE = "release"
    RELEASE_DEBUG = "relwithdebinfo"
    SMALL = "minsizerel"


class Place(StrEnum):
    """Where a step is run."""

    SOURCE = "source"
    BUILD = "build"


@dataclass(frozen=True, slots=True)
class Mark:
    """A file that speaks for a build system.

    `test` looks at its text and tells whether it speaks with `confidence`; where it does not, the
    mark counts `otherwise` (0: not at all). `line` is found by the first line that holds `shows`.
    """

    file: str
    confidence: float
    shows: str = ""
    test: Callable[[str], bool] | None = None
    otherwise: float = 0.0


@dataclass(frozen=True, slots=True)
class FactRule:
    """A fact that steps depend on: one of `files` (globs below the source) exists and passes."""

    name: str
    files: tuple[str, ...]
    test: Callable[[str], bool] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a verb; it is run when every fact of `needs` holds and none of `unless`.

    Words in braces are filled in by `plan`: {source}, {build}, {prefix} inside of a word; {type},
    {jobs}, {targets}, {options}, {verbose} as whole words that become any number of words.
    A step with `each` is run once for every target, as {target}.
    """

    argv: tuple[str, ...]
    needs: frozenset[str] = frozenset()
    unless: frozenset[str] = frozenset()
    place: Place = Place.SOURCE
    each: bool = False
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TargetWords:
    """How targets are written: `first`, then `each` for every one, or all `joined` into one word.

    `default` stands there when nobody names a target.
    """

    first: tuple[str, ...] = ()
    each: tuple[str, ...] = ("{target}",)
    joined: str = ""
    default: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SystemSpec:
    """Everything that is known of one build system.

    `tools` are alternatives in groups: one program of each group must be installed. `build_dir` is
    where it builds by default, below the source; empty: among the sources, and no other place can
    be named. `configured` are the files (below the build directory) that say that it has been
    configured; `inputs` (below the source) ask for it anew when they are newer. `artefacts` are
    globs below the build directory, `made` names folders of the source that a build makes itself
    and that nobody need send anywhere. `types` and `targets` None: it has no such notion. `serial`:
    without a number of jobs it does one thing at a time. `test_builds`: its tests bring what they
    test up to date.
    """

    name: SystemName
    title: str
    marks: tuple[Mark, ...]
    tools: tuple[tuple[str, ...], ...]
    steps: dict[Verb, tuple[Step, ...]]
    build_dir: str = ""
    facts: tuple[FactRule, ...] = ()
    configured: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    types: dict[BuildType, tuple[str, ...]] | None = None
    jobs: tuple[str, ...] = ()
    serial: bool = False
    test_builds: bool = True
    verbose: tuple[str, ...] = ()
    targets: TargetWords | None = field(default_factory=TargetWords)
    artefacts: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
