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
    """

    exit_code: int
    output: bytes = b""
    where: Where = Where.LOCAL
    seconds: float = 0.0
    worker: str = ""
    reason: str = ""


class Runner(Protocol):
    """Runs one edge to its end."""

    async def run(self, edge: Edge) -> EdgeResult:
        """Run the edge's command; when cancelled, leave no process behind."""
        ...


class Listener(Protocol):
    """Hears of every edge, for the screen and the summary."""

    def edge_started(self, edge: Edge) -> None:
        """An edge was handed to the runner."""
        ...

    def edge_finished(self, edge: Edge, result: EdgeResult, output: bytes) -> None:
        """An edge ended; `output` is what a person should see of it."""
        ...

    def edges_skipped(self, edges: tuple[Edge, ...]) -> None:
        """A restat proved that these planned edges need not run."""
        ...


async def drive(
    graph: BuildGraph, runner: Runner, listener: Listener, *, jobs: int, now_ms: Callable[[], int]
) -> None:
    """Run the plan of `graph` with at most `jobs` edges at a time.

    Returns when nothing is left to do or the plan gave up (ask `graph.failure()`). When cancelled,
    running edges are cancelled, their half-written outputs removed, and CancelledError goes on.
    """
    running: dict[asyncio.Task[EdgeResult], Edge] = {}
    ended: asyncio.Queue[asyncio.Task[EdgeResult]] = asyncio.Queue()
    try:
        while graph.more_to_do():
            while len(running) < jobs and (edge := graph.next_ready()) is not None:
                graph.started(edge, now_ms())
                listener.edge_started(edge)
                task = asyncio.create_task(runner.run(edge))
                running[task] = edge
                task.add_done_callback(ended.put_nowait)
            if not running:
                break
            await _take(await ended.get(), running, graph, listener, now_ms)
            while not ended.empty():
                await _take(ended.get_nowait(), running, graph, listener, now_ms)
        while running:  # the plan gave up: what runs already is let finish, as ninja does
            await _take(await ended.get(), running, graph, listener, now_ms)
    except BaseException:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        graph.abandon(running.values())
        raise


async def _take(
    task: asyncio.Task[EdgeResult],
    running: dict[asyncio.Task[EdgeResult], Edge],
    graph: BuildGraph,
    listener: Listener,
    now_ms: Callable[[], int],
) -> None:
    result = await task
    edge = running.pop(task)
    finished = graph.finished(edge, Result(result.exit_code == 0, result.output), now_ms())
    if not finished.ok and result.exit_code == 0:  # e.g. a depfile that cannot be read
        result = EdgeResult(1, result.output, result.where, result.seconds, result.worker)
    listener.edge_finished(edge, result, finished.output)
    if finished.cleaned:
        listener.edges_skipped(finished.cleaned)
