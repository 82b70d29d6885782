"""A lock that no two processes hold: a file that the system unlocks when its holder dies.

Knows nothing of what it protects.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import IO

from cyxmake_common.errors import ConfigError


class FileLock:
    """An exclusive lock on a file, released by the system when its process dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None

    def __repr__(self) -> str:
        return f"<FileLock {self._path.name} {'held' if self._file else 'free'}>"

    def try_acquire(self) -> bool:
        """Take the lock when nobody holds it; raises ConfigError when the file cannot be opened."""
        try:
            file = self._path.open("ab")
        except OSError as error:
            raise ConfigError(
                f"the lock file cannot be opened: {error}", next_step="check the data directory"
            ) from error
        if _lock(file):
            self._file = file
            return True
        file.close()
        return False

    def release(self) -> None:
        """Give the lock back, if held."""
        if self._file is not None:
            _unlock(self._file)
            self._file.close()
            self._file = None

    def __enter__(self) -> FileLock:
        while self._file is None and not self.try_acquire():
            time.sleep(0.02)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> bool:
        try:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
