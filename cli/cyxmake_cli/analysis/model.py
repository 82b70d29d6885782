"""What an analysis says of a repository: plain values, each with the place that shows it.

Knows nothing of how it is found out. Their fields are the keys of `.cyxmake/cache.json`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Language:
    """A programming language, and how much of it there is."""

    name: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Component:
    """A directory with a build system of its own; `others` could build it as well."""

    directory: str
    system: str
    confidence: float
    evidence: tuple[Json, ...]
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """Something that a build system can be told to make or run."""

    name: str
    kind: str
    file: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something of others that a project needs; `installed` None: cannot be told here.

    `kind` is run, build, dev or optional; `requirement` is written as its ecosystem does.
    """

    name: str
    ecosystem: str
    file: str
    line: int = 0
    requirement: str = ""
    kind: str = "run"
    installed: bool | None = None
    version: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """A version that a project asks for of a tool or a language."""

    tool: str
    version: str
    file: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Hint:
    """A command that a README or a CI file shows."""

    command: str
    source: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything that is known of a repository."""

    name: str
    project_version: str
    description: str
    files: int
    bytes: int
    languages: tuple[Language, ...]
    components: tuple[Component, ...]
    targets: tuple[Target, ...]
    dependencies: tuple[Dependency, ...]
    versions: tuple[Version, ...]
    hints: tuple[Hint, ...]
    git: Json | None
    fingerprint: Json = field(default_factory=dict)
