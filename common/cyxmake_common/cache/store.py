"""The action cache: results of actions under reduced keys, in one SQLite file.

Knows nothing of who may write (the coordinator decides) nor of what a key means (cache/key.py).
Reads and writes that arrive while SQLite is busy share the next statement or commit: a `put` has
returned only after its commit, and a thousand of them still cost a few commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeVar

import aiosqlite
import msgpack
from pydantic import ValidationError

from cyxmake_common import clock
from cyxmake_common.digest import EMPTY, Digest
from cyxmake_common.ids import Namespace
from cyxmake_common.protocol.messages import CacheEntry
from cyxmake_common.telemetry.logger import get_logger

MAX_PER_KEY: Final = 16
"""Most entries under one key: the variants of one source that are worth remembering."""

_log = get_logger(__name__)

_KEYS_PER_SELECT: Final = 500
_TOUCHES_KEPT: Final = 2_000

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    manifest TEXT NOT NULL,
    root TEXT NOT NULL,
    entry BLOB NOT NULL,
    size INTEGER NOT NULL,
    last_used REAL NOT NULL,
    stored REAL NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX IF NOT EXISTS entries_key ON entries (namespace, key, manifest, root);
CREATE INDEX IF NOT EXISTS entries_age ON entries (last_used);
"""

_ADD_STORED: Final = "ALTER TABLE entries ADD COLUMN stored REAL NOT NULL DEFAULT 0"

_PUT: Final = """
INSERT INTO entries (namespace, key, manifest, root, entry, size, last_used, stored)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
ON CONFLICT (namespace, key, manifest, root)
DO UPDATE SET entry = excluded.entry, size = excluded.size, last_used = excluded.last_used,
    stored = excluded.stored
"""

_TRIM_KEY: Final = """
DELETE FROM entries WHERE id IN (
    SELECT id FROM entries WHERE namespace = ? AND key = ?
    ORDER BY last_used DESC, id DESC LIMIT -1 OFFSET ?)
"""

_TRIM_AGE: Final = """
DELETE FROM entries WHERE id IN (SELECT id FROM entries ORDER BY last_used, id LIMIT ?)
"""


Identity = tuple[Digest, Digest, str]
"""What tells entries of one namespace apart: key, manifest, root."""

Times = tuple[float, float]
"""When an entry was stored, and when it was last used."""


def identity_of(entry: CacheEntry) -> Identity:
    """Return what tells an entry from the others of its namespace."""
    return entry.key, entry.manifest, entry.root


class ActionCache(Protocol):
    """Entries by namespace and key; one namespace never sees another's."""

    async def get(self, namespace: Namespace, keys: Collection[Digest]) -> tuple[CacheEntry, ...]:
        """Return all entries under the keys, the most recently used first."""
        ...

    async def times(
        self, namespace: Namespace, keys: Collection[Digest]
    ) -> Mapping[Identity, Times]:
        """Return when the entries under the keys were stored and last used; that is no use."""
        ...

    async def put(self, namespace: Namespace, entry: CacheEntry) -> None:
        """Keep an entry; when this returns, a crash of the process does not lose it."""
        ...

    async def remove(self, namespace: Namespace, entries: Collection[CacheEntry]) -> None:
        """Forget entries; no error for one that is not there."""
        ...


def result_entry(action: Digest, result: bytes) -> CacheEntry:
    """Return the entry that holds a result by plain action digest."""
    return CacheEntry(key=action, manifest=EMPTY, paths=b"", result=result)


_T = TypeVar("_T")
_Row = tuple[str, str, str, str, bytes, int, float]


@dataclass(slots=True)
class _Writes:
    """What the next transaction will do, and the future of those who wait for it."""

    rows: list[_Row] = field(default_factory=list)
    removals: list[tuple[str, str, str, str]] = field(default_factory=list)
    done: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


