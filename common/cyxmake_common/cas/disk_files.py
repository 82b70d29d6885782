"""The files of a disk store: their names, how they appear all at once, and how they go away.

Knows nothing of limits, uses or the event loop: everything here is blocking and without memory.
`blobs/ab/<hash>-<size>` holds a blob (mode 0444), `x/ab/…` its executable twin (mode 0555, a second
inode because a mode belongs to the inode), `tmp/` files being written, `partial/` kept uploads.
"""

from __future__ import annotations

import errno
import hashlib
import io
import itertools
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from cyxmake_common.cas.compressing import Codec
from cyxmake_common.digest import Digest

_T = TypeVar("_T")

PIECE: Final = 1 << 20
_FICLONE: Final = 0x40049409
_WINDOWS_ATTEMPTS: Final = 8
_CANNOT_LINK: Final = frozenset(
    {errno.EMLINK, errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
)


def name_of(digest: Digest) -> str:
    """Return the file name of a blob."""
    return f"{digest.hash}-{digest.size}"


def parse_name(name: str) -> Digest | None:
    """Return the digest that a file name stands for, or None for a foreign file."""
    hash_, dash, size = name.partition("-")
    if not dash or not size.isascii() or not size.isdigit() or str(int(size)) != size:
        return None
    try:
        return Digest(hash_, int(size))
    except ValueError:
        return None


def patiently(call: Callable[[], _T]) -> _T:
    """Call; on Windows again while a virus scanner holds the file open for a moment."""
    if sys.platform != "win32":
        return call()
    for attempt in range(_WINDOWS_ATTEMPTS):
        try:
            return call()
        except PermissionError:
            time.sleep(0.005 * 2**attempt)
    return call()


def unlink(path: Path) -> None:
    """Remove a file, read-only or already gone."""
    if sys.platform == "win32" and path.exists():
        path.chmod(0o600)
    patiently(lambda: path.unlink(missing_ok=True))


class BlobFiles:
    """The directories of one disk store. Methods raise OSError as the system gives it."""

    def __init__(self, root: Path, codec: Codec) -> None:
        self.root = root
        self.codec = codec
        self.temporaries = root / "tmp"
        self.partials = root / "partial"
        self._blobs = root / "blobs"
        self._twins = root / "x"
        self._serial = itertools.count()

    def prepare(self) -> None:
        """Make the directories."""
        for directory in (self._blobs, self._twins, self.temporaries, self.partials):
            directory.mkdir(parents=True, exist_ok=True)

    def exists(self) -> bool:
        """Tell whether there is a store."""
        return self._blobs.is_dir()

    def path(self, digest: Digest) -> Path:
        """Return where a blob is or would be."""
        return self._blobs / digest.hash[:2] / name_of(digest)

    def twin(self, digest: Digest) -> Path:
        """Return where a blob's executable twin is or would be."""
        return self._twins / digest.hash[:2] / name_of(digest)

    def partial(self, digest: Digest) -> Path:
        """Return where the bytes of an interrupted upload are kept."""
        return self.partials / name_of(digest)

    def temporary(self, digest: Digest, suffix: str) -> Path:
        """Return a new name to write to; `part` is an upload as it comes, `out` anything else."""
        return self.temporaries / f"{name_of(digest)}.{next(self._serial)}.{suffix}"

    def blobs(self) -> Iterator[tuple[Path, Digest | None]]:
        """Iterate over every file under `blobs/`; the digest is None where it does not belong."""
        for shard in self._blobs.iterdir():
            if not shard.is_dir():
                yield shard, None
                continue
            for name in os.listdir(shard):  # noqa: PTH208 - names only, for a million files
                digest = parse_name(name)
                if digest is not None and digest.hash[:2] != shard.name:
                    digest = None
                yield shard / name, digest

    def drop_twins(self) -> None:
        """Remove every executable twin: they are made again, from verified blobs, on demand."""
        for shard in self._twins.iterdir():
            for twin in shard.iterdir():
                unlink(twin)

    def write(self, digest: Digest, data: bytes) -> Path:
        """Write a small blob's file under a temporary name, complete and read-only."""
        path = self.temporary(digest, "out")
        try:
            with path.open("xb", buffering=0) as file:
                if self.codec.plain:
                    file.write(data)
                else:
                    self._encode_small(data, file)
            path.chmod(0o444)
        except BaseException:
            unlink(path)
            raise
        return path

    def seal(self, digest: Digest, upload: Path) -> Path:
        """Turn a complete upload into a blob's file under a temporary name; the upload is gone."""
        if self.codec.plain:
            upload.chmod(0o444)
            return upload
        path = self.temporary(digest, "out")
        try:
            with upload.open("rb") as source, path.open("xb") as target:
                self.codec.encode(source, target, digest.size)
            path.chmod(0o444)
        except BaseException:
            unlink(path)
            raise
        unlink(upload)
        return path

    def publish(self, temporary: Path, place: Path) -> None:
        """Rename a finished file to its place; one from another file system is copied first."""
        try:
            self._rename(temporary, place)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            nearby = self.temporaries / f"{place.name}.{next(self._serial)}.out"
            try:
                shutil.copyfile(temporary, nearby)
                nearby.chmod(stat.S_IMODE(temporary.stat().st_mode))
                self._rename(nearby, place)
            finally:
                unlink(nearby)
            unlink(temporary)

    def _rename(self, temporary: Path, place: Path) -> None:
        try:
            patiently(lambda: os.replace(temporary, place))  # noqa: PTH105 - same call, fewer objects
        except FileNotFoundError:
            place.parent.mkdir(parents=True, exist_ok=True)
            patiently(lambda: os.replace(temporary, place))  # noqa: PTH105

    def hash(self, path: Path) -> Digest:
        """Return the digest of the blob in a file."""
        sha, size = hashlib.sha256(), 0
        with path.open("rb") as stored:
            reader = self.codec.decode(stored, 0)
            while piece := reader.read(PIECE):
                sha.update(piece)
                size += len(piece)
        return Digest(sha.hexdigest(), size)

    def copy(self, source: Path, destination: Path, mode: int) -> None:
        """Copy a blob's bytes to a new file, sharing its blocks where the file system can."""
        with source.open("rb") as stored, destination.open("xb") as target:
            if not (self.codec.plain and _clone(stored, target)):
                shutil.copyfileobj(self.codec.decode(stored, 0), target, PIECE)
        destination.chmod(mode)

    def link(self, source: Path, destination: Path) -> bool:
        """Make a hard link; False when this file can have none there and must be copied."""
        try:
            os.link(source, destination)
        except OSError as error:
            if error.errno in _CANNOT_LINK:
                return False
            raise
        return True

    def _encode_small(self, data: bytes, file: io.FileIO) -> None:
        target = io.BytesIO()
        self.codec.encode(io.BytesIO(data), target, len(data))
        file.write(target.getvalue())


def _clone(source: BinaryIO, target: BinaryIO) -> bool:
    """Share a file's blocks (btrfs, XFS, bcachefs); False where the system cannot."""
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
    except OSError:
        return False
    return True
