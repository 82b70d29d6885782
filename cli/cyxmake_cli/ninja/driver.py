"""Runs a planned build: starts ready edges, feeds what came of them back into the plan.

Knows nothing of where an edge runs: a Runner does that. Failures of tools are values here; the only
exceptions are cancellation and errors in the build files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from cyxmake_cli.ninja.graph import Edge
from cyxmake_cli.ninja.session import BuildGraph, Result


class Where(StrEnum):
    """Where an edge's outputs came from."""

    LOCAL = "local"
    REMOTE = "remote"
    CACHE = "cache"


@dataclass(frozen=True, slots=True)
class EdgeResult:
    """What came of one edge: exit code, merged output, where it ran, why not remotely.

    `seconds` is the time of the command itself; for a cache hit, the time it took when it ran.
    `detail` are the figures behind the reason.
    `depfile` are the bytes of a depfile that was not written: see Result.
    """

    exit_code: int
    output: bytes = b""
    where: Where = Where.LOCAL
    seconds: float = 0.0
    worker: str = ""
    reason: str = ""
    detail: str = ""
    depfile: bytes | None = None


class Turn:
    """One edge's right to run a command; looking for its result beforehand needs none."""

    def __init__(self, slots: asyncio.Semaphore, begun: Callable[[], None]) -> None:
        self._slots = slots
        self._begun = begun
        self._taking = asyncio.Lock()
        self.taken = False

    async def take(self) -> None:
        """Wait until one more command may run; taking it again is free."""
        async with self._taking:  # an edge that runs in two places has one turn
            if not self.taken:
                await self._slots.acquire()
                self.taken = True
                self._begun()

    def give_back(self) -> None:
        """Let another edge have the slot, if this one had it."""
        if self.taken:
            self._slots.release()


class Runner(Protocol):
    """Runs one edge to its end."""

    async def run(self, edge: Edge, turn: Turn) -> EdgeResult:
        """Run the edge's command in its turn; when cancelled, leave no process behind."""
        ...


class Listener(Protocol):
    """Hears of every edge, for the screen and the summary."""

    def edge_started(self, edge: Edge) -> None:
        """An edge's turn has come, or its result was there without one."""
        ...

    def edge_finished(self, edge: Edge, result: EdgeResult, output: bytes) -> None:
        """An edge ended; `output` is what a person should see of it."""
        ...

    def edges_skipped(self, edges: tuple[Edge, ...]) -> None:
        """A restat proved that these planned edges need not run."""
        ...


@dataclass(frozen=True, slots=True)
class _Running:
    """An edge that was handed to the runner."""

    edge: Edge
    turn: Turn


async def drive(
    graph: BuildGraph,
    runner: Runner,
    listener: Listener,
    *,
    jobs: int,
    now_ms: Callable[[], int],
    ahead: int = 0,
) -> None:
    """Run the plan of `graph` with at most `jobs` commands at a time.

    So many more edges as `ahead` says are handed to the runner early: it can ask for their results
    and inputs together. Returns when nothing is left to do or the plan gave up (ask
    `graph.failure()`). When cancelled, running edges are cancelled, their half-written outputs
    removed, and CancelledError goes on.
    """
    slots = asyncio.Semaphore(jobs)
    running: dict[asyncio.Task[EdgeResult], _Running] = {}
    ended: asyncio.Queue[asyncio.Task[EdgeResult]] = asyncio.Queue()

    def start(edge: Edge) -> None:
        def begun() -> None:
            graph.begun(edge, now_ms())
            listener.edge_started(edge)

        graph.started(edge, now_ms())
        turn = Turn(slots, begun)
        task = asyncio.create_task(runner.run(edge, turn))
        running[task] = _Running(edge, turn)
        task.add_done_callback(ended.put_nowait)

    def take(task: asyncio.Task[EdgeResult]) -> None:
        one = running.pop(task)
        if task.cancelled():
            graph.withdraw(one.edge)
            return
        one.turn.give_back()
        if not one.turn.taken:
            listener.edge_started(one.edge)
        _book(one.edge, task.result(), graph, listener, now_ms())

    try:
        while graph.more_to_do():
            while len(running) < jobs + ahead and (edge := graph.next_ready()) is not None:
                start(edge)
            if not running:
                break
            take(await ended.get())
            while not ended.empty():
                take(ended.get_nowait())
            if graph.gave_up():  # what runs already is let finish, as ninja does
                for task in [task for task, one in running.items() if not one.turn.taken]:
                    task.cancel()
        while running:
            take(await ended.get())
    except BaseException:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for task, one in running.items():
            if not one.turn.taken and task.cancelled():
                graph.withdraw(one.edge)
        graph.abandon(one.edge for one in running.values())
        raise


def _book(
    edge: Edge, result: EdgeResult, graph: BuildGraph, listener: Listener, now_ms: int
) -> None:
    told = Result(result.exit_code == 0, result.output, result.depfile)
    finished = graph.finished(edge, told, now_ms)
    if not finished.ok and result.exit_code == 0:  # e.g. a depfile that cannot be read
        result = EdgeResult(1, result.output, result.where, result.seconds, result.worker)
    listener.edge_finished(edge, result, finished.output)
    if finished.cleaned:
        listener.edges_skipped(finished.cleaned)