@dataclass(slots=True)
class _Reads:
    """The keys that the next statement will look up, by namespace."""

    keys: dict[str, set[str]] = field(default_factory=dict)
    done: asyncio.Future[dict[tuple[str, str], list[CacheEntry]]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class SqliteActionCache:
    """The action cache of one coordinator; `limit` is the most entries it keeps."""

    def __init__(
        self, database: aiosqlite.Connection, limit: int, now: Callable[[], float], count: int
    ) -> None:
        self._database = database
        self._limit = max(1, limit)
        self._now = now
        self._count = count
        self._touched: dict[int, float] = {}
        self._writes: _Writes | None = None
        self._reads: _Reads | None = None
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(
        cls, path: Path, limit: int, now: Callable[[], float] = clock.wall
    ) -> SqliteActionCache:
        """Open or create the file; a damaged one is put aside, and the cache begins empty."""
        try:
            return await cls._open(path, limit, now)
        except aiosqlite.DatabaseError as error:
            _log.warning("action_cache_damaged", path=str(path), error=str(error))
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            path.replace(path.with_name(path.name + ".damaged"))
            return await cls._open(path, limit, now)

    @classmethod
    async def _open(cls, path: Path, limit: int, now: Callable[[], float]) -> SqliteActionCache:
        database = await aiosqlite.connect(path)
        try:
            # NORMAL with WAL: a commit survives a crash of the process; a power cut may take the
            # last commits, which costs rebuilding those actions and nothing else.
            await database.executescript(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=5000;"
            )
            await database.executescript(_SCHEMA)
            columns = await database.execute_fetchall("PRAGMA table_info(entries)")
            if "stored" not in (column[1] for column in columns):
                await database.execute(_ADD_STORED)  # an earlier version made the file
            ((count,),) = await database.execute_fetchall("SELECT COUNT(*) FROM entries")
        except BaseException:
            await database.close()
            raise
        return cls(database, limit, now, int(count))

    def __repr__(self) -> str:
        return f"<SqliteActionCache entries={self._count} limit={self._limit}>"

    @property
    def count(self) -> int:
        """Return how many entries there are at most: replaced ones count until the next trim."""
        return self._count

    async def get(self, namespace: Namespace, keys: Collection[Digest]) -> tuple[CacheEntry, ...]:
        """Return all entries under the keys, the most recently used first."""
        wanted = [str(key) for key in keys]
        if self._reads is None:
            self._reads = _Reads()
            self._start(self._read(self._reads))
        reads = self._reads
        reads.keys.setdefault(namespace, set()).update(wanted)
        found = await asyncio.shield(reads.done)
        return tuple(entry for key in wanted for entry in found.get((namespace, key), ()))

    async def times(
        self, namespace: Namespace, keys: Collection[Digest]
    ) -> Mapping[Identity, Times]:
        """Return when the entries under the keys were stored and last used; that is no use."""
        found: dict[Identity, Times] = {}
        async with self._lock:
            for some in _chunks([str(key) for key in keys], _KEYS_PER_SELECT):
                marks = ",".join("?" * len(some))
                rows = await self._database.execute_fetchall(
                    "SELECT id, key, manifest, root, stored, last_used"  # noqa: S608 - marks only
                    f" FROM entries WHERE namespace = ? AND key IN ({marks})",
                    (namespace, *some),
                )
                for id_, key, manifest, root, stored, used in rows:
                    identity = (Digest.parse(key), Digest.parse(manifest), root)
                    found[identity] = (stored, self._touched.get(id_, used))
        return found

    async def put(self, namespace: Namespace, entry: CacheEntry) -> None:
        """Keep an entry; when this returns, a crash of the process does not lose it."""
        data: bytes = msgpack.packb(entry.model_dump(exclude_defaults=True), use_bin_type=True)
        writes = self._next_writes()
        writes.rows.append((*_identity(namespace, entry), data, len(data), self._now()))
        await asyncio.shield(writes.done)

    async def remove(self, namespace: Namespace, entries: Collection[CacheEntry]) -> None:
        """Forget entries; no error for one that is not there."""
        writes = self._next_writes()
        writes.removals.extend(_identity(namespace, entry) for entry in entries)
        await asyncio.shield(writes.done)

    async def close(self) -> None:
        """Write what is pending and close the file."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._flush_touched()
        await self._database.commit()
        await self._database.close()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _next_writes(self) -> _Writes:
        if self._writes is None:
            self._writes = _Writes()
            self._start(self._write(self._writes))
        return self._writes

    async def _read(self, reads: _Reads) -> None:
        async with self._lock:
            self._reads = None
            try:
                found: dict[tuple[str, str], list[CacheEntry]] = {}
                for namespace, keys in reads.keys.items():
                    for some in _chunks(sorted(keys), _KEYS_PER_SELECT):
                        await self._select(namespace, some, found)
                if len(self._touched) > _TOUCHES_KEPT:
                    await self._flush_touched()
                    await self._database.commit()
            except Exception as error:
                _fail(reads.done, error)
            else:
                reads.done.set_result(found)

    async def _select(
        self, namespace: str, keys: Sequence[str], found: dict[tuple[str, str], list[CacheEntry]]
    ) -> None:
        marks = ",".join("?" * len(keys))
        rows = await self._database.execute_fetchall(
            "SELECT id, key, entry FROM entries"  # noqa: S608 - only question marks are inserted
            f" WHERE namespace = ? AND key IN ({marks}) ORDER BY last_used DESC, id DESC",
            (namespace, *keys),
        )
        now = self._now()
        for id_, key, data in rows:
            entry = _decode(data)
            if entry is not None:
                self._touched[id_] = now
                found.setdefault((namespace, key), []).append(entry)

    async def _write(self, writes: _Writes) -> None:
        async with self._lock:
            self._writes = None
            try:
                await self._apply(writes)
            except Exception as error:
                await self._database.rollback()
                _fail(writes.done, error)
            else:
                writes.done.set_result(None)

    async def _apply(self, writes: _Writes) -> None:
        database = self._database
        if writes.removals:
            await database.executemany(
                "DELETE FROM entries WHERE namespace = ? AND key = ? AND manifest = ? AND root = ?",
                writes.removals,
            )
        if writes.rows:
            await database.executemany(_PUT, writes.rows)
            # A plain result has one manifest and so one row: only the others can grow in number.
            several = {(row[0], row[1], MAX_PER_KEY) for row in writes.rows if row[2] != str(EMPTY)}
            if several:
                await database.executemany(_TRIM_KEY, sorted(several))
            self._count += len(writes.rows)
            if self._count > self._limit:
                await self._trim()
        await database.commit()

    async def _trim(self) -> None:
        # Counting reads a whole index. Going a twentieth below the limit leaves room for that many
        # writes before the next count.
        await self._flush_touched()
        ((count,),) = await self._database.execute_fetchall("SELECT COUNT(*) FROM entries")
        keep = self._limit - self._limit // 20
        if count > keep:
            await self._database.execute(_TRIM_AGE, (count - keep,))
        self._count = min(count, keep)

    async def _flush_touched(self) -> None:
        touched, self._touched = self._touched, {}
        if touched:
            await self._database.executemany(
                "UPDATE entries SET last_used = ? WHERE id = ?",
                [(moment, id_) for id_, moment in touched.items()],
            )


def _fail(done: asyncio.Future[_T], error: Exception) -> None:
    """Hand an error to everyone who waits; whoever stopped waiting does not miss it."""
    done.set_exception(error)
    done.exception()


def _identity(namespace: Namespace, entry: CacheEntry) -> tuple[str, str, str, str]:
    return namespace, str(entry.key), str(entry.manifest), entry.root


def _decode(data: bytes) -> CacheEntry | None:
    """Return the entry; None for one that another version wrote: a miss, never an error."""
    try:
        return CacheEntry.model_validate(msgpack.unpackb(data, raw=False))
    except (ValueError, ValidationError):
        return None


def _chunks(items: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
