"""Batches: who asks at the same moment is answered together, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from cyxmake_cli.cluster.batches import Asked, Batches


@pytest.mark.parametrize(("growing", "sizes"), [(True, [4, 8, 8]), (False, [20])])
async def test_questions_of_one_moment_are_answered_together(
    growing: bool, sizes: list[int]
) -> None:
    """Growing batches double, others take all that waits; answers reach who asked."""
    seen = []

    async def serve(batch: Sequence[Asked[int, int]]) -> None:
        seen.append(len(batch))
        for asked in batch:
            asked.answer(asked.question * 2)

    batches: Batches[int, int] = Batches(serve, growing=growing)
    assert await asyncio.gather(*map(batches.ask, range(20))) == [n * 2 for n in range(20)]
    assert seen == sizes


async def test_a_batch_that_fails_leaves_nobody_waiting() -> None:
    """Its error reaches whoever has no answer; the next batch is served."""

    async def serve(batch: Sequence[Asked[int, int]]) -> None:
        for asked in batch:
            if asked.question < 0:
                raise ValueError(asked.question)
            asked.answer(asked.question)

    batches: Batches[int, int] = Batches(serve, growing=False)
    gone = asyncio.create_task(batches.ask(7))
    await asyncio.sleep(0)
    gone.cancel()
    answers = await asyncio.gather(*map(batches.ask, (1, -1, 2)), return_exceptions=True)
    assert answers[0] == 1
    assert all(isinstance(answer, ValueError) for answer in answers[1:])
    assert await asyncio.wait_for(batches.ask(3), 5) == 3
