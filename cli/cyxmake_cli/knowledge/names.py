"""What a build asks for by name, and what a package manager may call it.

Knows no index and no machine; `name_of` takes the name out of a diagnosis.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final

from cyxmake_common.diagnosis.model import Category, Diagnosis


class NameKind(StrEnum):
    """What sort of name was asked for."""

    HEADER = "header"
    LIBRARY = "library"
    """As after -l."""
    RUNTIME = "runtime"
    """A shared library by its file name."""
    PKG_CONFIG = "pkg-config"
    CMAKE = "cmake"
    COMMAND = "command"
    MACRO = "macro"
    """An autoconf macro."""
    PYTHON = "python"
    PERL = "perl"
    NODE = "node"
    RUST = "rust"
    GO = "go"
    JAVA = "java"
    SYSTEM = "system"
    """A package by the system manager's own name."""


class Manager(StrEnum):
    """A package manager: of a system, or of a language."""

    APT = "apt"
    DNF = "dnf"
    PACMAN = "pacman"
    APK = "apk"
    ZYPPER = "zypper"
    BREW = "brew"
    VCPKG = "vcpkg"
    CONAN = "conan"
    WINGET = "winget"
    PIP = "pip"
    NPM = "npm"
    CARGO = "cargo"
    GO = "go"
    MAVEN = "maven"


@dataclass(frozen=True, slots=True)
class Name:
    """One thing that a build asked for and did not get."""

    kind: NameKind
    text: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A package that may have what was asked for."""

    manager: Manager
    package: str
    verified: bool
    """An index of the manager has this package; without that nobody may install it unasked."""
    why: str


_MISSING: Final = {
    Category.MISSING_HEADER,
    Category.MISSING_LIBRARY,
    Category.MISSING_PACKAGE_CONFIG,
    Category.MISSING_TOOL,
    Category.MISSING_MODULE,
}
_ECOSYSTEMS: Final = {
    "python": NameKind.PYTHON,
    "perl": NameKind.PERL,
    "node": NameKind.NODE,
    "rust": NameKind.RUST,
    "go": NameKind.GO,
    "java": NameKind.JAVA,
    "system": NameKind.SYSTEM,
}


def name_of(diagnosis: Diagnosis) -> Name | None:
    """Return what a diagnosis says is missing; None where no package can be the answer."""
    facts = diagnosis.facts
    if diagnosis.category not in _MISSING:
        return None
    if facts.header:
        return Name(NameKind.HEADER, facts.header)
    if facts.library:
        if re.search(r"\.so\b", facts.library):
            return Name(NameKind.RUNTIME, PurePosixPath(facts.library).name)
        return Name(NameKind.LIBRARY, facts.library.removeprefix("lib"))
    if facts.package and facts.kind == "m4 macro":
        return Name(NameKind.MACRO, facts.package)
    if facts.package and facts.kind in ("cmake", "cmake target"):
        return Name(NameKind.CMAKE, facts.package.split("::")[0])
    if facts.package:
        return Name(NameKind.PKG_CONFIG, facts.package)
    if facts.command:
        return Name(NameKind.COMMAND, PurePosixPath(facts.command).name)
    kind = _ECOSYSTEMS.get(facts.ecosystem or "")
    return Name(kind, facts.module) if kind and facts.module else None


def in_tree(name: Name, files: Collection[str]) -> list[str]:
    """Return the project's own files that a header's name means: no package has to be found then.

    A name that climbs (`../config.h`) or that the build makes itself (`config.h`) is the project's
    own even where no such file stands yet; it is returned as written.
    """
    if name.kind is not NameKind.HEADER:
        return []
    path = PurePosixPath(name.text)
    wanted = str(PurePosixPath(*[part for part in path.parts if part not in (".", "..")]))
    own = sorted(f for f in files if f == wanted or f.endswith("/" + wanted))
    if not own and (".." in path.parts or path.name in _GENERATED):
        return [name.text]
    return own


_GENERATED: Final = frozenset(
    ("config.h", "version.h", "build.h", "autoconf.h", "buildinfo.h", "git_version.h", "export.h")
)
