"""Questions that come at about the same moment, answered together.

Knows no question. While one batch is being answered the next one gathers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

_FIRST: Final = 4
_LARGEST: Final = 512

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Asked(Generic[Q, A]):
    """One question, and who waits for the answer."""

    question: Q
    future: asyncio.Future[A]

    def answer(self, answer: A | Exception) -> None:
        """Give an answer, or what came in its way; nobody waits any more when it was cancelled."""
        if self.future.done():
            return
        if isinstance(answer, Exception):
            self.future.set_exception(answer)
        else:
            self.future.set_result(answer)


class Batches(Generic[Q, A]):
    """Hands batches to `serve`, which answers every question of one.

    `growing` batches double: the first question need not wait for the last one's answer, and many
    questions still make few batches. Others take all that waits.
    """

    def __init__(
        self, serve: Callable[[Sequence[Asked[Q, A]]], Awaitable[None]], *, growing: bool
    ) -> None:
        self._serve = serve
        self._size = _FIRST if growing else None
        self._waiting: list[Asked[Q, A]] = []
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Batches {len(self._waiting)} waiting>"

    async def ask(self, question: Q) -> A:
        """Return the answer; raises what `serve` met with."""
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append(Asked(question, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # let every question that is ready now join
            size = self._size or len(self._waiting)
            batch, self._waiting = self._waiting[:size], self._waiting[size:]
            if self._size is not None:
                self._size = min(self._size * 2, _LARGEST)
            try:
                await self._serve(batch)
            except Exception as error:  # handed to everyone who has no answer yet
                for asked in batch:
                    asked.answer(error)
