"""The action cache: results of actions under reduced keys, in one SQLite file.

Knows nothing of who may write (the coordinator decides) nor of what a key means (cache/key.py).
Reads and writes that arrive while SQLite is busy share the next statement or commit: a `put` has
returned only after its commit, and a thousand of them still cost a few commits. SQLite has a thread
of its own, and each commit or lookup one trip to it. A key that was never put costs none.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

import msgpack
from pydantic import ValidationError

from cyxmake_common import clock
from cyxmake_common.cache.put_keys import PutKeys
from cyxmake_common.digest import EMPTY, Digest
from cyxmake_common.ids import Namespace
from cyxmake_common.protocol.messages import CacheEntry
from cyxmake_common.telemetry.logger import get_logger

MAX_PER_KEY: Final = 16
"""Most entries under one key: the variants of one source that are worth remembering."""

_log = get_logger(__name__)

_KEYS_PER_SELECT: Final = 500
_TOUCHES_KEPT: Final = 2_000
_PACE_SECONDS: Final = 0.004
"""From one commit to the next: under load more share one, and without load none waits."""

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

    def may_hold(self, key: Digest) -> bool:
        """Tell at once whether asking for a key can be worth it; False for one never put."""
        ...

    async def times(
        self, namespace: Namespace, keys: Collection[Digest]
    ) -> Mapping[Identity, Times]:
        """Return when the entries under the keys were stored and last used; that is no use."""
        ...

    async def put(self, namespace: Namespace, *entries: CacheEntry) -> None:
        """Keep entries; when this returns, a crash of the process does not lose them."""
        ...

    async def remove(self, namespace: Namespace, entries: Collection[CacheEntry]) -> None:
        """Forget entries; no error for one that is not there."""
        ...


def result_entry(action: Digest, result: bytes) -> CacheEntry:
    """Return the entry that holds a result by plain action digest."""
    return CacheEntry(key=action, manifest=EMPTY, paths=b"", result=result)


_T = TypeVar("_T")
_Row = tuple[str, str, str, str, bytes, int, float]
_Found = dict[tuple[str, str], list[CacheEntry]]


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
    done: asyncio.Future[_Found] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class SqliteActionCache:
    """The action cache of one coordinator; `limit` is the most entries it keeps."""

    def __init__(
        self,
        database: sqlite3.Connection,
        thread: ThreadPoolExecutor,
        put_keys: PutKeys,
        limit: int,
        now: Callable[[], float],
    ) -> None:
        self._database = database
        self._thread = thread
        self._put_keys = put_keys
        self._limit = max(1, limit)
        self._now = now
        self._count = put_keys.added
        self._touched: dict[int, float] = {}
        self._writes: _Writes | None = None
        self._reads: _Reads | None = None
        self._lock = asyncio.Lock()
        self._next_commit = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(
        cls, path: Path, limit: int, now: Callable[[], float] = clock.wall
    ) -> SqliteActionCache:
        """Open or create the file; a damaged one is put aside, and the cache begins empty."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="action-cache")
        try:
            database, put_keys = await asyncio.get_running_loop().run_in_executor(
                thread, _open_or_begin, path, limit
            )
        except BaseException:
            thread.shutdown(wait=False)
            raise
        return cls(database, thread, put_keys, limit, now)

    def __repr__(self) -> str:
        return f"<SqliteActionCache entries={self._count} limit={self._limit}>"

    @property
    def count(self) -> int:
        """Return how many entries there are at most: replaced ones count until the next trim."""
        return self._count

    async def get(self, namespace: Namespace, keys: Collection[Digest]) -> tuple[CacheEntry, ...]:
        """Return all entries under the keys, the most recently used first."""
        wanted = [str(key) for key in keys if self.may_hold(key)]
        if not wanted:
            return ()
        if self._reads is None:
            self._reads = _Reads()
            self._start(self._read(self._reads))
        reads = self._reads
        reads.keys.setdefault(namespace, set()).update(wanted)
        found = await asyncio.shield(reads.done)
        return tuple(entry for key in wanted for entry in found.get((namespace, key), ()))

    def may_hold(self, key: Digest) -> bool:
        """Tell at once whether asking for a key can be worth it; False for one never put."""
        return key in self._put_keys

    async def times(
        self, namespace: Namespace, keys: Collection[Digest]
    ) -> Mapping[Identity, Times]:
        """Return when the entries under the keys were stored and last used; that is no use."""
        async with self._lock:
            rows = await self._in_thread(_times, namespace, [str(key) for key in keys])
        return {
            (Digest.parse(key), Digest.parse(manifest), root): (
                stored,
                self._touched.get(id_, used),
            )
            for id_, key, manifest, root, stored, used in rows
        }

    async def put(self, namespace: Namespace, *entries: CacheEntry) -> None:
        """Keep entries; when this returns, a crash of the process does not lose them."""
        writes = self._next_writes()
        for entry in entries:
            data: bytes = msgpack.packb(entry.model_dump(exclude_defaults=True), use_bin_type=True)
            writes.rows.append((*_identity(namespace, entry), data, len(data), self._now()))
            self._put_keys.add(entry.key)
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
        await self._in_thread(_flush, self._take_touched())
        await self._in_thread(sqlite3.Connection.close)
        self._thread.shutdown()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _next_writes(self) -> _Writes:
        if self._writes is None:
            self._writes = _Writes()
            self._start(self._write(self._writes))
        return self._writes

    async def _in_thread(self, work: Callable[..., _T], *arguments: object) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, partial(work, self._database, *arguments))

    async def _read(self, reads: _Reads) -> None:
        async with self._lock:
            self._reads = None
            try:
                rows = await self._in_thread(_select, reads.keys)
                found: _Found = {}
                now = self._now()
                for namespace, id_, key, data in rows:
                    entry = _decode(data)
                    if entry is not None:
                        self._touched[id_] = now
                        found.setdefault((namespace, key), []).append(entry)
                if len(self._touched) > _TOUCHES_KEPT:
                    await self._in_thread(_flush, self._take_touched())
            except Exception as error:
                _fail(reads.done, error)
            else:
                reads.done.set_result(found)

    async def _write(self, writes: _Writes) -> None:
        loop = asyncio.get_running_loop()
        if (wait := self._next_commit - loop.time()) > 0:
            await asyncio.sleep(wait)
        async with self._lock:
            self._writes = None
            self._next_commit = loop.time() + _PACE_SECONDS
            full = self._count + len(writes.rows) > self._limit
            try:
                # Going a twentieth below the limit leaves room for that many writes before the next
                # count, which reads a whole index.
                keep = self._limit - self._limit // 20 if full else None
                touched = self._take_touched() if full else []
                count = await self._in_thread(_apply, writes.rows, writes.removals, keep, touched)
            except Exception as error:
                _fail(writes.done, error)
            else:
                self._count = self._count + len(writes.rows) if count is None else count
                writes.done.set_result(None)

    def _take_touched(self) -> list[tuple[float, int]]:
        touched, self._touched = self._touched, {}
        return [(moment, id_) for id_, moment in touched.items()]


