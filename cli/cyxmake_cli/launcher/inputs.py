"""Finds the inputs of compiles that come one by one, for as long as the agent lives.

Knows nothing of requests. A build with a graph knows when its files change; here they change
between any two commands and nobody says so. So units that wait at the same moment share one look at
the files; whoever comes later is served from a look that begins later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from cyxmake_cli.cluster.batches import Asked, Batches
from cyxmake_cli.cluster.healing import Missed
from cyxmake_cli.cluster.inputs import InputRoots, UnitInputs, Wanted
from cyxmake_cli.cluster.toolchains import Toolchains
from cyxmake_cli.strategies.compile_units import CompileUnit
from cyxmake_common.cas.file_digests import FileDigests
from cyxmake_common.includes.closure import IncludeClosure, RealFileSystem
from cyxmake_common.toolchain.local import LocalOnly

CHANGED: Final = LocalOnly("the compiler has just changed")


class FreshInputs:
    """Stands in for InputRoots where there is no build to end; `toolchains` makes a new store."""

    def __init__(self, digests: FileDigests, toolchains: Callable[[], Toolchains]) -> None:
        self._digests = digests
        self._toolchains = toolchains
        self._files = RealFileSystem()
        self._closures = IncludeClosure(self._files)
        self._batches: Batches[Wanted, UnitInputs | LocalOnly]
        self._batches = Batches(self._serve, growing=False)

    def __repr__(self) -> str:
        return f"<FreshInputs {self._closures!r} {self._batches!r}>"

    async def prepare(
        self, unit: CompileUnit, missing: Missed | None = None
    ) -> UnitInputs | LocalOnly:
        """Return a root that holds everything the unit may read now, or why it is not known."""
        return await self._batches.ask((unit, missing))

    def unchanged(self, inputs: UnitInputs) -> bool:
        """Tell whether every file of a unit still is what was sent."""
        return self._digests.unchanged(inputs.files)

    async def _serve(self, batch: Sequence[Asked[Wanted, UnitInputs | LocalOnly]]) -> None:
        # Contents of scanned files are kept as long as their state is the same.
        self._files.new_generation()
        toolchains = self._toolchains()
        roots = InputRoots(self._closures, self._digests, toolchains)

        async def serve(asked: Asked[Wanted, UnitInputs | LocalOnly]) -> None:
            try:
                asked.answer(await _inputs(asked.question, roots, toolchains))
            except Exception as error:  # handed to the unit that it belongs to
                asked.answer(error)

        await asyncio.gather(*map(serve, batch))


async def _inputs(
    wanted: Wanted, roots: InputRoots, toolchains: Toolchains
) -> UnitInputs | LocalOnly:
    unit, missing = wanted
    found = await toolchains.find(unit.compiler, "/")
    if isinstance(found, LocalOnly) or found[1].id != unit.toolchain.id:
        return CHANGED
    return await roots.prepare(unit, missing)
