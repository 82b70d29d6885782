"""Runs the tools of several fixes at the same time, each with a claim on the places it changes.

Knows no cause and no journal. Two that want one place go one after the other. An interrupt ends
all of them, with their whole trees, before it goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cyxmake_cli.agents.errors import Conflict
from cyxmake_cli.agents.locks import Locks
from cyxmake_common.execution.process import ProcessRequest, run_process

_AT_ONCE: Final = 4
_WAIT_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class ToolRun:
    """A tool to run, and the places that it changes."""

    request: ProcessRequest
    places: frozenset[str]


def run_tools(runs: Sequence[ToolRun]) -> list[str]:
    """Run tools to their end; returns what went wrong with each, empty: nothing."""
    return asyncio.run(_all(runs))


async def _all(runs: Sequence[ToolRun]) -> list[str]:
    locks, slots = Locks(), asyncio.Semaphore(_AT_ONCE)

    async def one(number: int, run: ToolRun) -> str:
        try:
            async with locks.claim(f"fix {number}", run.places, _WAIT_SECONDS), slots:
                return await _one(run.request)
        except Conflict as error:
            return error.message

    return await asyncio.gather(*(one(number, run) for number, run in enumerate(runs)))


async def _one(request: ProcessRequest) -> str:
    program = request.command[0]
    try:
        done = await run_process(request)
    except OSError as error:
        return f"{program} cannot be run: {error.strerror}"
    if done.succeeded:
        return ""
    said = done.stdout.decode("utf-8", "replace").strip().splitlines()
    return f"{program}: {said[-1] if said else 'failed'}"
