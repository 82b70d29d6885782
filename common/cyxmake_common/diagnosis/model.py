"""What a diagnosis is: a category, typed facts, how sure it is and where it was read.

Knows nothing of how it was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Category(StrEnum):
    """What kind of cause stands behind a failure; each asks for another kind of fix."""

    MISSING_HEADER = "missing_header"
    MISSING_LIBRARY = "missing_library"
    MISSING_PACKAGE_CONFIG = "missing_package_config"
    """A pkg-config, CMake or Meson dependency cannot be found."""
    MISSING_TOOL = "missing_tool"
    MISSING_MODULE = "missing_module"
    """A module or package of a language's own ecosystem; `ecosystem` says which."""
    VERSION_MISMATCH = "version_mismatch"
    ARCH_MISMATCH = "arch_mismatch"
    DEPENDENCY_CONFLICT = "dependency_conflict"
    UNSUPPORTED_OPTION = "unsupported_option"
    """A tool does not know an option it was given."""
    OUT_OF_MEMORY = "out_of_memory"
    DISK_FULL = "disk_full"
    PERMISSION_DENIED = "permission_denied"
    NETWORK_FAILURE = "network_failure"
    TIMEOUT = "timeout"
    RESOURCE_BUSY = "resource_busy"
    """Another process holds a lock, a port or a file."""
    LIMIT_EXCEEDED = "limit_exceeded"
    """A limit of the operating system: open files, processes, lengths of names and arguments."""
    CLOCK_SKEW = "clock_skew"
    WORKER_FAULT = "worker_fault"
    """The machine itself is broken: an input or output error, a missing mount."""
    TOOL_CRASH = "tool_crash"
    MISSING_INPUT = "missing_input"
    """A source, a generated file, a submodule, an output directory or a target is not there."""
    BUILD_SCRIPT_ERROR = "build_script_error"
    UNDEFINED_SYMBOL = "undefined_symbol"
    DUPLICATE_SYMBOL = "duplicate_symbol"
    CODE_ERROR = "code_error"
    WARNING_AS_ERROR = "warning_as_error"
    TEST_FAILURE = "test_failure"


class Phase(StrEnum):
    """The part of a build in which it failed."""

    FETCH = "fetch"
    CONFIGURE = "configure"
    COMPILE = "compile"
    LINK = "link"
    TEST = "test"
    PACKAGE = "package"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a cause; a field that the output did not name is None."""

    header: str | None = None
    library: str | None = None
    package: str | None = None
    module: str | None = None
    command: str | None = None
    symbol: str | None = None
    option: str | None = None
    file: str | None = None
    line: int | None = None
    path: str | None = None
    host: str | None = None
    target: str | None = None
    variable: str | None = None
    program: str | None = None
    subject: str | None = None
    """What has the wrong version: a tool, a library, a language standard."""
    wanted: str | None = None
    found: str | None = None
    ecosystem: str | None = None
    kind: str | None = None
    """What sort of thing is meant where a category has several; each rule says."""
    message: str | None = None

    def known(self) -> dict[str, str | int]:
        """Return the facts that are there, by name."""
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: value for name, value in values if value is not None}


FACT_NAMES: Final = tuple(f.name for f in fields(Facts))

IDENTITY: Final[Mapping[Category, tuple[str, ...]]] = MappingProxyType(
    {
        Category.MISSING_HEADER: ("header",),
        Category.MISSING_LIBRARY: ("library",),
        Category.MISSING_PACKAGE_CONFIG: ("package",),
        Category.MISSING_TOOL: ("command",),
        Category.MISSING_MODULE: ("ecosystem", "module"),
        Category.VERSION_MISMATCH: ("subject", "wanted"),
        Category.ARCH_MISMATCH: ("kind", "library"),
        Category.DEPENDENCY_CONFLICT: ("ecosystem", "package"),
        Category.UNSUPPORTED_OPTION: ("option",),
        Category.NETWORK_FAILURE: ("kind", "host"),
        Category.LIMIT_EXCEEDED: ("kind",),
        Category.RESOURCE_BUSY: ("kind",),
        Category.DISK_FULL: ("kind",),
        Category.OUT_OF_MEMORY: ("kind",),
        Category.CLOCK_SKEW: ("kind",),
        Category.UNDEFINED_SYMBOL: ("symbol",),
        Category.DUPLICATE_SYMBOL: ("symbol",),
        Category.WARNING_AS_ERROR: ("option",),
    }
)
"""Facts that make two diagnoses the same cause; without one of them the message decides."""


@dataclass(frozen=True, slots=True)
class LogInput:
    """What a failed command left behind."""

    text: str
    exit_status: int | None = None
    """As a shell has it, above 128 for a signal, or minus the signal, as `execution.process`."""
    tool: str = ""
    """Base name of the program, where the caller knows it."""
    phase: Phase | None = None


@dataclass(frozen=True, slots=True)
class FixIt:
    """What a tool proposes to write into a file: columns from 1, the end not included."""

    file: str
    start: tuple[int, int]
    """Line and column."""
    end: tuple[int, int]
    text: str
    certain: bool = True
    """The tool says that applying it cannot change what was meant."""


SUGGESTED: Final = "model:"
"""Begins the `rule` of a cause that no rule found."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One cause, as read from output."""

    category: Category
    facts: Facts
    confidence: float
    rule: str
    fingerprint: str
    """The same for the same cause on every machine, path and line."""
    lines: tuple[int, ...] = ()
    """Line numbers of the evidence, from 1; empty when only the exit status spoke."""
    evidence: str = ""
    phase: Phase | None = None
    count: int = 1
    """How often the output says so."""
    fixits: tuple[FixIt, ...] = ()
    """What the tool itself proposes to write at this place."""

    @property
    def suggested(self) -> bool:
        """Tell whether only a language model says so: it is shown, not acted upon unasked."""
        return self.rule.startswith(SUGGESTED)
