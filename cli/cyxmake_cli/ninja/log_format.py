"""What differs between the ninja releases whose logs we share: hash, mtimes, missing headers.

Knows nothing of files. One row per build log version; the version in the log decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cyxmake_cli.ninja.hashing import murmur64a, rapidhash
from cyxmake_cli.ninja.paths import encode

_VERSION: Final = re.compile(r"(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class LogFormat:
    """One build log version and the behaviour of the releases that write it."""

    version: int
    digest: Callable[[bytes], int]
    marks_start: bool
    """Records when the command started, not the newest output; restat trusts only the log."""

    sources_may_vanish: bool
    """A missing source that a depfile mentions makes dirty instead of stopping the build."""

    def hash_command(self, command: str) -> int:
        """Return the hash that the log keeps of a command with its response file."""
        return self.digest(encode(command))


FORMATS: Final = {
    5: LogFormat(5, murmur64a, marks_start=False, sources_may_vanish=True),
    6: LogFormat(6, murmur64a, marks_start=True, sources_may_vanish=False),
    7: LogFormat(7, rapidhash, marks_start=True, sources_may_vanish=False),
}


def format_of_release(ninja_version: str) -> LogFormat:
    """Return what a ninja release writes, from what `ninja --version` prints."""
    match = _VERSION.match(ninja_version)
    release = (int(match[1]), int(match[2])) if match is not None else (1, 11)
    if release >= (1, 13):
        return FORMATS[7]
    return FORMATS[6] if release >= (1, 12) else FORMATS[5]
