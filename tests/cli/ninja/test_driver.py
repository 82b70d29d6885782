"""Driving a plan: how many commands run, what is asked for early, what a failure leaves behind."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from cyxmake_cli.ninja.disk import RealDisk
from cyxmake_cli.ninja.driver import EdgeResult, Turn, drive
from cyxmake_cli.ninja.graph import Edge
from cyxmake_cli.ninja.session import BuildGraph, Options

MANIFEST = """\
rule make
  command = make $out
  depfile = $out.d
  rspfile = $out.rsp
  rspfile_content = words
"""


class Recorder:
    """A runner whose commands a test writes; remembers what was handed out and what ran."""

    def __init__(self, folder: Path, command: Callable[[str], Awaitable[int]]) -> None:
        self.folder = folder
        self.command = command
        self.handed: list[str] = []
        self.begun: list[str] = []
        self.most = self.now = 0

    async def run(self, edge: Edge, turn: Turn) -> EdgeResult:
        """Take the turn, then run the test's command."""
        name = edge.outputs[0].path
        self.handed.append(name)
        await asyncio.sleep(0)
        await turn.take()
        self.begun.append(name)
        self.now += 1
        self.most = max(self.most, self.now)
        code = await self.command(name)
        self.now -= 1
        if code == 0:
            (self.folder / name).write_text(name)
        return EdgeResult(code)

    def edge_started(self, edge: Edge) -> None:
        """Nothing to show."""

    def edge_finished(self, edge: Edge, result: EdgeResult, output: bytes) -> None:
        """Nothing to show."""

    def edges_skipped(self, edges: tuple[Edge, ...]) -> None:
        """Nothing to show."""


def graph_of(folder: Path, count: int) -> BuildGraph:
    """Load and plan a graph of independent edges."""
    lines = "".join(f"build o{number}: make\n" for number in range(count))
    (folder / "build.ninja").write_text(MANIFEST + lines)
    graph = BuildGraph.load(RealDisk(str(folder)), Options())
    assert graph.plan()
    return graph


async def run(graph: BuildGraph, runner: Recorder, jobs: int, ahead: int) -> None:
    """Drive to the end."""
    clock = itertools.count()
    await drive(graph, runner, runner, jobs=jobs, ahead=ahead, now_ms=lambda: next(clock))


async def test_edges_are_handed_out_early_but_run_in_their_turn(tmp_path: Path) -> None:
    """With 2 jobs and 5 ahead, 7 edges are known to the runner and 2 run at a time."""
    known: list[int] = []

    async def command(_name: str) -> int:
        known.append(len(runner.handed))
        await asyncio.sleep(0)
        return 0

    graph = graph_of(tmp_path, 12)
    runner = Recorder(tmp_path, command)
    await run(graph, runner, jobs=2, ahead=5)
    graph.close()
    assert runner.most == 2
    assert known[0] == 7
    assert sorted(runner.begun) == sorted(f"o{number}" for number in range(12))
    assert graph.failure() == ""


async def test_a_failure_withdraws_what_has_not_begun(tmp_path: Path) -> None:
    """After a failure no other command begins, and old outputs of those edges stay."""

    async def command(_name: str) -> int:
        return 1

    graph = graph_of(tmp_path, 6)
    for number in range(6):
        (tmp_path / f"o{number}").write_text("old")
    runner = Recorder(tmp_path, command)
    await run(graph, runner, jobs=1, ahead=10)
    graph.close()
    assert len(runner.handed) == 6
    assert len(runner.begun) == 1
    assert graph.failure() == "subcommand failed"
    failed = runner.begun[0]
    assert [path.name for path in tmp_path.glob("*.rsp")] == [f"{failed}.rsp"]
    assert all((tmp_path / f"o{number}").read_text() == "old" for number in range(6))
    again = BuildGraph.load(RealDisk(str(tmp_path)), Options())
    assert again.plan()
    assert len(again.wanted()) == 6
    again.close()


async def test_cancelling_removes_only_what_had_begun(tmp_path: Path) -> None:
    """An interrupted build keeps old outputs of edges whose turn had not come."""
    begun = asyncio.Event()

    async def command(_name: str) -> int:
        begun.set()
        await asyncio.sleep(60)
        return 0

    graph = graph_of(tmp_path, 4)
    for number in range(4):
        (tmp_path / f"o{number}").write_text("old")
    runner = Recorder(tmp_path, command)
    task = asyncio.create_task(run(graph, runner, jobs=1, ahead=3))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    graph.close()
    left = {path.name for path in tmp_path.glob("o?")}
    assert left == {f"o{number}" for number in range(4)} - set(runner.begun)
    assert len(left) == 3
