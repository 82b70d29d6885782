"""The SQLite file behind a disk store: batches, failures, and that nothing waits for it."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from structlog.testing import capture_logs

from cyxmake_common.cas.disk_files import name_of
from cyxmake_common.cas.disk_index import DiskIndex
from cyxmake_common.cas.index import Entry
from cyxmake_common.digest import Digest

_DIGESTS = [Digest.of(b"%d" % n) for n in range(5000)]


def _count(path: Path) -> int:
    database = sqlite3.connect(path)
    try:
        (count,) = database.execute("SELECT count(*) FROM blobs").fetchone()
        return int(count)
    finally:
        database.close()


async def test_notes_are_written_by_themselves_in_batches(tmp_path: Path) -> None:
    """One note starts one delayed write for everything noted until then."""
    path = tmp_path / "index.sqlite"
    entries = {digest: Entry(digest.size, 1.0) for digest in _DIGESTS}
    index = DiskIndex(path, entries.get, delay=0)
    assert await index.open() == {}
    for digest in _DIGESTS:
        index.note(digest)
    async with asyncio.timeout(20):
        while _count(path) < len(_DIGESTS):
            await asyncio.sleep(0)
    gone = _DIGESTS[0]
    del entries[gone]
    entries[_DIGESTS[1]] = Entry(7, 2.0)
    index.note(gone)
    index.note(_DIGESTS[1])
    await index.close()
    again = DiskIndex(path, entries.get)
    rows = await again.open()
    await again.close()
    assert len(rows) == len(_DIGESTS) - 1
    assert rows[name_of(_DIGESTS[1])] == (7, 2.0)


async def test_a_failed_write_is_told_once(tmp_path: Path) -> None:
    """A table that was taken away costs the order of use and one line in the log."""
    path = tmp_path / "index.sqlite"
    index = DiskIndex(path, lambda digest: Entry(1, 1.0))
    await index.open()
    database = sqlite3.connect(path)
    database.execute("DROP TABLE blobs")
    database.commit()
    database.close()
    with capture_logs() as logs:
        for digest in _DIGESTS[:2]:
            index.note(digest)
            await index.flush()
    await index.close()
    assert [log["event"] for log in logs] == ["cas_index_not_written"]


async def test_after_closing_notes_do_nothing(tmp_path: Path) -> None:
    """Whoever unpins late starts no write that nobody would wait for."""
    index = DiskIndex(tmp_path / "index.sqlite", lambda digest: Entry(1, 1.0))
    await index.open()
    await index.close()
    index.note(_DIGESTS[0])
    await index.flush()
    await index.close()
    assert len(asyncio.all_tasks()) == 1
    assert _count(tmp_path / "index.sqlite") == 0
