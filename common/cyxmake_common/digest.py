"""The identity of a blob: SHA-256 and size, as in the Remote Execution API v2.

Knows nothing of stores. A Digest cannot hold an invalid value and is its own dictionary key.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_HEX: Final = re.compile(r"[0-9a-f]{64}\Z")
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """SHA-256 in lowercase hex, and the size in bytes; both belong to the identity."""

    hash: str
    size: int

    def __post_init__(self) -> None:
        if not _HEX.match(self.hash) or self.size < 0:
            raise ValueError(f"not a digest: {self.hash[:80]!r}/{self.size}")

    def __hash__(self) -> int:
        return hash(self.hash)  # strings remember theirs; a tuple would be made each time

    def __str__(self) -> str:
        return f"{self.hash}/{self.size}"

    @staticmethod
    def parse(text: str) -> Digest:
        """Parse `hash/size`; raises ValueError on anything else."""
        hash_, slash, size = text.partition("/")
        if not slash or not size.isascii() or not size.isdigit():
            raise ValueError(f"not a digest: {text[:80]!r}")
        return Digest(hash_, int(size))

    @staticmethod
    def of(data: bytes) -> Digest:
        """Return the digest of bytes in memory."""
        return Digest(hashlib.sha256(data).hexdigest(), len(data))

    @staticmethod
    def of_file(path: Path | str) -> Digest:
        """Return the digest of a file's bytes; raises OSError."""
        sha, size = hashlib.sha256(), 0
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - called once per header
            while chunk := file.read(_CHUNK):
                sha.update(chunk)
                size += len(chunk)
        return Digest(sha.hexdigest(), size)


EMPTY: Final = Digest.of(b"")
"""The empty blob; every store has it."""
