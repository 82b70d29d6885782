"""One link on the cluster: look it up, else decide where it runs, submit and fetch.

Knows nothing of build graphs. A link has an input root of its own, with exactly what it may read:
so the action's digest is its key, and what is absent there is part of it. Every answer is a value.

Where a link runs: its result is always looked up. Without one it runs in the cluster when outputs
may stay there (`--download` is not `all`), or when the cluster has its tools and nearly all of its
inputs; else here, where the inputs are.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from cyxmake_cli.away import AwayFiles
from cyxmake_cli.cluster.client import ClusterClient
from cyxmake_cli.cluster.inputs import InputRoot, Source
from cyxmake_cli.cluster.placing import Placing
from cyxmake_cli.cluster.results import Expected, RemoteResult, Results
from cyxmake_cli.cluster.submit import Submitter, Work, why_not
from cyxmake_cli.cluster.target_batches import LinkPart, MadeLink
from cyxmake_cli.cluster.uploads import Uploads
from cyxmake_cli.cluster.way import Way
from cyxmake_cli.strategies.link_units import LinkUnit
from cyxmake_cli.strategies.places import refuse_own_places
from cyxmake_common.action import ActionResult
from cyxmake_common.cas.file_digests import FileDigests
from cyxmake_common.cas.tree import InputTree
from cyxmake_common.cas.tree_scan import TreeScanner
from cyxmake_common.digest import Digest
from cyxmake_common.errors import CyxError
from cyxmake_common.protocol.messages import JobComplete
from cyxmake_common.toolchain.link_command import LinkCommand
from cyxmake_common.toolchain.link_inputs import (
    Linker,
    LinkInputs,
    archive_inputs,
    link_inputs,
)
from cyxmake_common.toolchain.local import LocalOnly

_WORTH_SENDING: Final = 1 << 20
"""Bytes that a link may lack in the cluster and still run there when its output comes home."""

_OBJECT_HEAD: Final = b"\x7fELF" + bytes(12) + b"\1\0" + bytes(2)
_ARCHIVE_HEAD: Final = b"!<arch>\n"


class NotHere(Exception):
    """A file has to be read that is away; `path` names it."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class LinkFiles:
    """This machine's files and those that are away, as one; raises NotHere and OSError.

    `made` are objects that will be there when the link is run.
    """

    def __init__(self, away: AwayFiles | None, made: frozenset[str] = frozenset()) -> None:
        self._away = away
        self._made = made

    def is_file(self, path: str) -> bool:
        """Tell whether a file, or a link to one, is there."""
        return (
            os.path.isfile(path)  # noqa: PTH113 - a string
            or os.path.normpath(path) in self._made
            or self.away(path) is not None
        )

    def head(self, path: str) -> bytes:
        """Return a file's first 20 bytes; of an object that is not here, what it begins with."""
        if os.path.normpath(path) in self._made:
            return _OBJECT_HEAD
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - a string
                return file.read(20)
        except FileNotFoundError:
            away = self.away(path)
            if away is None:
                raise
            if away[2]:
                raise NotHere(away[0]) from None  # a library, which names others
            return _ARCHIVE_HEAD if path.endswith(".a") else _OBJECT_HEAD

    def at_home(self, path: str) -> str:
        """Return a path at which the whole file can be read now."""
        if os.path.normpath(path) in self._made:
            raise FileNotFoundError(2, "is still to be made", path)
        if not os.path.isfile(path) and (away := self.away(path)) is not None:  # noqa: PTH113
            raise NotHere(away[0])
        return path

    def away(self, path: str) -> tuple[str, Digest, bool] | None:
        """Return where a file would be that is away, its digest, and whether it can run."""
        if not self._away:
            return None
        real = os.path.realpath(path)
        found = self._away.get(real) or self._away.get(path)
        return None if found is None else (real, found.digest, found.executable)


