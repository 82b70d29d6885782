"""Whether an analysis still holds: by the content of what was read, and the names of all files.

Knows nothing of what was concluded from it. Times do not count: a file that was written anew with
the same bytes changes nothing, one with other bytes of the same size and age does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_cli.analysis.files import Files
from cyxmake_cli.analysis.model import Json

_VERSION: Final = 1
_MOST_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs from an analysis: paths that came, went, or have other bytes or another size."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unreadable: bool = False

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.unreadable)

    def lines(self) -> list[str]:
        """Return what a person is told."""
        if self.unreadable:
            return ["there is no analysis that could be compared"]
        named = [f"{word} {path}" for word, paths in (
            ("new", self.added), ("gone", self.removed), ("changed", self.changed),
        ) for path in paths]  # fmt: skip
        more = len(named) - _MOST_NAMED
        return named[:_MOST_NAMED] + ([f"... and {more} more"] if more > 0 else [])


def fingerprint(files: Files, read: tuple[str, ...]) -> Json:
    """Return what an analysis rests on: every file's size, and the digest of those it read."""
    return {
        "version": _VERSION,
        "sizes": files.sizes,
        "digests": {path: _digest(files.root / path) for path in sorted(read)},
    }


def changes(found: Json, files: Files) -> Changes:
    """Return how the files of today differ from those of a fingerprint."""
    sizes, digests = found.get("sizes"), found.get("digests")
    if found.get("version") != _VERSION or not isinstance(sizes, dict):
        return Changes(unreadable=True)
    if not isinstance(digests, dict):
        return Changes(unreadable=True)
    changed = {p for p, size in files.sizes.items() if p in sizes and sizes[p] != size}
    changed |= {
        path
        for path, digest in digests.items()
        if path in files.sizes and _digest(files.root / path) != digest
    }
    return Changes(
        tuple(sorted(files.sizes.keys() - sizes.keys())),
        tuple(sorted(sizes.keys() - files.sizes.keys())),
        tuple(sorted(changed)),
    )


def _digest(path: Path) -> str:
    try:
        return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    except OSError:
        return ""
