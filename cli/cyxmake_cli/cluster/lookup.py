"""Looks a unit up in the action cache, and says why when nothing there applies.

Knows nothing of execution. An entry is used only when everything that the compiler read, and
everything that it looked for in vain, is in today's tree as it was then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from math import inf
from typing import Final

from cyxmake_cli.cluster.client import ClusterClient
from cyxmake_cli.cluster.history import History
from cyxmake_cli.cluster.near import Near
from cyxmake_cli.strategies.compile_units import CompileUnit
from cyxmake_common.action import ActionResult
from cyxmake_common.cache.key import KeyInputs, expand, line, tokenise, unpack_paths
from cyxmake_common.cas.file_digests import FileDigests, Known
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


@dataclass(slots=True)
class _File:
    """What a path token stands for here, and its line in a manifest."""

    path: str
    digest: Digest | None = None
    line: bytes = b""
    known: Known | None = None


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
        self._tree = Tree(root, digests, exists, history)
        self.took: dict[str, float] = {}
        """What a unit that was not found took with other inputs, by its main output."""

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
        # Files are looked at once for all units that are under way at the same time.
        since = self._digests.moment()
        near = self._near.entries(key)
        for entry in near:
            if self._tree.misfit(entry, since) is None:
                return entry
        entries = await self._cluster.entries(key)
        self._near.keep_entries(key, entries)
        misfits = []
        for entry in entries:
            misfit = self._tree.misfit(entry, since)
            if misfit is None:
                return entry
            misfits.append(misfit)
            self.took[unit.main_output] = ActionResult.from_bytes(entry.result).seconds
        if record is not None and self._history is not None:
            record.why = (
                misfits[0] if misfits else self._history.changed_inputs(unit.main_output, inputs)
            ) or ["the cluster no longer has the result, or never had it"]
        return None


class Tree:
    """The files of the project at `root` as they are today, to hold stored entries against."""

    def __init__(
        self,
        root: str,
        digests: FileDigests,
        exists: Callable[[str], bool] = os.path.lexists,
        history: History | None = None,
    ) -> None:
        self._root = root
        self._digests = digests
        self._exists = exists
        self._history = history
        self._files: dict[str, _File] = {}
        self._path = lru_cache(maxsize=None)(partial(expand, root=root))

    def misfit(self, entry: CacheEntry, since: int | None = None) -> list[str] | None:
        """Return None when an entry applies, else in words what is different.

        Files that were looked at after the mark `since` are not looked at again.
        """
        if entry.root not in ("", self._root):
            return [f"{HOLDS_PATH} {entry.root}: it is for that checkout only"]
        try:
            tokens = sorted(unpack_paths(entry.paths))
            absent = unpack_paths(entry.absent)
        except ValueError as error:
            return [str(error)]
        lines: list[bytes] = []
        now = inf if since is None else since
        try:
            for token in tokens:  # hundreds for each unit: no call for those looked at already
                file = self._files.get(token)
                if file is not None and file.known is not None and file.known.moment >= now:
                    lines.append(file.line)
                else:
                    lines.append(self._line(token, since))
        except OSError:
            return [f"{token} is gone; the stored result was made with it"]
        if Digest.of(b"".join(lines)) != entry.manifest:
            return self._changed(tokens)
        for path in absent:
            if self._exists(self._path(path)):
                return [f"{path} is there now; the compiler looked for it and did not find it"]
        return None

    def _line(self, token: str, since: int | None) -> bytes:
        """Return a file's line in today's manifest; raises OSError."""
        file = self._files.get(token)
        if file is None:
            file = self._files[token] = _File(self._path(token))
        digest = self._digests.digest(file.path, since)
        if file.digest is not digest:
            file.digest, file.line = digest, line(token, digest)
            if self._history is not None:
                self._history.saw([(token, digest.hash)])
        file.known = self._digests.settled(file.path)
        return file.line

    def _changed(self, tokens: Iterable[str]) -> list[str]:
        if self._history is None:
            return []
        seen = [(token, file.digest.hash) for token in tokens
                if (file := self._files[token]).digest is not None]  # fmt: skip
        named = self._history.changed_files(seen)
        return named or ["a file it reads is not the one that the stored result was made of"]
