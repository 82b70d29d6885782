"""What a new project is to be: language, kind, licence, name. Data types only.

Knows no template and touches no file.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Language(StrEnum):
    """Languages that a project can be made in."""

    C = "c"
    CPP = "c++"
    RUST = "rust"
    PYTHON = "python"
    JAVASCRIPT = "javascript"
    TYPESCRIPT = "typescript"
    GO = "go"
    JAVA = "java"


class Kind(StrEnum):
    """What kind of project it is; of two that a text names equally, the earlier one is meant."""

    LIBRARY = "library"
    GAME = "game"
    GUI = "gui"
    WEB = "web"
    CLI = "cli"
    EXECUTABLE = "executable"


class Licence(StrEnum):
    """Licences whose text comes with the project, by SPDX name."""

    MIT = "MIT"
    APACHE = "Apache-2.0"
    BSD = "BSD-3-Clause"
    GPL = "GPL-3.0-or-later"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a description says; None: it says nothing of it.

    `unknown` are languages and licences that it names and that are not offered: `languages` or
    `licences`, and the word.
    """

    language: Language | None
    kind: Kind | None
    licence: Licence | None
    name: str | None
    unknown: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Spec:
    """A project to be made; `assumed` says what nobody asked for, each with the reason."""

    name: str
    description: str
    language: Language
    kind: Kind
    licence: Licence
    assumed: tuple[str, ...] = ()

    @property
    def identifier(self) -> str:
        """Return the name as languages want it: `word_counter`."""
        return self.name.replace("-", "_")

    @property
    def type_name(self) -> str:
        """Return the name as a type: `WordCounter`."""
        return "".join(part.capitalize() for part in self.name.split("-"))

    def as_json(self) -> dict[str, object]:
        """Return it as the JSON document of `cyxmake create` holds it."""
        return {
            "name": self.name,
            "description": self.description,
            "language": self.language.value,
            "kind": self.kind.value,
            "licence": self.licence.value,
            "assumed": list(self.assumed),
        }
