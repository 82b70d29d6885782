"""Fetching into the local store: each blob once, whoever asks; what is missing is named."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from cyxmake_common.cas.memory import MemoryStore
from cyxmake_common.cas.store import BlobStore, read_all, write_all
from cyxmake_common.digest import EMPTY, Digest
from cyxmake_common.errors import ConnectionLost
from cyxmake_worker.fetch import Fetcher, MissingInputs

ONE, TWO, THREE = (Digest.of(data) for data in (b"1", b"2", b"3"))
HAS = {ONE: b"1", TWO: b"2"}


class Origin:
    """Blobs that are handed out when the test lets them."""

    def __init__(self, *, ready: bool = True) -> None:
        self.asked: list[Digest] = []
        self.ready = asyncio.Event()
        self.broken = False
        if ready:
            self.ready.set()

    async def get_many_to_store(
        self, digests: Collection[Digest], store: BlobStore
    ) -> frozenset[Digest]:
        """Copy what there is."""
        self.asked += digests
        await self.ready.wait()
        if self.broken:
            raise ConnectionLost("cut")
        for digest in digests:
            if digest in HAS:
                await write_all(store, HAS[digest], digest)
        return frozenset(d for d in digests if d not in HAS)


async def test_what_is_here_is_not_asked_for() -> None:
    """Nor is the empty blob."""
    origin, store = Origin(), MemoryStore()
    fetcher = Fetcher(origin, store)
    assert await fetcher.read(ONE) == b"1"
    await fetcher.ensure([ONE, EMPTY])
    assert origin.asked == [ONE]


async def test_two_who_want_the_same_share_one_transfer() -> None:
    """The first one's end does not end it for the second."""
    origin, store = Origin(ready=False), MemoryStore()
    fetcher = Fetcher(origin, store)
    first = asyncio.create_task(fetcher.ensure([ONE, TWO]))
    await asyncio.sleep(0)
    second = asyncio.create_task(fetcher.ensure([TWO]))
    while "2 blobs" not in repr(fetcher):
        await asyncio.sleep(0)
    first.cancel()
    origin.ready.set()
    await second
    assert sorted(origin.asked) == sorted([ONE, TWO])
    assert await read_all(store, TWO) == b"2"
    assert "0 blobs" in repr(fetcher)


async def test_missing_blobs_are_named_to_those_who_want_them() -> None:
    """Others in the same transfer are served."""
    origin, store = Origin(ready=False), MemoryStore()
    fetcher = Fetcher(origin, store)
    unlucky = asyncio.create_task(fetcher.ensure([ONE, THREE]))
    await asyncio.sleep(0)
    lucky = asyncio.create_task(fetcher.ensure([ONE]))
    origin.ready.set()
    with pytest.raises(MissingInputs) as caught:
        await unlucky
    assert caught.value.digests == (THREE,)
    await lucky


async def test_a_lost_connection_reaches_everyone_and_is_forgotten() -> None:
    """The next call begins anew."""
    origin, store = Origin(), MemoryStore()
    fetcher = Fetcher(origin, store)
    origin.broken = True
    with pytest.raises(ConnectionLost):
        await fetcher.ensure([ONE])
    origin.broken = False
    await fetcher.ensure([ONE])