# ── in the thread ───────────────────────────────────────────────────────────────────────────────


def _open_or_begin(path: Path, limit: int) -> tuple[sqlite3.Connection, PutKeys]:
    try:
        return _open(path, limit)
    except sqlite3.DatabaseError as error:
        _log.warning("action_cache_damaged", path=str(path), error=str(error))
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        path.replace(path.with_name(path.name + ".damaged"))
        return _open(path, limit)


def _open(path: Path, limit: int) -> tuple[sqlite3.Connection, PutKeys]:
    database = sqlite3.connect(path, check_same_thread=False)
    try:
        # NORMAL with WAL: a commit survives a crash of the process; a power cut may take the
        # last commits, which costs rebuilding those actions and nothing else. The log is taken
        # over at 32 MB, not at 4: writers wait for the disk then.
        database.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=5000;"
            "PRAGMA wal_autocheckpoint=8000;"
        )
        database.executescript(_SCHEMA)
        columns = database.execute("PRAGMA table_info(entries)")
        if "stored" not in [column[1] for column in columns]:
            database.execute(_ADD_STORED)  # an earlier version made the file
        put_keys = PutKeys(limit)
        for (key,) in database.execute("SELECT key FROM entries"):
            put_keys.add_hash(key)
    except BaseException:
        database.close()
        raise
    return database, put_keys


def _select(
    database: sqlite3.Connection, wanted: Mapping[str, set[str]]
) -> list[tuple[str, int, str, bytes]]:
    found: list[tuple[str, int, str, bytes]] = []
    for namespace, keys in wanted.items():
        for some in _chunks(sorted(keys), _KEYS_PER_SELECT):
            marks = ",".join("?" * len(some))
            found += database.execute(
                "SELECT namespace, id, key, entry FROM entries"  # noqa: S608 - marks only
                f" WHERE namespace = ? AND key IN ({marks}) ORDER BY last_used DESC, id DESC",
                (namespace, *some),
            )
    return found


def _times(
    database: sqlite3.Connection, namespace: str, keys: Sequence[str]
) -> list[tuple[int, str, str, str, float, float]]:
    found: list[tuple[int, str, str, str, float, float]] = []
    for some in _chunks(keys, _KEYS_PER_SELECT):
        marks = ",".join("?" * len(some))
        found += database.execute(
            "SELECT id, key, manifest, root, stored, last_used"  # noqa: S608 - marks only
            f" FROM entries WHERE namespace = ? AND key IN ({marks})",
            (namespace, *some),
        )
    return found


def _flush(database: sqlite3.Connection, touched: Sequence[tuple[float, int]]) -> None:
    with database:
        database.executemany("UPDATE entries SET last_used = ? WHERE id = ?", touched)


def _apply(
    database: sqlite3.Connection,
    rows: Sequence[_Row],
    removals: Sequence[tuple[str, str, str, str]],
    keep: int | None,
    touched: Sequence[tuple[float, int]],
) -> int | None:
    """Write in one transaction; with `keep`, trim to that many entries, and return the count."""
    with database:
        if removals:
            database.executemany(
                "DELETE FROM entries WHERE namespace = ? AND key = ? AND manifest = ? AND root = ?",
                removals,
            )
        database.executemany(_PUT, rows)
        # A plain result has one manifest and so one row: only the others can grow in number.
        several = {(row[0], row[1], MAX_PER_KEY) for row in rows if row[2] != str(EMPTY)}
        if several:
            database.executemany(_TRIM_KEY, sorted(several))
        if keep is None:
            return None
        database.executemany("UPDATE entries SET last_used = ? WHERE id = ?", touched)
        ((count,),) = database.execute("SELECT COUNT(*) FROM entries").fetchall()
        if count > keep:
            database.execute(_TRIM_AGE, (count - keep,))
        return min(int(count), keep)


# ── helpers ─────────────────────────────────────────────────────────────────────────────────────


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
