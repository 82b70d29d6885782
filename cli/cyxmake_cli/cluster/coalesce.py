"""Many small questions asked at the same moment become one request.

Knows nothing of what is asked. While one request is on its way, later questions gather for the
next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Coalescer(Generic[K, V]):
    """Collects keys and asks for them together; a failed request fails all who wait for it."""

    def __init__(
        self, ask: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]], *, most: int = 5_000
    ) -> None:
        self._ask = ask
        self._most = most
        self._waiting: dict[K, asyncio.Future[V]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V:
        """Return the answer for one key; raises what the request raised."""
        return (await self.get_all([key]))[0]

    async def get_all(self, keys: Iterable[K]) -> list[V]:
        """Return the answers for several keys, in their order."""
        futures = []
        for key in keys:
            future = self._waiting.get(key)
            if future is None:
                future = self._waiting[key] = asyncio.get_running_loop().create_future()
            futures.append(future)
        if self._waiting and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run())
        # Shielded: the same future may serve another caller when this one is cancelled.
        return [await asyncio.shield(future) for future in futures]

    async def _run(self) -> None:
        await asyncio.sleep(0)  # let everyone who is ready in this turn of the loop ask too
        while self._waiting:
            batch = {key: self._waiting.pop(key) for key in list(self._waiting)[: self._most]}
            try:
                answers = await self._ask(list(batch))
            except Exception as error:
                for future in batch.values():
                    if not future.done():
                        future.set_exception(error)
                        future.exception()  # seen here: a cancelled caller leaves nobody to look
                continue
            for key, future in batch.items():
                if not future.done():
                    future.set_result(answers[key])
