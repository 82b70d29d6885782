"""Carries out what racing decides for the edges of one build: clears, starts and stops them.

Knows nothing of compilers and connections. Of an edge that runs in both places, the second never
writes: a result from the cluster is put in place only after the process here has ended, and one
that comes after that process has succeeded is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

from cyxmake_cli.cluster import race_events as ev
from cyxmake_cli.cluster.racing import Racing
from cyxmake_cli.cluster.shipping import Shipper
from cyxmake_cli.cluster.way import Overtaken, Tools, Way
from cyxmake_cli.ninja.driver import EdgeResult, Turn, Where
from cyxmake_common.clock import monotonic
from cyxmake_common.errors import CyxError
from cyxmake_common.toolchain.local import LocalOnly

_TICK_SECONDS: Final = 0.1

There = Coroutine[None, None, EdgeResult | LocalOnly]
Here = Callable[[str], Awaitable[EdgeResult]]
"""Runs an edge's command on this machine; its result gives this reason."""


class Lanes:
    """The edges of one build that are under way."""

    def __init__(self, racing: Racing) -> None:
        self.racing = racing
        self._lanes: dict[str, Lane] = {}
        self._shipper: Shipper | None = None
        self._shipped: dict[str, Tools] = {}
        self._shipping: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._feeding = False
        self._events: list[ev.Event] = []

    def __repr__(self) -> str:
        return f"<Lanes {self.racing!r}>"

    def enter(self, name: str, turn: Turn, rank: float, seconds: float | None, raced: bool) -> Lane:
        """Take an edge that is ready to run; `seconds` is what it took before."""
        lane = self._lanes[name] = Lane(self, name, turn, rank)
        self.feed(ev.Wanted(name, rank, seconds, raced))
        return lane

    def leave(self, name: str) -> None:
        """Forget an edge."""
        self._lanes.pop(name, None)

    def joined(self, event: ev.Joined, shipper: Shipper) -> None:
        """There is a cluster now."""
        self._shipper = shipper
        self.feed(event)
        for tools in self._shipped.values():
            self._look_at(tools)

    async def close(self) -> None:
        """Stop what goes on in the background."""
        if self._timer is not None:
            self._timer.cancel()
        tasks = list(self._shipping.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ── the one door ────────────────────────────────────────────────────────────────────────────

    def feed(self, event: ev.Event) -> None:
        """Tell the core what happens, and carry out what it decides."""
        self._events.append(event)
        if self._feeding:
            return  # a deed of ours told at once what came of it
        self._feeding = True
        try:
            while self._events:
                for effect in self.racing.handle(self._events.pop(0), monotonic()):
                    self._carry_out(effect)
        finally:
            self._feeding = False
        if self._timer is None and self.racing.under_way():
            self._timer = asyncio.get_running_loop().call_later(_TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.feed(ev.Tick())

    def _carry_out(self, effect: ev.Effect) -> None:
        match effect:
            case ev.RunHere(name):
                self._lanes[name].run_here(effect)
            case ev.Send(name):
                self._lanes[name].clear()
            case ev.Ship(tools):
                self._shipping[tools] = asyncio.ensure_future(self._ship(self._shipped[tools]))
            case ev.StopShipping(tools):
                self._shipping[tools].cancel()

    # ── toolchains ──────────────────────────────────────────────────────────────────────────────

    def needs(self, tools: Tools) -> str:
        """Take note of a toolchain that an edge needs in the cluster; return its name."""
        name = str(tools.id)
        if name not in self._shipped:
            self._shipped[name] = tools
            self._look_at(tools)
        return name

    def _look_at(self, tools: Tools) -> None:
        if self._shipper is not None and self.racing.ships:
            self._shipping[str(tools.id)] = asyncio.ensure_future(self._ask(tools, self._shipper))

    async def _ask(self, tools: Tools, shipper: Shipper) -> None:
        # What can't be told here is told again when an action is sent, with its own reason.
        lacking = 0
        with contextlib.suppress(CyxError, OSError):
            lacking = await shipper.lacking(tools)
        self.feed(ev.Tools(str(tools.id), lacking))

    async def _ship(self, tools: Tools) -> None:
        with contextlib.suppress(CyxError, OSError):
            if self._shipper is not None:
                await self._shipper.ship(tools)
        self.feed(ev.Tools(str(tools.id), 0))


class Lane(Way):
    """One edge: its way to the cluster, its run here, and which of the two counts."""

    def __init__(self, lanes: Lanes, name: str, turn: Turn, rank: float) -> None:
        self.rank = rank
        self._lanes = lanes
        self._name = name
        self._turn = turn
        loop = asyncio.get_running_loop()
        self._granted: asyncio.Future[ev.RunHere] = loop.create_future()
        self._cleared: asyncio.Future[None] = loop.create_future()
        self._waits = False
        self._claimed = False
        self._here: asyncio.Task[EdgeResult] | None = None

    def __repr__(self) -> str:
        return f"<Lane {self._name}{' waits' if self._waits else ''}>"

    async def run(self, there: There, here: Here) -> EdgeResult:
        """Have the edge done where it is done first; `there` says LocalOnly when it cannot."""
        remote = asyncio.ensure_future(there)
        result: EdgeResult | None = None
        try:
            await _first(remote, self._granted)
            result = await (self._one(remote, here) if remote.done() else self._both(remote, here))
            return result
        finally:
            await self._end(result, remote)

    async def run_only_here(self, reason: str, here: Here) -> EdgeResult:
        """Have the edge done here when a core is free."""
        result: EdgeResult | None = None
        try:
            self._lanes.feed(ev.OnlyHere(self._name))
            await self._granted
            result = await here(reason)
            return result
        finally:
            await self._end(result, None)

    async def _one(self, remote: asyncio.Future[EdgeResult | LocalOnly], here: Here) -> EdgeResult:
        done = remote.result()
        if isinstance(done, EdgeResult):
            return done
        self._lanes.feed(ev.OnlyHere(self._name))
        await self._granted
        return await here(done.reason)

    async def _both(self, remote: asyncio.Future[EdgeResult | LocalOnly], here: Here) -> EdgeResult:
        grant = self._granted.result()
        if self._waits:
            remote.cancel()
        self._here = asyncio.ensure_future(here(grant.why.value))
        await _first(remote, self._here)
        if self._claimed:
            done = await remote
            if isinstance(done, EdgeResult):
                return done
            return await here(done.reason)  # its result could not be put in place
        if not self._here.done() and not remote.cancelled():
            remote.result()  # raises what only a new plan can mend
        result = await self._here
        return replace(result, detail=grant.detail)

    async def _end(
        self, result: EdgeResult | None, remote: asyncio.Future[EdgeResult | LocalOnly] | None
    ) -> None:
        if result is None:
            self._lanes.feed(ev.Dropped(self._name))
        else:
            local = result.where is Where.LOCAL
            self._lanes.feed(ev.Ended(self._name, local, result.seconds))
        self._lanes.leave(self._name)
        left = [task for task in (remote, self._here) if task is not None and not task.done()]
        for task in left:
            task.cancel()
        both = [task for task in (remote, self._here) if task is not None]
        await asyncio.gather(*both, return_exceptions=True)

    # ── what the core decided ───────────────────────────────────────────────────────────────────

    def run_here(self, grant: ev.RunHere) -> None:
        """Let the edge run on this machine."""
        if not self._granted.done():
            self._granted.set_result(grant)

    def clear(self) -> None:
        """Let the edge be sent."""
        if not self._cleared.done():
            self._cleared.set_result(None)

    # ── what its way tells ──────────────────────────────────────────────────────────────────────

    async def missed(self, tools: Tools, told: float | None = None) -> None:
        """Wait until the core wants the edge sent; it may want it here instead."""
        self._waits = True
        self._lanes.feed(ev.Missed(self._name, self._lanes.needs(tools), told))
        await self._cleared
        self._waits = False

    async def begin(self) -> None:
        """Wait for the edge's turn."""
        await self._turn.take()

    def uploaded(self, size: int) -> None:
        """Tell what the edge cost on the line."""
        self._lanes.racing.model.uploaded(size)

    def executing(self, worker: str) -> None:
        """Tell that a worker runs it."""
        self._lanes.feed(ev.Executing(self._name, worker))

    def coming(self, size: int, seconds: float, *, hit: bool) -> None:
        """Tell that the result is on its way."""
        self._lanes.feed(ev.Coming(self._name, size, hit, seconds))

    async def claim(self) -> None:
        """Stop the edge's process here, if there is one, before anything is put in place."""
        if self._here is None:
            return
        if self._here.done():
            raise Overtaken
        self._claimed = True
        self._here.cancel()
        await asyncio.wait({self._here})


async def _first(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
