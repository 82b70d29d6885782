"""Where the agents of a project are reached: a socket in a folder that only its owner can enter.

Knows nothing of what is said there. One folder for each project, below the user's cache.
"""

from __future__ import annotations

import hashlib
import os
import socket
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_cli import config
from cyxmake_common.errors import ConfigError

SOCKET: Final = "socket"
LOCK: Final = "lock"
LOG: Final = "log"


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one project's agents."""

    path: Path

    @staticmethod
    def of(root: Path) -> Home:
        """Return the folder for a project; nothing is made."""
        name = hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:16]
        return Home(config.cache_directory() / "agents" / name)

    def make(self) -> None:
        """Make the folder; raises ConfigError."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)
            found = self.path.lstat()
        except OSError as error:
            raise ConfigError(f"cannot make {self.path}: {error.strerror}") from error
        if self.path.is_symlink() or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise ConfigError(f"{self.path} is not yours alone", next_step="remove it")

    def connect(self, seconds: float) -> socket.socket:
        """Connect to the agents; raises OSError."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(seconds)
            with chdir(self.path):  # a long path does not fit into a socket's address
                connection.connect(SOCKET)
        except BaseException:
            connection.close()
            raise
        return connection
