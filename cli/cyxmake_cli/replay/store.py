"""Bundles on disk, the latest few: a file for each, and the blobs that any of them needs.

Knows nothing of how bundles are made or run. Everything is readable by its owner only. What is
beyond the limits goes, the oldest first; a blob goes with the last bundle that names it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cyxmake_cli.replay.bundle import Bundle
from cyxmake_common.digest import Digest
from cyxmake_common.errors import UsageError
from cyxmake_common.file_lock import FileLock

Source = str | bytes
"""Where a blob's bytes are: a file's path, or the bytes themselves."""

MOST_BUNDLES: Final = 20
MOST_BYTES: Final = 256 << 20
LARGEST: Final = 64 << 20
"""Bytes of one bundle; a failed action with more input is not kept."""


class NotWhole(Exception):
    """A bundle cannot be kept: an input has changed since, or there is too much of it."""


class ReplayStore:
    """The bundles of one user."""

    def __init__(
        self, directory: Path, *, bundles: int = MOST_BUNDLES, limit: int = MOST_BYTES
    ) -> None:
        self._directory = directory
        self._bundles = directory / "bundles"
        self._blobs = directory / "blobs"
        self._most = bundles
        self._limit = limit

    def __repr__(self) -> str:
        return f"<ReplayStore {self._directory}>"

    def path_of(self, digest: Digest) -> Path:
        """Return where a blob is, if it is there."""
        return self._blobs / digest.hash[:2] / f"{digest.hash}-{digest.size}"

    def add(self, bundle: Bundle, sources: Mapping[Digest, Source]) -> None:
        """Keep a bundle and its blobs; raises NotWhole and OSError, and then keeps nothing."""
        if sum(digest.size for digest in bundle.blobs) > LARGEST:
            raise NotWhole(f"its inputs are more than {LARGEST >> 20} MiB")
        for folder in (self._directory, self._bundles, self._blobs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(self._directory / "lock"):
            try:
                for digest in bundle.blobs:
                    self._put(digest, sources[digest])
                _write(self._file(bundle.id), bundle.to_json().encode("ascii"))
            finally:
                self._tidy()

    def all(self) -> list[Bundle]:
        """Return every bundle, the latest first."""
        found = []
        for path in self._by_age():
            # One of another version is of no use to us, and goes by and by.
            with contextlib.suppress(OSError, ValueError):
                found.append(Bundle.from_json(path.read_text("ascii")))
        return found

    def find(self, name: str) -> Bundle:
        """Return the bundle whose id begins so; raises UsageError."""
        found = [bundle for bundle in self.all() if bundle.id.startswith(name)]
        if len(found) != 1 or not name:
            what = "no failed action is kept" if not found else f"{len(found)} failed actions are"
            raise UsageError(
                f"{what} under {name!r}", next_step="cyxmake replay --list shows what there is"
            )
        return found[0]

    # ── files ───────────────────────────────────────────────────────────────────────────────────

    def _file(self, name: str) -> Path:
        return self._bundles / f"{name}.json"

    def _by_age(self) -> list[Path]:
        try:
            files = [(path.stat().st_mtime_ns, path) for path in self._bundles.glob("*.json")]
        except OSError:
            return []
        return [path for _, path in sorted(files, reverse=True)]

    def _put(self, digest: Digest, source: Source) -> None:
        path = self.path_of(digest)
        if path.exists():
            return
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        if Digest.of(data) != digest:
            raise NotWhole(f"{source!s:.200} has changed since" if isinstance(source, str) else "")
        path.parent.mkdir(mode=0o700, exist_ok=True)
        _write(path, data)

    def _tidy(self) -> None:
        """Remove bundles beyond the limits, and blobs that none of the others needs."""
        kept: set[Digest] = set()
        for number, path in enumerate(self._by_age()):
            try:
                blobs = set(Bundle.from_json(path.read_text("ascii")).blobs)
            except (OSError, ValueError):
                blobs = set()
            size = sum(digest.size for digest in kept | blobs)
            if not blobs or (number and (number >= self._most or size > self._limit)):
                path.unlink(missing_ok=True)
            else:
                kept |= blobs
        names = {self.path_of(digest).name for digest in kept}
        for folder in self._blobs.iterdir():
            for blob in folder.iterdir():
                if blob.name not in names:
                    blob.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove everything."""
        shutil.rmtree(self._directory, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.touch(mode=0o600)
    temporary.write_bytes(data)
    temporary.replace(path)
