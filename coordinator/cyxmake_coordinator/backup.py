"""Backup and restore of what cannot be made anew: tokens, and the keys that they pin.

Knows nothing of running servers: SQLite hands out a consistent copy of its file whoever writes to
it, and keys never change. Blobs and cached results are left out: a build makes them again.
"""

from __future__ import annotations

import io
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_common.errors import ConfigError
from cyxmake_coordinator.data_dir import DataDir

_DATABASE: Final = "coordinator.db"
_TLS: Final = "tls"
_MOST_BYTES: Final = 1 << 30
_MOST_FILES: Final = 100
_NOT_OURS: Final = "name a file that `cyxmake-coordinator backup` has made"


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What is in a backup."""

    tokens: int
    keys: int


def backup(data: DataDir, file: Path) -> BackupReport:
    """Write a new archive that only its owner can read; raises ConfigError."""
    if not data.database.is_file() or not data.tls.is_dir():
        raise ConfigError(
            f"there is nothing to back up in {data.root}",
            next_step="choose the coordinator's data directory by --data-dir",
        )
    fresh = file.with_name(f"{file.name}.{os.getpid()}.new")
    try:
        with tempfile.TemporaryDirectory(dir=data.root, prefix="backup.") as scratch:
            copy = Path(scratch) / _DATABASE
            tokens = _copy_database(data.database, copy)
            keys = [path for path in sorted(data.tls.iterdir()) if path.is_file()]
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with (
                os.fdopen(descriptor, "wb") as raw,
                tarfile.open(fileobj=raw, mode="w:gz", compresslevel=6) as archive,
            ):
                _add(archive, copy, _DATABASE)
                for path in keys:
                    _add(archive, path, f"{_TLS}/{path.name}")
                archive.close()
                raw.flush()
                os.fsync(raw.fileno())
        fresh.replace(file)
    except (OSError, sqlite3.Error) as error:
        fresh.unlink(missing_ok=True)
        raise ConfigError(
            f"the backup cannot be written: {error}", next_step="choose another file"
        ) from error
    return BackupReport(tokens, len(keys))


def restore(data: DataDir, file: Path) -> BackupReport:
    """Fill an empty data directory from an archive; raises ConfigError, and then changes nothing.

    The archive is read whole and checked before the first file is written.
    """
    data.prepare()
    lock = data.lock()
    if not lock.try_acquire():
        raise ConfigError(
            f"a coordinator runs on {data.root}", next_step="cyxmake-coordinator stop"
        )
    with lock:
        if data.database.exists() or data.tls.exists():
            raise ConfigError(
                f"{data.root} has tokens and keys already",
                next_step="restore into an empty --data-dir, or move this one away",
            )
        contents = _read(file)
        with tempfile.TemporaryDirectory(dir=data.root, prefix="restore.") as scratch:
            tokens = _unpack(contents, Path(scratch))
            # The database is last: with it the directory counts as restored.
            (Path(scratch) / _TLS).replace(data.tls)
            (Path(scratch) / _DATABASE).replace(data.database)
        # It leads to the server that the backup was made of; the next start makes another.
        data.admin_token.unlink(missing_ok=True)
    return BackupReport(tokens, len(contents) - 1)


def _copy_database(source: Path, copy: Path) -> int:
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True)) as there,
        closing(sqlite3.connect(copy)) as here,
    ):
        there.execute("PRAGMA busy_timeout=5000")
        there.backup(here)
        here.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
        return _count_tokens(here)


def _count_tokens(database: sqlite3.Connection) -> int:
    (state,) = database.execute("PRAGMA integrity_check").fetchone()
    if state != "ok":
        raise sqlite3.DatabaseError(f"the token file is damaged: {state}")
    (count,) = database.execute("SELECT count(*) FROM tokens").fetchone()
    return int(count)


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    content = path.read_bytes()
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = len(content), 0o600, int(path.stat().st_mtime)
    archive.addfile(member, io.BytesIO(content))


def _read(file: Path) -> dict[str, bytes]:
    """Return the archive's files by name, none but those that a backup has."""
    try:
        with tarfile.open(file, "r:gz") as archive:
            contents = dict(_members(archive))
    except (OSError, EOFError, tarfile.TarError, ValueError) as error:
        raise ConfigError(f"{file} is no backup: {error}", next_step=_NOT_OURS) from error
    if _DATABASE not in contents or len(contents) == 1:
        raise ConfigError(f"{file} lacks tokens or keys", next_step=_NOT_OURS)
    return contents


def _members(archive: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    left = _MOST_BYTES
    for number, member in enumerate(archive, 1):
        folder, _, name = member.name.rpartition("/")
        expected = member.name == _DATABASE or (folder == _TLS and name not in ("", ".", ".."))
        if not expected or not member.isreg() or number > _MOST_FILES or member.size > left:
            raise ValueError(f"{member.name[:100]!r} does not belong there")
        left -= member.size
        content = archive.extractfile(member)
        assert content is not None  # it is a regular file
        yield member.name, content.read()


def _unpack(contents: dict[str, bytes], scratch: Path) -> int:
    (scratch / _TLS).mkdir(mode=0o700)
    for name, content in contents.items():
        descriptor = os.open(scratch / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    try:
        with closing(sqlite3.connect(scratch / _DATABASE)) as database:
            return _count_tokens(database)
    except sqlite3.Error as error:
        raise ConfigError(
            f"the backup's tokens are damaged: {error}", next_step=_NOT_OURS
        ) from error
