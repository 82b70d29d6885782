"""From missing names to packages that are known to exist, on this machine.

Builds the distribution's list of files on first need; where there is none, the package manager is
asked about each name. Knows no fix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from cyxmake_cli.knowledge.advice import system_manager
from cyxmake_cli.knowledge.contents import (
    ContentsIndex,
    IndexUnavailable,
    build_index,
    open_index,
)
from cyxmake_cli.knowledge.names import Candidate, Manager, Name, NameKind
from cyxmake_cli.knowledge.resolve import resolve
from cyxmake_cli.tools.installing import exists
from cyxmake_cli.tools.packages import MANAGERS
from cyxmake_common.errors import CyxError

_LANGUAGES: Final = {
    NameKind.PYTHON: Manager.PIP,
    NameKind.NODE: Manager.NPM,
    NameKind.RUST: Manager.CARGO,
    NameKind.GO: Manager.GO,
    NameKind.JAVA: Manager.MAVEN,
}


class Resolving:
    """A resolver that remembers what it has asked."""

    def __init__(
        self, cache: Path, cwd: Path, say: Callable[[str], None], *, fetch: bool = True
    ) -> None:
        self._cache = cache
        self._cwd = cwd
        self._say = say
        self._index: ContentsIndex | None = None
        self._fetch = fetch
        self._tried = False
        self._known: dict[Name, list[Candidate]] = {}

    def __repr__(self) -> str:
        return f"<Resolving {len(self._known)} names>"

    def __call__(self, name: Name) -> list[Candidate]:
        """Return packages that may have what a name stands for, those of the system verified."""
        if name not in self._known:
            self._known[name] = self._find(name)
        return self._known[name]

    def close(self) -> None:
        """Let go of the index."""
        if self._index is not None:
            self._index.close()

    def _find(self, name: Name) -> list[Candidate]:
        found: list[Candidate] = []
        if language := _LANGUAGES.get(name.kind):
            found += resolve(name, language)
        system = system_manager()
        if system is not None:
            index = self._open() if system is Manager.APT else None
            found += [c for c in map(self._checked, resolve(name, system, index)) if c.verified]
        return found

    def _checked(self, candidate: Candidate) -> Candidate:
        """Ask the package manager about what no index has confirmed."""
        if candidate.verified:
            return candidate
        try:
            there = exists(MANAGERS[candidate.manager.value], candidate.package, self._cwd)
        except (CyxError, KeyError):
            there = False
        return replace(candidate, verified=there)

    def _open(self) -> ContentsIndex | None:
        if self._index is None and not self._tried:
            self._tried = True
            self._index = open_index(self._cache)
            if self._index is None and self._fetch:
                self._say("cyxmake: fetching the list of what packages hold, once")
                try:
                    self._index = build_index(self._cache)
                except (IndexUnavailable, OSError) as error:
                    self._say(f"cyxmake: {error}")
        return self._index
