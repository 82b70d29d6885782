"""Finds the inputs of compiles that come one by one, for as long as the agent lives.

Knows nothing of requests. A build with a graph knows when its files change; here they change
between any two commands and nobody says so. So units that wait at the same moment share one look at
the files; whoever comes later is served from a look that begins later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from cyxmake_cli.cluster.healing import Missed
from cyxmake_cli.cluster.inputs import InputRoots, UnitInputs
from cyxmake_cli.cluster.toolchains import Toolchains
from cyxmake_cli.strategies.compile_units import CompileUnit
from cyxmake_common.cas.file_digests import FileDigests
from cyxmake_common.includes.closure import IncludeClosure, RealFileSystem
from cyxmake_common.toolchain.local import LocalOnly

_Answer = UnitInputs | LocalOnly
_Waiting = tuple[CompileUnit, Missed | None, "asyncio.Future[_Answer]"]

CHANGED: Final = LocalOnly("the compiler has just changed")


class FreshInputs:
    """Stands in for InputRoots where there is no build to end; `toolchains` makes a new store."""

    def __init__(self, digests: FileDigests, toolchains: Callable[[], Toolchains]) -> None:
        self._digests = digests
        self._toolchains = toolchains
        self._files = RealFileSystem()
        self._closures = IncludeClosure(self._files)
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<FreshInputs {self._closures!r} {len(self._waiting)} waiting>"

    async def prepare(
        self, unit: CompileUnit, missing: Missed | None = None
    ) -> UnitInputs | LocalOnly:
        """Return a root that holds everything the unit may read now, or why it is not known."""
        future: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((unit, missing, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return await future

    def unchanged(self, inputs: UnitInputs) -> bool:
        """Tell whether every file of a unit still is what was sent."""
        return self._digests.unchanged(inputs.files)

    async def _run(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # let every unit that is ready now join
            batch, self._waiting = self._waiting, []
            # Contents of scanned files are kept as long as their state is the same.
            self._files.new_generation()
            toolchains = self._toolchains()
            roots = InputRoots(self._closures, self._digests, toolchains)
            await asyncio.gather(*(self._answer(roots, toolchains, *one) for one in batch))

    async def _answer(
        self,
        roots: InputRoots,
        toolchains: Toolchains,
        unit: CompileUnit,
        missing: Missed | None,
        future: asyncio.Future[_Answer],
    ) -> None:
        try:
            found = await toolchains.find(unit.compiler, "/")
            if isinstance(found, LocalOnly) or found[1].id != unit.toolchain.id:
                answer: _Answer = CHANGED
            else:
                answer = await roots.prepare(unit, missing)
        except Exception as error:  # handed to the unit that it belongs to
            if not future.done():
                future.set_exception(error)
            return
        if not future.done():
            future.set_result(answer)
