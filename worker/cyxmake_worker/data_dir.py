"""The worker's data directory: its paths, its lock, and how much of the disk it may take.

Knows nothing of what is kept in it. One worker holds the lock, until it closes or dies.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

from cyxmake_common.errors import ConfigError
from cyxmake_worker.host import disk_free_bytes

DEFAULT_LIMIT: Final = 10 << 30
_SMALLEST_LIMIT: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class DataDir:
    """Where everything is, below one private directory."""

    root: Path

    @property
    def cas(self) -> Path:
        """Return the directory of blobs."""
        return self.root / "cas"

    @property
    def run(self) -> Path:
        """Return the directory of what lives no longer than one run: roots, scratch."""
        return self.root / "run"

    @property
    def probes(self) -> Path:
        """Return the file that remembers what was learnt about local programs."""
        return self.root / "probes.json"

    @property
    def toolchains(self) -> Path:
        """Return the directory that remembers captured compilers."""
        return self.root / "toolchains"

    @property
    def proofs(self) -> Path:
        """Return the file that remembers which toolchains compile here as elsewhere."""
        return self.root / "proofs.json"

    @property
    def authorities(self) -> Path:
        """Return the directory of pinned certificates."""
        return self.root / "authorities"

    def prepare(self) -> None:
        """Create the directory, readable by its owner only; raises ConfigError."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"the data directory cannot be used: {error}", next_step="choose one by --data-dir"
            ) from error

    def default_limit(self) -> int:
        """Return the default size of the blob store: 10 GiB, or a quarter of what is free."""
        free = disk_free_bytes(self.root)
        return max(_SMALLEST_LIMIT, min(DEFAULT_LIMIT, free // 4 if free else DEFAULT_LIMIT))


class DirectoryLock:
    """Keeps a second worker out of a data directory; the system releases it when we die."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "worker.lock"
        self._file: IO[bytes] | None = None

    def __repr__(self) -> str:
        return f"<DirectoryLock {self._path} {'held' if self._file else 'free'}>"

    def __enter__(self) -> Self:
        try:
            file = self._path.open("ab")
        except OSError as error:
            raise ConfigError(
                f"the lock file cannot be opened: {error}", next_step="check the data directory"
            ) from error
        if not _lock(file):
            file.close()
            raise ConfigError(
                f"another worker uses the data directory {self._path.parent}",
                next_step="stop it, or give this one its own --name or --data-dir",
            )
        self._file = file
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> bool:
        with contextlib.suppress(OSError):
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            return True
        return False

else:
    import fcntl

    def _lock(file: IO[bytes]) -> bool:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False
