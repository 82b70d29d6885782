"""Files that a build made and left in the cluster: what they are, as a record in the build folder.

Knows nothing of clusters and graphs. For a file that is not here the record says which mtime it
would have, so that a build without work stays one. A record counts only while the build log still
has the line that was written when the file was made, and while the build at hand lets the file be
away: everything else is a missing file, whose edge runs again. Plain ninja does not know the record
and makes what it does not find.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgpack

from cyxmake_cli.settings import Download
from cyxmake_common.digest import Digest

RECORD: Final = ".cyxmake_away"
_VERSION: Final = 1

LogLine = tuple[int, int, int, int]
"""Start, end, mtime, hash of the command: as the build log has them."""


@dataclass(frozen=True, slots=True)
class AwayFile:
    """One file in the cluster: `name` is its path in the graph, `logged` its line in the log."""

    digest: Digest
    executable: bool
    mtime: int
    name: str = ""
    logged: LogLine | None = None


class AwayFiles:
    """The files of one build directory that are in the cluster only; paths may be relative to it.

    `allowed` names what may be away in this build.
    """

    def __init__(self, directory: str, files: Mapping[str, AwayFile] | None = None) -> None:
        self._directory = directory
        self._files = dict(files or {})
        self._allowed: frozenset[str] = frozenset()
        self._changed = False

    def __repr__(self) -> str:
        return f"<AwayFiles {self._directory} {len(self._files)} away>"

    @staticmethod
    def load(directory: str) -> AwayFiles:
        """Read the record; a missing or damaged one is empty."""
        try:
            data = Path(directory, RECORD).read_bytes()
            version, rows = msgpack.unpackb(data, use_list=False, unicode_errors="surrogateescape")
            if version != _VERSION:
                return AwayFiles(directory)
            files = {
                path: AwayFile(Digest.parse(digest), executable, mtime, name, logged)
                for path, digest, executable, mtime, name, logged in rows
            }
        except (OSError, ValueError, TypeError, msgpack.UnpackException):
            return AwayFiles(directory)
        return AwayFiles(directory, files)

    def save(self) -> None:
        """Write the record where something changed; without anything away there is none."""
        if not self._changed:
            return
        path = Path(self._directory, RECORD)
        rows = [
            (where, str(f.digest), f.executable, f.mtime, f.name, f.logged)
            for where, f in self._files.items()
            if f.logged is not None
        ]
        with contextlib.suppress(OSError):  # without it files are missing, and made again
            if not rows:
                path.unlink(missing_ok=True)
                return
            temporary = path.with_name(f"{RECORD}.{os.getpid()}")
            data: bytes = msgpack.packb((_VERSION, rows), unicode_errors="surrogateescape")
            temporary.write_bytes(data)
            temporary.replace(path)

    def allow(self, names: Iterable[str]) -> None:
        """Let these files be away in this build, and no others."""
        self._allowed = frozenset(map(self.at, names))

    def keep_logged(self, lines: Mapping[str, LogLine]) -> None:
        """Forget what the build log does not know, or knows otherwise by now."""
        self.lose(path for path, f in self._files.items() if lines.get(f.name) != f.logged)

    def __bool__(self) -> bool:
        return bool(self._files)

    def get(self, path: str) -> AwayFile | None:
        """Return what is known of a file that is away, and may be."""
        if not self._files:
            return None
        where = self.at(path)
        return self._files.get(where) if where in self._allowed else None

    def files(self) -> dict[str, AwayFile]:
        """Return all files that are away and may be, by absolute path."""
        return {path: f for path, f in self._files.items() if path in self._allowed}

    def all(self) -> tuple[str, ...]:
        """Return the absolute paths of all files that are away, as far as is known."""
        return tuple(self._files)

    def mtime(self, path: str) -> int:
        """Return the mtime of a file that is away and may be; 0: it is missing."""
        found = self.get(path)
        return found.mtime if found is not None else 0

    def may_stay(self, path: str) -> bool:
        """Tell whether a new output need not come home."""
        return bool(self._allowed) and self.at(path) in self._allowed

    def stays(self, path: str, digest: Digest, *, executable: bool) -> None:
        """Note a new file that stays away, in place of one that may be here; raises OSError."""
        where = self.at(path)
        Path(where).unlink(missing_ok=True)
        self._files[where] = AwayFile(digest, executable, _now(os.path.dirname(where)))  # noqa: PTH120
        self._changed = True

    def logged(self, name: str, line: LogLine) -> None:
        """Note under which line of the build log an output stands."""
        where = self.at(name)
        if (found := self._files.get(where)) is not None:
            self._files[where] = replace(found, name=name, logged=line)
            self._changed = True

    def drop(self, path: str) -> None:
        """Note that a file is here now, or is to be made anew."""
        if self._files.pop(self.at(path), None) is not None:
            self._changed = True

    def lose(self, paths: Iterable[str]) -> None:
        """Note that files are in the cluster no longer."""
        for path in tuple(paths):
            self.drop(path)

    def at(self, path: str) -> str:
        """Return a path of the graph as an absolute one."""
        return os.path.normpath(os.path.join(self._directory, path))  # noqa: PTH118 - as spelled


def allowed(mode: Download, outputs: Collection[str], wanted: Collection[str]) -> frozenset[str]:
    """Return which outputs may be away; `wanted` are those of the targets."""
    match mode:
        case Download.ALL:
            return frozenset()
        case Download.TOPLEVEL:
            return frozenset(outputs) - frozenset(wanted)
        case Download.MINIMAL:
            return frozenset(outputs)


def _now(folder: str) -> int:
    """Return the time as the file system has it: other files are compared with this one."""
    import tempfile  # not needed by a build without work

    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"\0")
        file.flush()
        return os.fstat(file.fileno()).st_mtime_ns
