"""Brings files home that a build left in the cluster, before something here reads them.

Knows nothing of compilers. A command that runs here gets the inputs that it declares, what phony
names stand for, and the programs and libraries below them, since it may start one. A file that the
cluster no longer has makes the plan wrong: that is said with FilesLost, and the build plans anew.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Iterable
from pathlib import Path

from cyxmake_cli.away import AwayFiles
from cyxmake_cli.cluster.client import ClusterClient
from cyxmake_cli.cluster.placing import place
from cyxmake_cli.ninja.graph import Edge, Node
from cyxmake_common.digest import Digest
from cyxmake_common.errors import CyxError


class FilesLost(Exception):
    """Files that were left in the cluster cannot be had any more; `paths` names them."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = tuple(paths)
        super().__init__(f"{len(self.paths)} files that were left in the cluster are lost")


class Homecoming:
    """Brings files of one build home; `client` waits for the cluster, None when there is none."""

    def __init__(
        self, away: AwayFiles, client: Callable[[], Awaitable[ClusterClient | None]]
    ) -> None:
        self._away = away
        self._client = client
        self._coming: dict[str, asyncio.Future[None]] = {}

    def __repr__(self) -> str:
        return f"<Homecoming of {self._away!r}>"

    async def for_command(self, edge: Edge) -> None:
        """Bring everything that a command may read or start; raises FilesLost, OSError."""
        if self._away:
            await self.bring(_read_by(edge.inputs, self._away))

    async def for_compile(self, edge: Edge) -> None:
        """Bring what a compile is declared to read; raises FilesLost, OSError."""
        if self._away:
            wanted = (node.path for node in edge.blocking_inputs)
            await self.bring([path for path in wanted if self._away.get(path)])

    async def bring(self, paths: Collection[str]) -> None:
        """Bring files home by path, each once; raises FilesLost, OSError."""
        fresh = [path for path in paths if path not in self._coming and self._away.get(path)]
        waiting = [self._coming[path] for path in paths if path in self._coming]
        if fresh:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._coming.update(dict.fromkeys(fresh, done))
            try:
                await self._fetch(fresh)
            finally:
                for path in fresh:
                    del self._coming[path]
                done.set_result(None)
        for other in waiting:
            await asyncio.shield(other)
        if waiting and (lost := [path for path in paths if self._away.get(path)]):
            raise FilesLost(lost)

    async def lost(self) -> list[str]:
        """Return which of the files that may be away the cluster does not have."""
        files = self._away.files()
        client = await self._client()
        if client is None:
            return list(files)
        try:
            missing = await client.missing(tuple({f.digest for f in files.values()}))
        except CyxError:
            return list(files)
        return [path for path, f in files.items() if f.digest in missing]

    async def _fetch(self, paths: Collection[str]) -> None:
        client = await self._client()
        files = {path: found for path in paths if (found := self._away.get(path))}
        blobs: dict[Digest, bytes] = {}
        if client is not None:
            try:
                blobs = await client.blobs.get_many_bytes({f.digest for f in files.values()})
            except CyxError as error:
                raise FilesLost(files) from error
        if lost := [path for path, f in files.items() if f.digest not in blobs]:
            raise FilesLost(lost)
        for path, f in files.items():
            where = Path(self._away.at(path))
            place(where, blobs[f.digest], f.executable)
            # It was made when it was made: what was built from it since is newer.
            os.utime(where, ns=(f.mtime, f.mtime))
            self._away.drop(path)


def _read_by(inputs: Iterable[Node], away: AwayFiles) -> list[str]:
    """Return the files away among inputs, and the programs and libraries that these stand on."""
    found: dict[str, None] = {}
    seen: set[Node] = set()
    pending = [(node, True) for node in inputs]
    while pending:
        node, direct = pending.pop()
        if node in seen and not direct:
            continue
        seen.add(node)
        maker = node.in_edge
        if maker is None:
            continue
        file = away.get(node.path)
        if file is not None and (direct or file.executable):
            found[node.path] = None
        # What a phony name stands for is as near as the name itself.
        below = maker.inputs if maker.is_phony else maker.blocking_inputs
        pending += [
            (known, direct and maker.is_phony)
            for known in below
            if known not in seen or (direct and maker.is_phony)
        ]
    return list(found)
