"""The action cache in SQLite: what is found, what is forgotten first, what survives."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import aiosqlite
import pytest

from cyxmake_common.action import ActionResult, OutputFile
from cyxmake_common.cache.complete import CompleteActionCache
from cyxmake_common.cache.store import MAX_PER_KEY, SqliteActionCache, identity_of, result_entry
from cyxmake_common.cas.memory import MemoryStore
from cyxmake_common.cas.store import write_all
from cyxmake_common.digest import EMPTY, Digest
from cyxmake_common.ids import Namespace
from cyxmake_common.protocol.messages import CacheEntry

HERE = Namespace("")
THERE = Namespace("there")


class Ticking:
    """A clock that moves on by one with every look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
async def cache(tmp_path: Path) -> AsyncIterator[SqliteActionCache]:
    """An empty cache with room for a hundred entries."""
    made = await SqliteActionCache.open(tmp_path / "cache.db", 100, Ticking())
    yield made
    await made.close()


def name(text: str) -> Digest:
    """Return a digest that stands for a key."""
    return Digest.of(text.encode())


def entry(key: str, manifest: str = "m", root: str = "", result: bytes = b"r") -> CacheEntry:
    """Return a cache entry."""
    return CacheEntry(
        key=name(key), manifest=name(manifest), paths=b"p", absent=b"a", root=root, result=result
    )


async def test_entries_are_found_by_namespace_and_key(cache: SqliteActionCache) -> None:
    """An entry comes back whole, and only where it was put."""
    await cache.put(HERE, entry("k"))
    assert await cache.get(HERE, (name("k"),)) == (entry("k"),)
    assert await cache.get(THERE, (name("k"),)) == ()
    assert await cache.get(HERE, (name("other"),)) == ()
    assert await cache.get(HERE, ()) == ()


async def test_what_was_never_put_is_known_at_once(tmp_path: Path) -> None:
    """No key that was put is ever missed, not in the next run either; nearly all others are."""
    keys, others = ([name(f"{kind}{n}") for n in range(500)] for kind in "ko")
    for run in range(2):
        cache = await SqliteActionCache.open(tmp_path / "cache.db", 1_000)
        if not run:
            assert not any(cache.may_hold(key) for key in keys)
            await cache.put(HERE, *(result_entry(key, b"r") for key in keys))
        assert all(cache.may_hold(key) for key in keys)
        assert sum(cache.may_hold(key) for key in others) < 50
        assert len(await cache.get(THERE, keys)) == 0
        assert len(await cache.get(HERE, keys)) == cache.count == 500
        await cache.close()


async def test_times_tell_of_storing_and_of_the_last_use(cache: SqliteActionCache) -> None:
    """To ask for them is no use; another namespace has none."""
    await cache.put(HERE, entry("k"))
    assert await cache.times(HERE, (name("k"),)) == {identity_of(entry("k")): (1.0, 1.0)}
    await cache.get(HERE, (name("k"),))
    for _ in range(2):
        assert await cache.times(HERE, (name("k"),)) == {identity_of(entry("k")): (1.0, 2.0)}
    assert await cache.times(THERE, (name("k"),)) == {}


async def test_a_file_of_a_version_without_times_is_still_good(tmp_path: Path) -> None:
    """Its entries stay; when they were stored nobody knows."""
    path = tmp_path / "cache.db"
    made = await SqliteActionCache.open(path, 100, Ticking())
    await made.put(HERE, entry("k"))
    await made.close()
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.execute("ALTER TABLE entries DROP COLUMN stored")
    made = await SqliteActionCache.open(path, 100, Ticking())
    assert await made.times(HERE, (name("k"),)) == {identity_of(entry("k")): (0.0, 1.0)}
    assert await made.get(HERE, (name("k"),)) == (entry("k"),)
    await made.put(HERE, entry("other"))
    await made.close()


async def test_the_order_of_keys_and_of_use(cache: SqliteActionCache) -> None:
    """Entries come in the order of the keys asked for, the latest used first under each."""
    for key, manifest in (("a", "1"), ("a", "2"), ("b", "1")):
        await cache.put(HERE, entry(key, manifest))
    found = await cache.get(HERE, (name("b"), name("a")))
    assert found == (entry("b", "1"), entry("a", "2"), entry("a", "1"))


async def test_an_equal_entry_is_replaced(cache: SqliteActionCache) -> None:
    """Key, manifest and root are the identity; results for two roots stand side by side."""
    await cache.put(HERE, entry("k", result=b"old"))
    await cache.put(HERE, entry("k", result=b"new"))
    await cache.put(HERE, entry("k", root="/home/me", result=b"mine"))
    found = await cache.get(HERE, (name("k"),))
    assert [e.result for e in found] == [b"mine", b"new"]


async def test_a_key_keeps_its_sixteen_latest(cache: SqliteActionCache) -> None:
    """The seventeenth variant of a source drops the oldest."""
    for number in range(MAX_PER_KEY + 1):
        await cache.put(HERE, entry("k", str(number)))
    found = await cache.get(HERE, (name("k"),))
    assert len(found) == MAX_PER_KEY
    assert entry("k", "0") not in found


