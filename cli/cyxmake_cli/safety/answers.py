"""Answers "always" that a person gave, by project; kept with the user's settings.

Knows nothing of acts. They do not stand in the project: a repository that somebody cloned could
otherwise bring its own permissions.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from cyxmake_cli import config
from cyxmake_common.errors import ConfigError


class Answers:
    """What is always allowed in a project."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or config.config_directory() / "permissions.json"

    def __repr__(self) -> str:
        return f"<Answers {self._path}>"

    def of(self, project: str) -> frozenset[str]:
        """Return the keys of what is always allowed in a project; raises ConfigError."""
        return frozenset(self._read().get(project, ()))

    def all(self) -> dict[str, list[str]]:
        """Return everything, by project; raises ConfigError."""
        return self._read()

    def add(self, project: str, key: str) -> None:
        """Allow a key in a project from now on; raises ConfigError."""
        found = self._read()
        found[project] = sorted({*found.get(project, ()), key})
        self._write(found)

    def forget(self, project: str, key: str | None = None) -> bool:
        """Ask again from now on; tells whether there was anything. Raises ConfigError."""
        found = self._read()
        kept = [] if key is None else [k for k in found.get(project, ()) if k != key]
        if kept == found.get(project, []):
            return False
        found[project] = kept
        self._write({p: keys for p, keys in found.items() if keys})
        return True

    def _read(self) -> dict[str, list[str]]:
        try:
            found = json.loads(self._path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"cannot read {self._path}: {error}", next_step="correct or remove that file"
            ) from error
        if not isinstance(found, dict):
            raise ConfigError(f"{self._path} holds no answers", next_step="remove that file")
        return {
            str(project): [str(key) for key in keys]
            for project, keys in found.items()
            if isinstance(keys, list)
        }

    def _write(self, found: dict[str, list[str]]) -> None:
        scratch = self._path.with_suffix(f".{os.getpid()}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            scratch.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
            scratch.chmod(0o600)
            scratch.replace(self._path)
        except OSError as error:
            scratch.unlink(missing_ok=True)
            raise ConfigError(f"cannot write {self._path}: {error}") from error
