"""The folder `.cyxmake` of a project: what CyxMake remembers of it, kept out of version control.

Knows nothing of what is in its files. Everything in it can be lost without harm, except that
`clean` then knows of nothing that it may remove.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

from cyxmake_common.errors import ConfigError

FOLDER: Final = ".cyxmake"
_IGNORE: Final = ".gitignore"


class OwnFolder:
    """The `.cyxmake` of one project; made when something is first written."""

    def __init__(self, source: Path) -> None:
        self.path = source / FOLDER

    def __repr__(self) -> str:
        return f"<OwnFolder {self.path}>"

    def read(self, name: str) -> dict[str, Any]:
        """Return a JSON object; a missing or damaged one is empty."""
        try:
            found = json.loads((self.path / name).read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, name: str, value: object) -> Path:
        """Write JSON in place of what was there; raises ConfigError."""
        text = json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n"
        return self.write_bytes(name, text.encode("utf-8", "surrogateescape"))

    def write_bytes(self, name: str, data: bytes) -> Path:
        """Write a file in place of what was there; raises ConfigError."""
        target = self.path / name
        scratch = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            self._make(target.parent)
            scratch.write_bytes(data)
            scratch.replace(target)
        except OSError as error:
            raise ConfigError(
                f"cannot write {target}: {error.strerror}",
                next_step="make the project's directory writable",
            ) from error
        return target

    def keep_visible(self, name: str) -> None:
        """Let version control see one file of the folder; raises ConfigError."""
        ignore = self.path / _IGNORE
        line = f"!{name}"
        try:
            text = ignore.read_text("utf-8")
            if line not in text.splitlines():
                ignore.write_text(f"{text}{line}\n", "utf-8")
        except OSError as error:
            raise ConfigError(f"cannot write {ignore}: {error.strerror}") from error

    def folder(self, name: str) -> Path:
        """Return a folder below this one, made if need be; raises ConfigError."""
        place = self.path / name
        try:
            self._make(place)
        except OSError as error:
            raise ConfigError(
                f"cannot make {place}: {error.strerror}",
                next_step="make the project's directory writable",
            ) from error
        return place

    def _make(self, folder: Path) -> None:
        if self.path.is_symlink():
            raise ConfigError(
                f"{self.path} is a symbolic link", next_step="remove it: it may lead anywhere"
            )
        folder.mkdir(parents=True, exist_ok=True)
        ignore = self.path / _IGNORE
        if not ignore.exists():
            ignore.write_text("*\n", "utf-8")