@dataclass(frozen=True, slots=True)
class _Root:
    """A link's own input root, and the files of this machine in it."""

    root: InputRoot
    files: dict[str, Digest]
    blobs: frozenset[Digest]


class RemoteLinker:
    """Links on a cluster for one project that stands at `project`.

    `bring` brings a file home that is away. `outputs_stay`: what is made need not come home.
    """

    def __init__(
        self,
        cluster: ClusterClient,
        digests: FileDigests,
        bring: Callable[[str], Awaitable[None]],
        *,
        project: str,
        use_cache: bool = True,
        outputs_stay: bool = False,
        away: AwayFiles | None = None,
        failed: Callable[[Work, RemoteResult], Awaitable[None]] | None = None,
    ) -> None:
        self._failed = failed
        self._cluster = cluster
        self._digests = digests
        self._bring = bring
        self._project = project
        self._use_cache = use_cache
        self._outputs_stay = outputs_stay
        self._away = away
        self._files = LinkFiles(away)
        self._uploads = Uploads(cluster)
        self._submitter = Submitter(cluster, self._uploads, project, use_cache=use_cache)
        self._results = Results(cluster, project, away=away)
        self._there: dict[Digest, bool] = {}
        self._lock = asyncio.Lock()

    async def link(self, unit: LinkUnit, placing: Placing, way: Way) -> RemoteResult | LocalOnly:
        """Do one unit; after a verdict of 0 its outputs stand where they belong.

        `way` hears how far it is, and says when it may be sent.
        """
        try:
            return await self._link(unit, placing, way)
        except CyxError as error:
            return LocalOnly(
                f"{error.code}: {error.message}" if not error.retryable else error.code
            )
        except OSError as error:
            return LocalOnly(f"{error.filename}: {error.strerror}")
        except ValueError as error:
            return LocalOnly(f"its inputs cannot be sent: {error}")

    async def _link(self, unit: LinkUnit, placing: Placing, way: Way) -> RemoteResult | LocalOnly:
        inputs = await self._inputs(unit)
        if isinstance(inputs, LocalOnly):
            return inputs
        if (refusal := refuse_own_places(inputs.files)) is not None:
            return refusal
        async with self._lock:  # digests are remembered by one thread at a time
            made = await asyncio.to_thread(self._root, unit, inputs)
        work = Work(
            argv=unit.argv,
            environment=unit.environment,
            outputs=unit.outputs,
            directory=unit.directory,
            tools=unit.tools,
            root=made.root,
        )
        expected = Expected(unit.directory, unit.outputs, placing, unit.at_home)
        if self._use_cache:
            for entry in await self._cluster.entries(work.action(self._project)[0]):
                stored = ActionResult.from_bytes(entry.result)
                if stored.exit_code == 0 and (
                    found := await self._results.fetch(expected, stored, way=way)
                ):
                    return found
        if (reason := await self._why_here(unit, made)) is not None:
            return reason
        await way.missed(unit.tools)
        await way.begin()
        answer = await self._submitter.submit(work, way)
        if not isinstance(answer, JobComplete):
            return LocalOnly(why_not(answer))
        if not self._digests.unchanged(made.files.items()):
            return LocalOnly("an input changed while it was linked")
        result = ActionResult.from_bytes(answer.result)
        fetched = await self._results.fetch(expected, result, answer.worker, way=way)
        if fetched is not None and fetched.exit_code != 0 and self._failed is not None:
            await self._failed(work, fetched)
        return fetched or LocalOnly("the result's blobs are lost")

    async def part(self, unit: LinkUnit, objects: frozenset[str]) -> LinkPart | None:
        """Return a link's part in an action that makes these objects; None where it is unsure."""
        files = LinkFiles(self._away, objects)
        try:
            inputs = await asyncio.to_thread(self._find, unit, files)
            if isinstance(inputs, LocalOnly) or refuse_own_places(inputs.files) is not None:
                return None
            async with self._lock:
                made = await asyncio.to_thread(self._root, unit, inputs, objects)
        except (NotHere, OSError, ValueError):
            return None
        return LinkPart(unit, made.root, made.files)

    async def place_made(
        self, made: MadeLink, placing: Placing, way: Way
    ) -> RemoteResult | LocalOnly:
        """Bring a link home that was done with its target, if all that it read is still so."""
        unit = made.part.unit
        away = {path: at[1] for path in made.objects if (at := self._files.away(path))}
        here = {p: d for p, d in made.objects.items() if p not in away}
        if any(made.objects[path] != digest for path, digest in away.items()) or not (
            self._digests.unchanged((*here.items(), *made.part.files.items()))
        ):
            return LocalOnly("an input changed while it was linked")
        await way.begin()
        expected = Expected(unit.directory, unit.outputs, placing, unit.at_home)
        try:
            found = await self._results.fetch(expected, made.result, made.worker, way=way)
        except CyxError as error:
            return LocalOnly(error.code)
        return found or LocalOnly("the result's blobs are lost")

    # ── inputs ──────────────────────────────────────────────────────────────────────────────────

    async def _inputs(self, unit: LinkUnit) -> LinkInputs | LocalOnly:
        """Find what a link reads; what has to be read for that comes home first."""
        while True:
            try:
                return await asyncio.to_thread(self._find, unit, self._files)
            except NotHere as needed:
                await self._bring(needed.path)

    def _find(self, unit: LinkUnit, files: LinkFiles) -> LinkInputs | LocalOnly:
        command = unit.command
        if not isinstance(command, LinkCommand):
            return archive_inputs(command, unit.directory, files)
        captured = unit.tools.captured
        linker = Linker(captured.search, captured.needed_search, unit.tools.own)
        return link_inputs(command, unit.directory, linker, files)

    def _root(
        self, unit: LinkUnit, inputs: LinkInputs, made: frozenset[str] = frozenset()
    ) -> _Root:
        """Put the inputs, but for what is `made`, into a tree; raises OSError and ValueError."""
        tree = InputTree()
        files: dict[str, Digest] = {}

        def digest_file(path: str) -> Digest:
            files[path] = self._digests.digest(path)
            return files[path]

        scanner = TreeScanner(tree, digest_file)
        blobs: set[Digest] = set()
        for path in inputs.directories:
            scanner.add_directory(path)
        for output in unit.outputs:
            place = os.path.join(unit.directory, output)  # noqa: PTH118 - as spelled
            scanner.add_directory(os.path.dirname(place))  # noqa: PTH120
        for path in inputs.files:
            if os.path.normpath(path) in made or scanner.add_path(path):
                continue
            away = self._files.away(path)
            if away is None:
                raise FileNotFoundError(2, "it vanished", path)
            tree.add_file(*away)
            blobs.add(away[1])
        for name, value in unit.environment:
            if name == "PWD":
                scanner.add_directory(value)
        digest, directories = tree.build()
        sources: dict[Digest, Source] = {d: path for path, d in files.items()}
        return _Root(
            InputRoot(digest, {**sources, **directories}), files, frozenset(blobs | sources.keys())
        )

    # ── where ───────────────────────────────────────────────────────────────────────────────────

    async def _why_here(self, unit: LinkUnit, made: _Root) -> LocalOnly | None:
        """Say why a link that is in no cache runs here; None when the cluster is to do it."""
        if self._outputs_stay:
            return None
        if not await self._has_tools(unit):
            return LocalOnly("the cluster does not have the linker")
        lacking = await self._cluster.missing(tuple(made.blobs))
        if sum(digest.size for digest in lacking) > _WORTH_SENDING:
            return LocalOnly("its inputs are not in the cluster")
        return None

    async def _has_tools(self, unit: LinkUnit) -> bool:
        known = self._there.get(unit.tools.id)
        if known is None:
            blobs = tuple(unit.tools.blobs())
            known = self._there[unit.tools.id] = not await self._cluster.missing(blobs)
        return known
