"""The coordinator's data directory: its paths, its lock, and the small files that tell who serves.

Knows nothing of what is in the stores. One server holds the lock; the command line finds it through
the files `address` and `pid`, which mean something only while the lock is held.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cyxmake_common.errors import ConfigError
from cyxmake_common.file_lock import FileLock


@dataclass(frozen=True, slots=True)
class DataDir:
    """Where everything is, below one private directory."""

    root: Path

    @property
    def database(self) -> Path:
        """Return the file of tokens."""
        return self.root / "coordinator.db"

    @property
    def action_cache(self) -> Path:
        """Return the file of the action cache; apart, so that token changes stay easy to notice."""
        return self.root / "action-cache.db"

    @property
    def cas(self) -> Path:
        """Return the directory of blobs."""
        return self.root / "cas"

    @property
    def tls(self) -> Path:
        """Return the directory of the certificate authority and the server's certificate."""
        return self.root / "tls"

    @property
    def log(self) -> Path:
        """Return the log of a server in the background."""
        return self.root / "coordinator.log"

    @property
    def admin_token(self) -> Path:
        """Return the file of the token that the command line on this machine uses."""
        return self.root / "admin.token"

    @property
    def embedded(self) -> Path:
        """Return the file that a cluster inside a build leaves for its other programs."""
        return self.root / "embedded.json"

    @property
    def stop_wish(self) -> Path:
        """Return the file that asks a server to stop, where signals cannot."""
        return self.root / "stop"

    def prepare(self) -> None:
        """Create the directory, readable by its owner only; raises ConfigError."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if sys.platform != "win32":
                self.root.chmod(0o700)
        except OSError as error:
            raise ConfigError(
                f"the data directory cannot be used: {error}", next_step="choose one by --data-dir"
            ) from error

    def lock(self) -> FileLock:
        """Return the lock that a server holds while it runs."""
        return FileLock(self.root / "coordinator.lock")

    def setup_lock(self) -> FileLock:
        """Return the lock around the first creation of keys, so that two programs make one set."""
        return FileLock(self.root / "setup.lock")

    def served(self) -> bool:
        """Tell whether a server runs on this directory now."""
        if not self.root.is_dir():
            return False
        lock = self.lock()
        if not lock.try_acquire():
            return True
        lock.release()
        return False

    def read_address(self) -> str:
        """Return the running server's address, or the empty string."""
        return self._read("address") if self.served() else ""

    def read_pid(self) -> int:
        """Return the running server's process id, or 0."""
        text = self._read("pid") if self.served() else ""
        return int(text) if text.isdigit() else 0

    def _read(self, name: str) -> str:
        with contextlib.suppress(OSError):
            return (self.root / name).read_text("ascii").strip()
        return ""

    @contextlib.contextmanager
    def announce(self, address: str) -> Iterator[None]:
        """Leave address and process id for other programs; the caller holds the lock."""
        files = {"address": address, "pid": str(os.getpid())}
        for name, text in files.items():
            write_private(self.root / name, text + "\n")
        try:
            yield
        finally:
            for name in files:
                (self.root / name).unlink(missing_ok=True)


def write_private(path: Path, text: str) -> None:
    """Replace a file by one that only its owner can read, never half written."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)
