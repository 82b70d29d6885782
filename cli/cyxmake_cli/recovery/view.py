"""What candidates may know of a project: its files, version control, programs, and the resolver.

Looks and never changes anything. Paths are relative to the project, with `/`; a path that leads out
of the project is never returned.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import Final

from cyxmake_cli.building.project import LocalProject
from cyxmake_cli.git import git
from cyxmake_cli.knowledge.names import Candidate, Manager, Name, in_tree
from cyxmake_cli.layers.record import LayerRecord
from cyxmake_cli.systems.model import SystemName
from cyxmake_common.errors import ConfigError

_SKIPPED: Final = frozenset(
    (".git", ".hg", ".svn", ".jj", ".cyxmake", "node_modules", "__pycache__", ".venv", ".tox")
)
_MOST_FILES: Final = 50_000
_MOST_TEXT: Final = 4 << 20

Resolver = Callable[[Name], list[Candidate]]
"""Packages that may have what a name stands for, of this system and verified, or of a language."""


class View:
    """One project as it stands now."""

    def __init__(self, project: LocalProject, jobs: int, resolver: Resolver, log: str = "") -> None:
        self._project = project
        self._source = project.source
        self._resolver = resolver
        self.jobs = jobs
        """How many run at a time."""
        self.log = log
        """What the failed command said, all of it."""

    def __repr__(self) -> str:
        return f"<View {self._source}>"

    @property
    def system(self) -> SystemName:
        """Return the build system."""
        return self._project.spec.name

    @property
    def source(self) -> str:
        """Return the absolute path of the project."""
        return str(self._source)

    @property
    def build(self) -> str:
        """Return the absolute path of the build directory."""
        return str(self._project.build)

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Return the project's files; without the build directory and what is not the project's."""
        found: list[str] = []
        build = str(self._project.build)
        for folder, folders, names in os.walk(self._source):
            folders[:] = sorted(
                f for f in folders
                if f not in _SKIPPED and (os.path.join(folder, f) != build)  # noqa: PTH118
            )  # fmt: skip
            below = os.path.relpath(folder, self._source)
            found.extend(n if below == "." else f"{below}/{n}" for n in sorted(names))
            if len(found) > _MOST_FILES:
                break
        return tuple(found)

    @cached_property
    def tracked(self) -> frozenset[str]:
        """Return what version control has, whether the work tree has it or not."""
        found = git(self._source, "ls-tree", "-r", "-z", "--name-only", "HEAD")
        names = (os.fsdecode(name) for name in (found or b"").split(b"\0") if name)
        return frozenset(names)

    def text(self, path: str) -> str | None:
        """Return the text of a file of the project."""
        try:
            place = self._source / path
            if place.stat().st_size > _MOST_TEXT:
                return None
            return place.read_bytes().decode("utf-8", "surrogateescape")
        except OSError:
            return None

    def lines(self, path: str) -> list[str]:
        """Return the lines of a file without their ends; none where it cannot be read."""
        text = self.text(path)
        return [] if text is None else text.split("\n")

    def place_of(self, named: str | None) -> str | None:
        """Return the project's own file that a tool named, however it wrote it."""
        if not named:
            return None
        if os.path.isabs(named):  # noqa: PTH117
            below = self._below(named)
            return below if below and (self._source / below).exists() else None
        for base in (self._source, self._project.build):
            below = self._below(os.path.join(base, named))  # noqa: PTH118
            if below and (self._source / below).is_file():
                return below
        wanted = os.path.normpath(named).lstrip("./")
        found = [f for f in self.files if f == wanted or f.endswith(f"/{wanted}")]
        return found[0] if len(found) == 1 else None

    def gone(self, named: str | None) -> str | None:
        """Return the path of a file that version control has and the work tree lacks."""
        if not named:
            return None
        below = self._below(os.path.join(self._source, named)) or named  # noqa: PTH118
        wanted = os.path.normpath(below)
        while wanted.startswith("../"):
            wanted = wanted[3:]
        found = sorted(t for t in self.tracked if t == wanted or t.endswith(f"/{wanted}"))
        lacking = [t for t in found if not os.path.lexists(self._source / t)]
        return lacking[0] if len(lacking) == 1 or wanted in lacking else None

    def exists(self, path: str) -> bool:
        """Tell whether something stands at a path, absolute or of the project."""
        return os.path.lexists(os.path.join(self._source, path))  # noqa: PTH118

    def inside(self, path: str) -> str | None:
        """Return a path as one of the project, if it is."""
        return self._below(os.path.join(self._source, path))  # noqa: PTH118

    def which(self, program: str) -> str | None:
        """Return where a program is."""
        return shutil.which(program)

    def variable(self, name: str) -> str | None:
        """Return a variable of the environment."""
        return os.environ.get(name)

    def packages(self, name: Name) -> list[Candidate]:
        """Return packages that may have what is missing; none for the project's own headers."""
        return [] if in_tree(name, self.files) else self._resolver(name)

    @cached_property
    def layered(self) -> frozenset[str]:
        """Return the packages that the project has as layers already."""
        with suppress(ConfigError):
            record = LayerRecord(self._source).read()
            return frozenset(p for plan in record for p in plan.wanted)
        return frozenset()

    def makefiles(self) -> tuple[str, ...]:
        """Return the Makefile that make would read, if there is one."""
        return tuple(n for n in ("GNUmakefile", "makefile", "Makefile") if self.exists(n))[:1]

    def _below(self, path: str) -> str | None:
        """Return an absolute path relative to the project; None: it is not below it."""
        normal = os.path.normpath(path)
        root = str(self._source)
        if normal != root and not normal.startswith(root + os.sep):
            return None
        real = os.path.realpath(normal)
        if not (real + os.sep).startswith(os.path.realpath(root) + os.sep):
            return None
        return os.path.relpath(normal, root).replace(os.sep, "/")


def system_candidates(candidates: list[Candidate]) -> list[Candidate]:
    """Return the packages of the system's own manager that are known to exist."""
    languages = (Manager.PIP, Manager.NPM, Manager.CARGO, Manager.GO, Manager.MAVEN)
    return [c for c in candidates if c.manager not in languages and c.verified]
