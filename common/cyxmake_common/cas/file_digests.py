"""Digests of this machine's files, each computed once for as long as the file is unchanged.

Knows nothing of trees. A file counts as unchanged while its modification time, change time, size
and inode are the same; one that was modified less than two seconds before it was hashed could be
modified again within the same tick of its clock, so that digest is not relied upon.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgpack

from cyxmake_common.clock import wall
from cyxmake_common.digest import Digest

_VERSION: Final = 1
_RACY_NS: Final = 2_000_000_000
_MAX_FILES: Final = 200_000
_ATTEMPTS: Final = 3

_Stamp = tuple[int, int, int, int]


@dataclass(slots=True)
class Known:
    """What is known of a file's bytes; not `settled` while they may change unseen."""

    stamp: _Stamp
    digest: Digest
    settled: bool
    moment: int = 0
    """When its state was looked at last, as `FileDigests.moment` counts."""


class FileDigests:
    """A memo from path to digest; call it with a path. Raises OSError for what cannot be read.

    With a cache file, what is settled is kept from one run to the next: `load` it first and `save`
    it last. A cache file that is missing or unreadable counts as empty.
    """

    def __init__(self, cache: Path | None = None, clock: Callable[[], float] = wall) -> None:
        self._cache = cache
        self._clock = clock
        self._known: dict[str, Known] = {}
        self._changed = False
        self._moment = 1
        self.hashed = 0
        """How many files had to be read."""

    def __repr__(self) -> str:
        return f"<FileDigests {len(self._known)} known, {self.hashed} hashed>"

    def __call__(self, path: str) -> Digest:
        """Return the digest of a file's bytes: what a TreeScanner calls."""
        return self.digest(path)

    def moment(self) -> int:
        """Return a mark of now: whoever passes it to `digest` gets nothing older."""
        self._moment += 1
        return self._moment

    def digest(self, path: str, since: int | None = None) -> Digest:
        """Return the digest of a file's bytes, symlinks followed.

        With `since`, a mark from `moment`, the file is not looked at again if that was done later.
        """
        known = self._known.get(path)
        if known is not None and known.settled:
            if since is not None and known.moment >= since:
                return known.digest
            moment, stamp = self._moment, _stamp(path)
            if known.stamp == stamp:
                known.moment = moment
                return known.digest
        else:
            stamp = _stamp(path)
        for _ in range(_ATTEMPTS):
            moment, now_ns = self._moment, int(self._clock() * 1e9)
            digest = Digest.of_file(path)
            self.hashed += 1
            before, stamp = stamp, _stamp(path)
            if before == stamp:
                settled = max(stamp[0], stamp[3]) < now_ns - _RACY_NS
                self._known[path] = Known(stamp, digest, settled, moment)
                self._changed = True
                return digest
        # Somebody keeps writing to it: these are bytes that it had, and they are not remembered.
        self.forget(path)
        return digest

    def settled(self, path: str) -> Known | None:
        """Return what is known of a file, or None where it has to be looked at each time.

        Who keeps it has the file's digest as of the record's `moment`.
        """
        known = self._known.get(path)
        return known if known is not None and known.settled else None

    def unchanged(self, files: Iterable[tuple[str, Digest]]) -> bool:
        """Tell whether every file still has its digest."""
        known_of = self._known.get
        try:
            for path, digest in files:
                known = known_of(path)
                if known is None or not known.settled or known.stamp != _stamp(path):
                    if self.digest(path) != digest:
                        return False
                elif known.digest is not digest and known.digest != digest:
                    return False
        except OSError:
            return False
        return True

    def forget(self, path: str) -> None:
        """Drop what is known of a file, because it is about to change."""
        known = self._known.pop(path, None)
        if known is not None:
            known.moment = 0
            self._changed = True

    def load(self) -> None:
        """Read the cache file; what this run knows already stays."""
        if self._cache is None:
            return
        try:
            self._known = _decode(self._cache.read_bytes()) | self._known
        except (OSError, ValueError):
            return

    def save(self) -> None:
        """Replace the cache file, if anything changed; raises OSError."""
        if self._cache is None or not self._changed:
            return
        self._cache.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._cache.with_name(f"{self._cache.name}.{os.getpid()}")
        try:
            temporary.write_bytes(_encode(self._known))
            temporary.replace(self._cache)
        finally:
            temporary.unlink(missing_ok=True)
        self._changed = False


def _stamp(path: str) -> _Stamp:
    status = os.stat(path)  # noqa: PTH116 - called for every header of every translation unit
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns


def _encode(known: dict[str, Known]) -> bytes:
    rows = [
        (path, k.stamp, bytes.fromhex(k.digest.hash), k.digest.size)
        for path, k in known.items()
        if k.settled
    ]
    data: bytes = msgpack.packb((_VERSION, rows[-_MAX_FILES:]), unicode_errors="surrogateescape")
    return data


def _decode(data: bytes) -> dict[str, Known]:
    """Return what a cache file holds; raises ValueError for anything that is not one."""
    try:
        version, rows = msgpack.unpackb(data, unicode_errors="surrogateescape")
        if version != _VERSION:
            raise ValueError("written by another version")
        return {
            path: Known((mtime, size, inode, ctime), Digest(hash_.hex(), length), True)
            for path, (mtime, size, inode, ctime), hash_, length in rows
        }
    except (TypeError, AttributeError, msgpack.UnpackException) as error:
        raise ValueError(f"not a digest cache: {error}") from error
