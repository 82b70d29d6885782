"""An edge that runs in two places: one result, one writer, nothing left running."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cyxmake_cli.cluster.lanes import Lane, Lanes
from cyxmake_cli.cluster.race_events import Rules
from cyxmake_cli.cluster.racing import Racing
from cyxmake_cli.cluster.way import Overtaken
from cyxmake_cli.ninja.driver import EdgeResult, Turn, Where
from cyxmake_common.execution.process import ProcessRequest, run_process
from cyxmake_common.toolchain.local import LocalOnly

THERE = EdgeResult(0, b"there", Where.REMOTE, 1.0, "w1")


class Field:
    """One edge whose command here is a shell script, in a folder of its own."""

    def __init__(self, folder: Path, script: str, seconds: float = 0.0) -> None:
        self.output = folder / "out"
        self._script = script
        self._folder = folder
        self.lanes = Lanes(Racing(Rules(cores=1)))
        turn = Turn(asyncio.Semaphore(1), lambda: None)
        # An edge that takes no time waits for no answer: it is begun here at once.
        self.lane: Lane = self.lanes.enter("edge", turn, 1.0, seconds, True)

    async def here(self, reason: str) -> EdgeResult:
        """Run the script."""
        done = await run_process(ProcessRequest(self._script, cwd=self._folder))
        return EdgeResult(done.exit_code, done.stdout, Where.LOCAL, done.seconds, reason=reason)

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is seen."""
        deadline = time.monotonic() + 30
        while not true():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    def left(self) -> bool:
        """Tell whether the script still runs."""
        return any(
            str(self._folder) in _link(process / "cwd")
            for process in Path("/proc").iterdir()
            if process.name.isdigit()
        )


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


async def test_the_cluster_wins(tmp_path: Path) -> None:
    """The process here is gone before the result is put in place, and cannot write over it."""
    field = Field(tmp_path, "echo half > out; sleep 60; echo late > out")

    async def there() -> EdgeResult | LocalOnly:
        await field.until(field.output.exists)
        await field.lane.claim()
        assert not field.left()
        field.output.write_text("whole")
        return THERE

    assert await field.lane.run(there(), field.here) == THERE
    assert field.output.read_text() == "whole"
    assert field.lanes.racing.totals.there == 1
    await field.lanes.close()


async def test_this_machine_wins(tmp_path: Path) -> None:
    """A result that comes after the process here has ended is not put in place."""
    field = Field(tmp_path, "echo here > out")
    dropped = False

    async def there() -> EdgeResult | LocalOnly:
        nonlocal dropped
        try:
            await asyncio.sleep(60)
        finally:
            with pytest.raises(Overtaken):
                await field.lane.claim()
            dropped = True
        return THERE

    result = await field.lane.run(there(), field.here)
    assert (result.where, result.exit_code) == (Where.LOCAL, 0)
    assert "cache took too long" in result.reason
    assert dropped
    assert field.output.read_text() == "here\n"
    await field.lanes.close()


async def test_a_failure_there_leaves_the_run_here(tmp_path: Path) -> None:
    """When the cluster gives up while the edge runs here, it is not run here again."""
    field = Field(tmp_path, "echo run >> log; sleep 0.3")

    async def there() -> EdgeResult | LocalOnly:
        await field.until((tmp_path / "log").exists)
        return LocalOnly("no worker")

    assert (await field.lane.run(there(), field.here)).where is Where.LOCAL
    assert (tmp_path / "log").read_text() == "run\n"
    await field.lanes.close()


async def test_a_failed_command_is_a_verdict(tmp_path: Path) -> None:
    """An exit status of this machine ends the race, whatever the cluster would say."""
    field = Field(tmp_path, "exit 3")
    result = await field.lane.run(_never(), field.here)
    assert result.exit_code == 3
    await field.lanes.close()


async def test_a_result_that_cannot_be_placed(tmp_path: Path) -> None:
    """A claim that comes to nothing: the edge runs here from the start."""
    field = Field(tmp_path, "echo run >> log; test $(wc -l < log) = 2 || sleep 60")

    async def there() -> EdgeResult | LocalOnly:
        await field.until((tmp_path / "log").exists)
        await field.lane.claim()
        return LocalOnly("disk full")

    result = await field.lane.run(there(), field.here)
    assert (result.exit_code, result.reason) == (0, "disk full")
    assert (tmp_path / "log").read_text() == "run\nrun\n"
    await field.lanes.close()


async def test_stopping_stops_both(tmp_path: Path) -> None:
    """A cancelled edge leaves no process."""
    field = Field(tmp_path, "echo run > log; sleep 60")
    task = asyncio.create_task(field.lane.run(_never(), field.here))
    await field.until((tmp_path / "log").exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not field.left()
    assert not field.lanes.racing.under_way()
    await field.lanes.close()


async def _never() -> EdgeResult | LocalOnly:
    await asyncio.Event().wait()
    raise AssertionError
