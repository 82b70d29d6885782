"""Puts sources and headers of a build into one growing input root.

Knows nothing of connections. All units that miss the cache at about the same time share one root,
so a worker materialises it once for all of them. Batches double: the first unit need not wait
until the last one is scanned, and a large build still makes few roots.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from cyxmake_common.toolchain.identity import Toolchain

from cyxmake_cli.strategies.compile_units import CompileUnit
from cyxmake_common.cas.tree import InputTree
from cyxmake_common.cas.tree_scan import FileDigests, TreeScanner
from cyxmake_common.digest import Digest
from cyxmake_common.includes.closure import IncludeClosure

_FIRST_BATCH: Final = 4
_LARGEST_BATCH: Final = 512

Source = str | bytes
"""Where the bytes of a blob are: a file's path, or the bytes themselves."""


@dataclass(frozen=True, slots=True)
class InputRoot:
    """A sealed input root: its digest, and where each of its blobs can be read."""

    digest: Digest
    blobs: dict[Digest, Source]


class InputRoots:
    """Collects units, hands out roots."""

    def __init__(self, closures: IncludeClosure, digests: FileDigests) -> None:
        self._closures = closures
        self._tree = InputTree()
        self._paths: dict[Digest, str] = {}
        self._digests = digests
        self._scanner = TreeScanner(self._tree, self._digest)
        self._waiting: list[tuple[CompileUnit, Toolchain, asyncio.Future[InputRoot]]] = []
        self._batch = _FIRST_BATCH
        self._task: asyncio.Task[None] | None = None

    async def root_for(self, unit: CompileUnit, toolchain: Toolchain) -> InputRoot:
        """Return a root that holds everything the unit reads; raises OSError for a lost source."""
        future: asyncio.Future[InputRoot] = asyncio.get_running_loop().create_future()
        self._waiting.append((unit, toolchain, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return await future

    def forget(self, path: str) -> None:
        """Drop what is remembered of a file that an edge has written."""
        self._closures.forget(path)
        self._digests.forget(path)

    async def _run(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # let every unit that is ready now join
            batch, self._waiting = self._waiting[: self._batch], self._waiting[self._batch :]
            self._batch = min(self._batch * 2, _LARGEST_BATCH)
            added = []
            for unit, toolchain, future in batch:
                try:
                    self._add(unit, toolchain)
                    added.append(future)
                except Exception as error:
                    if not future.done():
                        future.set_exception(error)
                await asyncio.sleep(0)  # scanning is quick but not free: let messages through
            if not added:
                continue
            digest, directories = self._tree.build()
            blobs: dict[Digest, Source] = {**self._paths, **directories}
            root = InputRoot(digest, blobs)
            for future in added:
                if not future.done():
                    future.set_result(root)

    def _add(self, unit: CompileUnit, toolchain: Toolchain) -> None:
        closure = self._closures.closure(unit.command, unit.directory, toolchain)
        self._scanner.add_directory(unit.directory)
        for path in closure.directories:
            self._scanner.add_directory(path)
        for path in closure.files:
            self._scanner.add_path(path)

    def _digest(self, path: str) -> Digest:
        digest = self._digests.digest(path)
        self._paths[digest] = path
        return digest
