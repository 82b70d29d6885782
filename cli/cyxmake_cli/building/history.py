"""The builds of one project: a record and the output of each, the newest last.

Knows nothing of how they were done. Old ones are dropped when there are too many.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from cyxmake_cli.building.own_folder import OwnFolder
from cyxmake_common.errors import ConfigError

_FOLDER: Final = "builds"
_RECORD: Final = "record.json"
_LOG: Final = "output.log"
_KEPT: Final = 50


@dataclass(frozen=True, slots=True)
class BuildRecord:
    """One build: its id, what is written of it, and its output."""

    id: str
    facts: dict[str, Any]
    log: Path


class OpenBuild:
    """A build under way: what it says goes to `log`, what came of it to `finish`."""

    def __init__(self, own: OwnFolder, id: str, log: BinaryIO | None) -> None:
        self._own = own
        self.id = id
        self.log = log

    def __repr__(self) -> str:
        return f"<OpenBuild {self.id}>"

    def finish(self, facts: dict[str, Any]) -> None:
        """Write the record; a history that cannot be written is no failure of the build."""
        with contextlib.suppress(OSError):
            if self.log is not None:
                self.log.close()
        with contextlib.suppress(ConfigError):
            self._own.write(f"{_FOLDER}/{self.id}/{_RECORD}", {"id": self.id, **facts})


def begin(own: OwnFolder, now: datetime | None = None) -> OpenBuild:
    """Begin a build's record."""
    time = (now or datetime.now(UTC)).strftime("%Y%m%d-%H%M%S")
    id = f"{time}-{os.getpid()}"
    folder = own.path / _FOLDER / id
    try:
        own.write_bytes(f"{_FOLDER}/{id}/{_LOG}", b"")
        _drop_old(folder.parent)
        return OpenBuild(own, id, (folder / _LOG).open("wb"))
    except (ConfigError, OSError):  # what cannot be written to can still be built elsewhere
        return OpenBuild(own, id, None)


def builds(own: OwnFolder) -> list[BuildRecord]:
    """Return the builds, the oldest first."""
    found = []
    for folder in _folders(own.path / _FOLDER):
        try:
            facts = json.loads((folder / _RECORD).read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(facts, dict):
            found.append(BuildRecord(folder.name, facts, folder / _LOG))
    return found


def _drop_old(folder: Path) -> None:
    for old in _folders(folder)[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def _folders(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_dir())
    return []
