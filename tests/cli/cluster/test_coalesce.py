"""Questions asked together travel together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from cyxmake_cli.cluster.coalesce import Coalescer


class Asked:
    """Records each request; answers with the key doubled, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.error = error

    async def __call__(self, keys: Sequence[int]) -> Mapping[int, int]:
        self.batches.append(list(keys))
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return {key: key * 2 for key in keys}


async def test_simultaneous_questions_are_one_request() -> None:
    """Three callers, two of them with the same key: one request with two keys."""
    asked = Asked()
    asked.gate.set()
    ask = Coalescer(asked)
    assert list(await asyncio.gather(ask.get(1), ask.get(2), ask.get(1))) == [2, 4, 2]
    assert asked.batches == [[1, 2]]


async def test_questions_gather_while_a_request_is_under_way() -> None:
    """What is asked meanwhile is the next request."""
    asked = Asked()
    ask = Coalescer(asked)
    first = asyncio.create_task(ask.get(1))
    while not asked.batches:
        await asyncio.sleep(0)
    later = [asyncio.create_task(ask.get(key)) for key in (2, 3)]
    await asyncio.sleep(0)
    asked.gate.set()
    assert [await first, *[await task for task in later]] == [2, 4, 6]
    assert asked.batches == [[1], [2, 3]]


async def test_a_batch_has_a_limit() -> None:
    """More keys than fit are asked for in several requests."""
    asked = Asked()
    asked.gate.set()
    assert await Coalescer(asked, most=2).get_all(range(5)) == [0, 2, 4, 6, 8]
    assert [len(batch) for batch in asked.batches] == [2, 2, 1]


async def test_a_failed_request_fails_its_callers_only() -> None:
    """The error reaches everyone who waits for that request; the next one is made anew."""
    asked = Asked(ValueError("no"))
    asked.gate.set()
    ask = Coalescer(asked)
    results = await asyncio.gather(ask.get(1), ask.get(2), return_exceptions=True)
    assert [type(result) for result in results] == [ValueError, ValueError]
    asked.error = None
    assert await ask.get(1) == 2


async def test_a_cancelled_caller_does_not_cancel_the_others() -> None:
    """Callers that share a key are independent of each other."""
    asked = Asked()
    ask = Coalescer(asked)
    one, two = asyncio.create_task(ask.get(1)), asyncio.create_task(ask.get(1))
    while not asked.batches:
        await asyncio.sleep(0)
    one.cancel()
    asked.gate.set()
    assert await two == 2
    with pytest.raises(asyncio.CancelledError):
        await one
