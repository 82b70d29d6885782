"""The index of a disk store on disk: which blob was last used when, in SQLite.

Knows nothing of blobs themselves and is never the truth about them: it may be lost, stale or
damaged, and is then made anew from the files. It is written in batches, about once a second.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import aiosqlite

from cyxmake_common.cas.disk_files import unlink
from cyxmake_common.cas.index import Entry
from cyxmake_common.digest import Digest
from cyxmake_common.telemetry.logger import get_logger

_VERSION: Final = 1
_FLUSH_SECONDS: Final = 1.0
_BATCH: Final = 2000
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS blobs (
    hash BLOB NOT NULL, size INTEGER NOT NULL, stored INTEGER NOT NULL, used REAL NOT NULL,
    PRIMARY KEY (hash, size)
) WITHOUT ROWID
"""
_SELECT: Final = "SELECT lower(hex(hash)) || '-' || size, stored, used FROM blobs"
_log = get_logger(__name__)

Rows = dict[str, tuple[int, float]]
"""By file name (a digest is made only for what is there): bytes in the store, last use."""


class DiskIndex:
    """The SQLite file of one store; without a usable one, no use outlives a restart."""

    def __init__(
        self,
        path: Path,
        entry_of: Callable[[Digest], Entry | None],
        delay: float = _FLUSH_SECONDS,
    ) -> None:
        self._path = path
        self._entry_of = entry_of
        self._delay = delay
        self._db: aiosqlite.Connection | None = None
        self._dirty: set[Digest] = set()
        self._flusher: asyncio.Task[None] | None = None
        self._flushing = asyncio.Lock()
        self._complained = False

    async def open(self) -> Rows:
        """Open or make the file and return its rows; an unreadable one is replaced by a new one."""
        try:
            return await self._open_once()
        except sqlite3.DatabaseError as error:
            _log.warning("cas_index_rebuilt", path=str(self._path), error=str(error))
        try:
            for suffix in ("", "-wal", "-shm", "-journal"):
                unlink(self._path.with_name(self._path.name + suffix))
            return await self._open_once()
        except (sqlite3.Error, OSError) as error:
            _log.warning("cas_index_unusable", path=str(self._path), error=str(error))
            return {}

    def note(self, digest: Digest) -> None:
        """Mark a blob's row as out of date; it is written within about a second."""
        self._dirty.add(digest)
        if self._flusher is None and self._db is not None:
            self._flusher = asyncio.get_running_loop().create_task(self._flush_soon())

    async def flush(self) -> None:
        """Write every row that is out of date; a failure is logged once, not raised."""
        async with self._flushing:
            while self._dirty:
                batch = [self._dirty.pop() for _ in range(min(len(self._dirty), _BATCH))]
                try:
                    await self._write(batch)
                except sqlite3.Error as error:
                    # Lost rows cost an imprecise order of eviction after a restart, nothing else.
                    await self._roll_back()
                    if not self._complained:
                        _log.warning(
                            "cas_index_not_written", path=str(self._path), error=str(error)
                        )
                    self._complained = True
                except asyncio.CancelledError:
                    self._dirty.update(batch)
                    raise

    async def close(self) -> None:
        """Write what is out of date and close the file; later notes do nothing."""
        flusher, self._flusher = self._flusher, None
        if flusher is not None:
            flusher.cancel()
            await asyncio.wait([flusher])
        await self.flush()
        db, self._db = self._db, None
        if db is not None:
            await db.close()

    async def _flush_soon(self) -> None:
        await asyncio.sleep(self._delay)
        await self.flush()
        self._flusher = None

    async def _write(self, batch: list[Digest]) -> None:
        if self._db is None:
            return
        entries = [(digest, self._entry_of(digest)) for digest in batch]
        await self._db.executemany(
            "INSERT OR REPLACE INTO blobs VALUES (?, ?, ?, ?)",
            [(bytes.fromhex(d.hash), d.size, e.stored, e.last_use) for d, e in entries if e],
        )
        await self._db.executemany(
            "DELETE FROM blobs WHERE hash = ? AND size = ?",
            [(bytes.fromhex(d.hash), d.size) for d, e in entries if e is None],
        )
        await self._db.commit()

    async def _roll_back(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):
                await self._db.rollback()

    async def _open_once(self) -> Rows:
        db = await aiosqlite.connect(self._path)
        try:
            await db.execute("PRAGMA journal_mode=WAL")
            await db.execute("PRAGMA synchronous=NORMAL")
            async with db.execute("PRAGMA user_version") as cursor:
                version = await cursor.fetchone()
            if version is None or version[0] not in (0, _VERSION):
                raise sqlite3.DatabaseError("written by another version")
            await db.execute(_SCHEMA)
            await db.execute(f"PRAGMA user_version={_VERSION}")
            await db.commit()
            rows = await self._read(db)
        except BaseException:
            await db.close()
            raise
        self._db = db
        return rows

    async def _read(self, db: aiosqlite.Connection) -> Rows:
        rows: Rows = {}
        async with db.execute(_SELECT) as cursor:
            while batch := await cursor.fetchmany(10_000):
                try:
                    rows |= {name: (int(stored), float(used)) for name, stored, used in batch}
                except (TypeError, ValueError) as error:
                    raise sqlite3.DatabaseError(f"not a row of the index: {error}") from error
        return rows