async def test_the_limit_drops_what_was_used_longest_ago(tmp_path: Path) -> None:
    """Over the limit, a used entry outlives an unused younger one."""
    cache = await SqliteActionCache.open(tmp_path / "cache.db", 3, Ticking())
    for key in ("a", "b", "c"):
        await cache.put(HERE, result_entry(name(key), b"r"))
    await cache.get(HERE, (name("a"),))
    await cache.put(HERE, result_entry(name("d"), b"r"))
    found = await cache.get(HERE, [name(key) for key in "abcd"])
    await cache.close()
    assert [e.key for e in found] == [name("a"), name("c"), name("d")]


async def test_removed_entries_are_gone(cache: SqliteActionCache) -> None:
    """Removing takes one entry, and does not mind one that is not there."""
    await cache.put(HERE, entry("k", "1"))
    await cache.put(HERE, entry("k", "2"))
    await cache.remove(HERE, (entry("k", "1"), entry("never")))
    assert await cache.get(HERE, (name("k"),)) == (entry("k", "2"),)


async def test_many_at_once(cache: SqliteActionCache) -> None:
    """Concurrent reads and writes are all answered, each with its own."""
    await asyncio.gather(*(cache.put(HERE, entry(str(n))) for n in range(50)))
    found = await asyncio.gather(*(cache.get(HERE, (name(str(n)),)) for n in range(50)))
    assert found == [(entry(str(n)),) for n in range(50)]


async def test_a_put_that_returned_survives_a_crash(tmp_path: Path) -> None:
    """What a second process reads right after a put is what was put; the first never closed."""
    cache = await SqliteActionCache.open(tmp_path / "cache.db", 10)
    await cache.put(HERE, entry("k"))
    again = await SqliteActionCache.open(tmp_path / "cache.db", 10)
    assert await again.get(HERE, (name("k"),)) == (entry("k"),)
    assert again.count == 1
    await again.close()
    await cache.close()


async def test_a_waiter_that_is_cancelled_hurts_nobody(cache: SqliteActionCache) -> None:
    """Two callers share a statement; one gives up, the other gets its answer."""
    await cache.put(HERE, entry("k"))
    first = asyncio.ensure_future(cache.get(HERE, (name("k"),)))
    second = asyncio.ensure_future(cache.get(HERE, (name("k"),)))
    await asyncio.wait({first}, timeout=0)
    first.cancel()
    assert await second == (entry("k"),)


async def test_an_entry_of_another_version_is_a_miss(tmp_path: Path) -> None:
    """Bytes that cannot be read are passed over, never raised."""
    cache = await SqliteActionCache.open(tmp_path / "cache.db", 10)
    await cache.put(HERE, entry("k"))
    async with aiosqlite.connect(tmp_path / "cache.db") as other:
        await other.execute("UPDATE entries SET entry = x'c1'")
        await other.commit()
    assert await cache.get(HERE, (name("k"),)) == ()
    await cache.close()


async def test_a_failed_write_is_told_to_everyone_who_waits(tmp_path: Path) -> None:
    """An error of SQLite reaches each caller, and the cache goes on."""
    cache = await SqliteActionCache.open(tmp_path / "cache.db", 10)
    async with aiosqlite.connect(tmp_path / "cache.db") as other:
        await other.execute("ALTER TABLE entries RENAME TO gone")
        await other.commit()
    results = await asyncio.gather(
        *(cache.put(HERE, entry(str(n))) for n in range(3)), return_exceptions=True
    )
    assert all(isinstance(result, sqlite3.OperationalError) for result in results)
    async with aiosqlite.connect(tmp_path / "cache.db") as other:
        await other.execute("ALTER TABLE gone RENAME TO entries")
        await other.commit()
    await cache.put(HERE, entry("k"))
    assert await cache.get(HERE, (name("k"),)) == (entry("k"),)
    await cache.close()


async def test_only_complete_results_are_shown(cache: SqliteActionCache) -> None:
    """An entry that lost an output or its message text is forgotten, others stay."""
    store = MemoryStore()
    complete = CompleteActionCache(cache, store)
    there = await write_all(store, b"object")
    gone = Digest.of(b"evicted")
    good = ActionResult(0, outputs=(OutputFile("a.o", there),), stdout=EMPTY).to_bytes()
    lost_output = ActionResult(0, outputs=(OutputFile("a.o", gone),)).to_bytes()
    lost_text = ActionResult(0, outputs=(OutputFile("a.o", there),), stderr=gone).to_bytes()
    for number, result in enumerate((good, lost_output, lost_text, b"\xff not a result")):
        await complete.put(HERE, entry("k", str(number), result=result))
    assert [e.result for e in await complete.get(HERE, (name("k"),))] == [good]
    assert [e.result for e in await cache.get(HERE, (name("k"),))] == [good]
    assert await complete.get(HERE, (name("none"),)) == ()


async def test_a_damaged_file_is_put_aside(tmp_path: Path) -> None:
    """Results can be had again by building; a file that is no database must not stop a server."""
    path = tmp_path / "cache.db"
    path.write_bytes(b"this is no database" * 100)
    cache = await SqliteActionCache.open(path, 10)
    await cache.put(HERE, entry("k"))
    assert await cache.get(HERE, (name("k"),)) == (entry("k"),)
    await cache.close()
    assert (tmp_path / "cache.db.damaged").read_bytes().startswith(b"this is no database")
