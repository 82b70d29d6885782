"""Reads and writes `.ninja_log`: which command made each output, when, and how long it took.

Knows nothing of edges and nodes; callers bring the command's hash.

One line per output: start ms, end ms, mtime ns, path, hash in hex, separated by tabs. Later lines
win. Every line is written by one unbuffered write, so a killed build leaves a usable file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from cyxmake_cli.ninja.disk import MISSING, Appender, Disk
from cyxmake_cli.ninja.log_format import FORMATS, LogFormat
from cyxmake_cli.ninja.paths import decode, encode

_HEADER: Final = re.compile(rb"# ninja log v(\d+)\n")
_COMPACT_ABOVE: Final = 100
_COMPACT_RATIO: Final = 3


class LogEntry(NamedTuple):
    """The last successful run that made an output."""

    start_ms: int
    end_ms: int
    mtime: int
    command_hash: int


class BuildLog:
    """All entries of one build directory's log, and the file they are appended to."""

    def __init__(self, disk: Disk, path: str, default: LogFormat) -> None:
        self.entries: dict[str, LogEntry] = {}
        self.format = default
        self.warning = ""
        self._disk = disk
        self._path = path
        self._file: Appender | None = None
        self._writable = False
        self._valid_bytes = 0
        self._size = 0
        self._needs_compaction = False

    def __repr__(self) -> str:
        return f"BuildLog({self._path} v{self.format.version}, {len(self.entries)} entries)"

    @classmethod
    def load(cls, disk: Disk, path: str, default: LogFormat) -> BuildLog:
        """Read a log; a missing one, or one of unknown version, is empty; raises OSError."""
        log = cls(disk, path, default)
        try:
            data = disk.read(path)
        except FileNotFoundError:
            return log
        log._parse(data)
        return log

    def _parse(self, data: bytes) -> None:
        self._size = len(data)
        header = _HEADER.match(data)
        known = FORMATS.get(int(header[1])) if header is not None else None
        if header is None or known is None:
            if data:
                self.warning = "build log version is not known; starting over"
            return
        self.format = known
        # A line without its newline was torn by a kill: it is cut off before the next write.
        self._valid_bytes = data.rfind(b"\n") + 1
        total = 0
        for line in decode(data[header.end() : self._valid_bytes]).split("\n"):
            fields = line.split("\t", 4)
            if len(fields) != 5:
                continue
            try:
                entry = LogEntry(int(fields[0]), int(fields[1]), int(fields[2]), int(fields[4], 16))
            except ValueError:
                continue
            total += 1
            self.entries[fields[3]] = entry
        self._needs_compaction = (
            total > _COMPACT_ABOVE and total > len(self.entries) * _COMPACT_RATIO
        )

    def open_for_write(self, is_dead: Callable[[str], bool]) -> None:
        """Allow recording; rewrite a log that is mostly old lines; raises OSError."""
        self._writable = True
        if self._needs_compaction:
            self.compact(is_dead)
        elif self._valid_bytes < self._size:
            self._disk.truncate(self._path, self._valid_bytes)
            self._size = self._valid_bytes

    def record(self, outputs: Sequence[str], entry: LogEntry) -> None:
        """Remember that a command made these outputs; raises OSError."""
        for path in outputs:
            self.entries[path] = entry
            if self._writable:
                self._open().write(_line(path, entry))

    def suspend(self) -> None:
        """Let go of the file while another program may rewrite it; the next record opens it."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._size = -1

    def close(self) -> None:
        """Close the file; it exists afterwards even when nothing was recorded."""
        if self._writable:
            self._open()
            self.suspend()
            self._writable = False

    def compact(self, is_dead: Callable[[str], bool]) -> None:
        """Rewrite the file with one line per output that is still made or still exists."""
        self.suspend()
        self.entries = {path: entry for path, entry in self.entries.items() if not is_dead(path)}
        temporary = f"{self._path}.recompact"
        lines = [_line(path, entry) for path, entry in self.entries.items()]
        self._disk.write(temporary, b"".join([self._header(), *lines]))
        self._disk.replace(temporary, self._path)
        self._needs_compaction = False
        self._size = -1

    def _header(self) -> bytes:
        return b"# ninja log v%d\n" % self.format.version

    def _open(self) -> Appender:
        if self._file is None:
            is_new = self._size == 0 or self._disk.stat(self._path) == MISSING
            self._file = self._disk.append(self._path)
            if is_new:
                self._file.write(self._header())
                self._size = -1
        return self._file


def _line(path: str, entry: LogEntry) -> bytes:
    start, end, mtime, digest = entry
    return encode(f"{start}\t{end}\t{mtime}\t{path}\t{digest:x}\n")
