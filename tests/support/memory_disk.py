"""A disk in memory with a clock that ticks once per write.

Knows nothing of graphs; stands in for `cyxmake_cli.ninja.disk.Disk`.
"""

from __future__ import annotations

from collections.abc import Mapping


class MemoryDisk:
    """Files by path, each with content and mtime."""

    def __init__(self, files: Mapping[str, str | bytes] | None = None) -> None:
        self.files: dict[str, bytes] = {}
        self.mtimes: dict[str, int] = {}
        self.made: set[str] = set()
        self.unreadable: set[str] = set()
        self.now = 1_000_000_000
        for path, content in (files or {}).items():
            self.put(path, content)

    def __repr__(self) -> str:
        return f"MemoryDisk({len(self.files)} files, now={self.now})"

    def tick(self) -> int:
        """Let a moment pass and return the new time."""
        self.now += 1000
        return self.now

    def put(self, path: str, content: str | bytes = b"", mtime: int | None = None) -> None:
        """Create or change a file, now or at a given time."""
        self.files[path] = content.encode() if isinstance(content, str) else content
        self.mtimes[path] = self.tick() if mtime is None else mtime

    def stat(self, path: str) -> int:
        """Return the mtime, 0 for a missing file, -1 for one that was made unreadable."""
        return -1 if path in self.unreadable else self.mtimes.get(path, 0)

    def read(self, path: str) -> bytes:
        """Return a file's bytes."""
        if path in self.unreadable:
            raise PermissionError(13, "Permission denied", path)
        if path not in self.files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.files[path]

    def write(self, path: str, data: bytes) -> None:
        """Replace a file's content."""
        self.put(path, data)

    def mkdirs(self, path: str) -> None:
        """Remember that the directories above a path were asked for."""
        self.made.add(path.rpartition("/")[0])

    def remove(self, path: str) -> bool:
        """Remove a file; False when there was none."""
        self.mtimes.pop(path, None)
        return self.files.pop(path, None) is not None

    def append(self, path: str) -> _Appender:
        """Open a file for appending."""
        if path not in self.files:
            self.put(path)
        return _Appender(self, path)

    def truncate(self, path: str, size: int) -> None:
        """Cut a file to a size."""
        self.put(path, self.read(path)[:size])

    def replace(self, source: str, target: str) -> None:
        """Rename a file over another."""
        self.put(target, self.read(source), self.mtimes[source])
        self.remove(source)


class _Appender:
    def __init__(self, disk: MemoryDisk, path: str) -> None:
        self._disk = disk
        self._path = path

    def write(self, data: bytes, /) -> int:
        self._disk.put(self._path, self._disk.read(self._path) + data)
        return len(data)

    def close(self) -> None:
        pass
