"""Small blobs that are wanted in one turn of the loop travel together, and hold up no others."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import cast

import pytest

from cyxmake_cli.cluster.client import ClusterClient
from cyxmake_cli.cluster.cost_model import Link
from cyxmake_cli.cluster.fetches import Fetches
from cyxmake_common.digest import Digest
from cyxmake_common.errors import ConnectionLost
from cyxmake_common.protocol.transfer import BATCH_BYTES, SMALL_BYTES

CONTENTS = [f"blob {number}".encode() for number in range(40)]
ONE, TWO, THREE, *_ = (Digest.of(content) for content in CONTENTS)
HAD = {Digest.of(content): content for content in CONTENTS}
LARGE = Digest("a" * 64, SMALL_BYTES + 1)


class Cluster:
    """Stands for a client's session: records each request, and answers it when it is let."""

    def __init__(self) -> None:
        self.requests: list[list[Digest]] = []
        self.open = asyncio.Event()
        self.failure: ConnectionLost | None = None
        self.link = Link()
        self.blobs = self
        self.fetches = Fetches(cast(ClusterClient, self))

    async def get_many_bytes(self, digests: Collection[Digest]) -> dict[Digest, bytes]:
        """Answer a request."""
        self.requests.append(list(digests))
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        return {digest: HAD[digest] for digest in digests if digest in HAD}

    async def asked(self, count: int) -> None:
        """Wait until so many requests were made."""
        while len(self.requests) < count:
            await asyncio.sleep(0)


async def test_what_is_wanted_in_one_turn_is_one_request() -> None:
    """Three callers, one blob wanted twice, one that the cluster lacks."""
    cluster = Cluster()
    cluster.open.set()
    lacking = Digest.of(b"nobody has it")
    fetched = await asyncio.gather(
        cluster.fetches.fetch([ONE, TWO]),
        cluster.fetches.fetch({TWO}),
        cluster.fetches.fetch([THREE, lacking]),
    )
    assert cluster.requests == [[ONE, TWO, THREE, lacking]]
    assert fetched[0][ONE] == HAD[ONE]
    assert fetched[1][TWO] == HAD[TWO]
    assert fetched[2][THREE] == HAD[THREE]
    assert lacking not in fetched[2]


async def test_requests_do_not_wait_for_each_other() -> None:
    """What is wanted a turn later is asked for at once, and so is what is large."""
    cluster = Cluster()
    tasks = [asyncio.create_task(cluster.fetches.fetch([ONE]))]
    await cluster.asked(1)
    tasks.append(asyncio.create_task(cluster.fetches.fetch([TWO])))
    tasks.append(asyncio.create_task(cluster.fetches.fetch([LARGE, THREE])))
    await cluster.asked(3)
    assert sorted(cluster.requests, key=len) == [[ONE], [TWO], [LARGE, THREE]]
    cluster.open.set()
    assert [len(fetched) for fetched in await asyncio.gather(*tasks)] == [1, 1, 1]


async def test_one_request_is_not_larger_than_a_message() -> None:
    """Forty blobs of nearly the most a small one has are asked for in three requests."""
    cluster = Cluster()
    cluster.open.set()
    blobs = [Digest(f"{number:064x}", SMALL_BYTES) for number in range(40)]
    await asyncio.gather(*(cluster.fetches.fetch([blob]) for blob in blobs))
    assert [len(request) for request in cluster.requests] == [16, 16, 8]
    assert [digest for request in cluster.requests for digest in request] == blobs
    assert BATCH_BYTES == 16 * SMALL_BYTES


async def test_a_caller_that_gives_up_takes_nobody_along() -> None:
    """The others of its request get their blobs; when all give up, nothing is left behind."""
    cluster = Cluster()
    one = asyncio.create_task(cluster.fetches.fetch([ONE]))
    two = asyncio.create_task(cluster.fetches.fetch([TWO]))
    await cluster.asked(1)
    one.cancel()
    cluster.open.set()
    assert (await two)[TWO] == HAD[TWO]
    with pytest.raises(asyncio.CancelledError):
        await one


async def test_a_lost_line_is_told_to_all_and_forgotten() -> None:
    """Everyone who waits for the request hears of it; the next one is made anew."""
    cluster = Cluster()
    cluster.open.set()
    cluster.failure = ConnectionLost("gone")
    results = await asyncio.gather(
        cluster.fetches.fetch([ONE]), cluster.fetches.fetch([TWO]), return_exceptions=True
    )
    assert [type(result) for result in results] == [ConnectionLost, ConnectionLost]
    cluster.failure = None
    assert (await cluster.fetches.fetch([ONE]))[ONE] == HAD[ONE]
