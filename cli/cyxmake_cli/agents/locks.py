"""Who works on which places now: a claim is for all its places at once, or waits.

Nobody holds one place while waiting for another, so that no two can wait for each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from cyxmake_cli.agents.errors import Conflict


class Locks:
    """The claims of one project."""

    def __init__(self) -> None:
        self._holders: dict[str, str] = {}
        self._changed = asyncio.Condition()

    def __repr__(self) -> str:
        return f"<Locks {self._holders}>"

    def holder(self, place: str) -> str | None:
        """Return who works on a place."""
        return self._holders.get(place)

    @asynccontextmanager
    async def claim(self, owner: str, places: Iterable[str], seconds: float) -> AsyncIterator[None]:
        """Hold places; raises Conflict when others hold them for longer than that."""
        wanted = frozenset(places)
        if owner in self._holders.values():
            raise Conflict(f"{owner} holds places already: it claims all of them at once")
        async with self._changed:
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait_for(lambda: not wanted & self._holders.keys())
            except TimeoutError:
                place = min(wanted & self._holders.keys(), default=min(wanted))
                raise Conflict(f"{self._holders.get(place)} works on {place}") from None
            self._holders.update(dict.fromkeys(wanted, owner))
        try:
            yield
        finally:
            for place in wanted:
                del self._holders[place]
            async with self._changed:
                self._changed.notify_all()
