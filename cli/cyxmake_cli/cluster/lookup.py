"""Looks a unit up in the action cache, and says why when nothing there applies.

Knows nothing of execution. An entry is used only when everything that the compiler read, and
everything that it looked for in vain, is in today's tree as it was then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Final

from cyxmake_cli.cluster.client import ClusterClient
from cyxmake_cli.cluster.history import History
from cyxmake_cli.cluster.near import Near
from cyxmake_cli.strategies.compile_units import CompileUnit
from cyxmake_common.cache.key import KeyInputs, expand, manifest, tokenise, unpack_paths
from cyxmake_common.cas.file_digests import FileDigests
from cyxmake_common.digest import Digest
from cyxmake_common.protocol.messages import CacheEntry
from cyxmake_common.toolchain.normalise import normalise

HOLDS_PATH: Final = "its output holds the path"


class Absences:
    """Remembers which paths exist, between two moments at which files may have come into being.

    Thousands of units ask for the same absent headers. Any command of the build may make files
    that it does not declare, so everything is forgotten whenever one has run here.
    """

    def __init__(self) -> None:
        self._exists: dict[str, bool] = {}

    def __call__(self, path: str) -> bool:
        """Tell whether anything stands at a path, be it a broken link."""
        exists = self._exists.get(path)
        if exists is None:
            exists = self._exists[path] = os.path.lexists(path)
        return exists

    def clear(self) -> None:
        """Forget everything."""
        self._exists.clear()


class Lookup:
    """The cache as one build of the project at `root` sees it."""

    def __init__(
        self,
        cluster: ClusterClient,
        digests: FileDigests,
        root: str,
        platform: tuple[tuple[str, str], ...],
        near: Near | None = None,
        history: History | None = None,
        exists: Callable[[str], bool] = os.path.lexists,
    ) -> None:
        self._cluster = cluster
        self._digests = digests
        self._root = root
        self._platform = platform
        self._near = near or Near()
        self._history = history
        self._exists = exists

    def inputs(self, unit: CompileUnit) -> KeyInputs:
        """Return what a unit's reduced key is made of; raises OSError for a lost source."""
        return KeyInputs(
            toolchain=unit.toolchain.id,
            arguments=normalise(unit.command, self._root),
            environment=unit.environment,
            directory=tokenise(unit.directory, self._root),
            source=self._digests.digest(unit.source),
            platform=self._platform,
        )

    async def find(self, unit: CompileUnit) -> CacheEntry | None:
        """Return an entry that applies today, or None; a History is told which and why."""
        inputs = self.inputs(unit)
        key = inputs.key()
        record = self._history.begin(unit.main_output, inputs) if self._history else None
        if self._history is not None:
            toolchain = unit.toolchain
            name = f"{toolchain.kind.value} {toolchain.version}"
            self._history.named(str(toolchain.id), name)
        near = self._near.entries(key)
        for entry in near:
            if self._misfit(entry) is None:
                return entry
        entries = await self._cluster.entries(key)
        self._near.keep_entries(key, entries)
        misfits = []
        for entry in entries:
            misfit = self._misfit(entry)
            if misfit is None:
                return entry
            misfits.append(misfit)
        if record is not None and self._history is not None:
            record.why = (
                misfits[0] if misfits else self._history.changed_inputs(unit.main_output, inputs)
            ) or ["the cluster no longer has the result, or never had it"]
        return None

    def _misfit(self, entry: CacheEntry) -> list[str] | None:
        return misfit(entry, self._root, self._digests, self._exists, self._history)


def misfit(
    entry: CacheEntry,
    root: str,
    digests: FileDigests,
    exists: Callable[[str], bool],
    history: History | None,
) -> list[str] | None:
    """Return None when an entry applies to today's tree, else in words what is different."""
    if entry.root not in ("", root):
        return [f"{HOLDS_PATH} {entry.root}: it is for that checkout only"]
    try:
        tokens = unpack_paths(entry.paths)
        absent = unpack_paths(entry.absent)
    except ValueError as error:
        return [str(error)]
    lines: list[tuple[str, Digest]] = []
    for token in tokens:
        try:
            lines.append((token, digests.digest(expand(token, root))))
        except OSError:
            return [f"{token} is gone; the stored result was made with it"]
    if Digest.of(manifest(lines)) != entry.manifest:
        return _changed(lines, history)
    for path in absent:
        if exists(expand(path, root)):
            return [f"{path} is there now; the compiler looked for it and did not find it"]
    if history is not None:
        history.saw((token, digest.hash) for token, digest in lines)
    return None


def _changed(lines: Iterable[tuple[str, Digest]], history: History | None) -> list[str]:
    if history is None:
        return []
    named = history.changed_files((token, digest.hash) for token, digest in lines)
    return named or ["a file it reads is not the one that the stored result was made of"]
