"""Which directories a compile sees behind the names that it is given.

Compilers write a name of the working directory into debug information: PWD where it leads to the
directory they run in, as it does below a symlink, and the real path else. And they search a
directory once, and as a system directory if it is one, by whatever names it is given: where a name
leads through a symlink, the order of the search hangs on it. So both become part of the environment
of a unit, and thus of its key; where no symlink is about, nothing is added.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from cyxmake_cli.strategies.compile_units import CompileUnit
from cyxmake_common.includes.search import SearchDirectories

SEARCH_LINKS: Final = "CYXMAKE_SEARCH_LINKS"
"""The variable that tells where symlinks on the search path lead; no compiler looks at it."""


def with_believed_directory(environ: Mapping[str, str], directory: str) -> dict[str, str]:
    """Return an environment that has PWD only where that is another name than `directory`."""
    result = {name: value for name, value in environ.items() if name != "PWD"}
    named = environ.get("PWD", "")
    try:
        if not named.startswith("/") or not os.path.samefile(named, directory):  # noqa: PTH121
            named = os.path.realpath(directory)
    except OSError:
        named = os.path.realpath(directory)
    if named != directory:
        result["PWD"] = named
    return result


class SearchLinks:
    """Finds the symlinks on search paths; what it found holds until it is cleared."""

    def __init__(self) -> None:
        self._led: dict[tuple[str, str], str | None] = {}

    def clear(self) -> None:
        """Forget everything, because a command may have changed a symlink."""
        self._led.clear()

    def noted(self, unit: CompileUnit) -> CompileUnit:
        """Return a unit whose environment tells where the symlinks on its search path lead."""
        named = SearchDirectories.of(unit.command, unit.directory, (), unit.environment)
        lines = {
            f"{path}\0{target}\n"
            for path in (*named.quote, *named.bracket, *named.system)
            if (target := self._target(path, unit.directory)) is not None
        }
        if not lines:
            return unit
        text = "".join(sorted(lines)).replace(unit.directory, "")
        digest = hashlib.sha256(os.fsencode(text)).hexdigest()
        return replace(unit, environment=tuple(sorted((*unit.environment, (SEARCH_LINKS, digest)))))

    def _target(self, path: str, directory: str) -> str | None:
        key = (path, directory)
        if key not in self._led:
            self._led[key] = _target(path, directory)
        return self._led[key]


def _target(path: str, directory: str) -> str | None:
    """Return where a path leads, from the directory; None where that is what the path says."""
    said = os.path.relpath(path, directory)
    meant = os.path.relpath(os.path.realpath(path), os.path.realpath(directory))
    return None if said == meant else meant
