"""Reads response files as a command in a directory would.

Knows nothing of what they mean.
"""

from __future__ import annotations

from pathlib import Path

from cyxmake_common.toolchain.response import Reader


def reader_in(directory: str) -> Reader:
    """Return what gives a file's bytes, None for one that cannot be read.

    The build has written its own response files before the edge runs.
    """

    def read(path: str) -> bytes | None:
        try:
            return Path(directory, path).read_bytes()
        except OSError:
            return None

    return read
