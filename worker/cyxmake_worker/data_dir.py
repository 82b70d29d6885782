"""The worker's data directory: its paths, its lock, and how much of the disk it may take.

Knows nothing of what is kept in it. One worker holds the lock, until it closes or dies.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_common.errors import ConfigError
from cyxmake_common.file_lock import FileLock
from cyxmake_worker.host import disk_free_bytes

DEFAULT_LIMIT: Final = 10 << 30
LOCK_NAME: Final = "worker.lock"
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


@contextmanager
def occupied(data: DataDir) -> Iterator[None]:
    """Keep a second worker out of a data directory for the time of a block; raises ConfigError."""
    lock = FileLock(data.root / LOCK_NAME)
    if not lock.try_acquire():
        raise ConfigError(
            f"another worker uses the data directory {data.root}",
            next_step="stop it, or give this one its own --name or --data-dir",
        )
    with lock:
        yield
