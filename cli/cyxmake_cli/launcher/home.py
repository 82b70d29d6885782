"""Where the launcher keeps its things, and what its environment variables are called.

Knows nothing of what is in the files. Everything is in one folder that only its owner may enter.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_cli import config
from cyxmake_common.errors import ConfigError

MARKER: Final = ".cyxmake-launcher"
"""A folder with this file in it holds stand-ins for compilers; stub.c knows the name too."""

STUB_NAME: Final = "cyxmake-cc"
"""A stub called by such a name takes the compiler from its first argument."""

DISABLE: Final = "CYXMAKE_LAUNCHER_DISABLE"
DEPTH: Final = "CYXMAKE_LAUNCHER_DEPTH"
NO_START: Final = "CYXMAKE_LAUNCHER_NO_START"
IDLE: Final = "CYXMAKE_LAUNCHER_IDLE"
BUILD: Final = "CYXMAKE_BUILD"


@dataclass(frozen=True, slots=True)
class Home:
    """The launcher's folder."""

    path: Path

    @staticmethod
    def of_user() -> Home:
        """Return the folder in the user's cache directory; CYXMAKE_CACHE_DIR moves it."""
        return Home(Path(config.cache_directory()).absolute() / "launcher")

    @property
    def socket(self) -> Path:
        """Return where the agent listens."""
        return self.path / "agent.sock"

    @property
    def lock(self) -> Path:
        """Return the file that the one agent holds locked."""
        return self.path / "agent.lock"

    @property
    def log(self) -> Path:
        """Return where the agent writes its log."""
        return self.path / "agent.log"

    @property
    def masquerade(self) -> Path:
        """Return the default folder of stand-ins."""
        return self.path / "bin"

    def make(self) -> None:
        """Have the folder, closed to others; raises ConfigError."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700, exist_ok=True)
            self.path.chmod(0o700)
        except OSError as error:
            raise ConfigError(f"cannot use {self.path}: {error.strerror}") from error


def short_digest(*parts: bytes) -> str:
    """Return a name for some bytes."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:16]
