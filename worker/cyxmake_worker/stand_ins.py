"""Which toolchains for other kinds of machines this one can take the place of, and by what.

Knows nothing of leases. Theory of operation: an action's toolchain is a tree with programs for one
kind of machine. Where its manifest names a tool that compiles alike everywhere, or a gcc that has
twins, and this machine has that tool or a twin, a second tree is made (substitutes). It goes by the
first one's name everywhere else, is tested by the first one's own compiles before its first action,
and is refused by name if one of them gives other bytes.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog

from cyxmake_common.action import ISA, OS_FAMILY, TOOLCHAIN, Action
from cyxmake_common.cas.store import BlobStore, write_all
from cyxmake_common.cas.tree_walk import TreeCrawl, TreeDirectory, TreeFile, walk_tree
from cyxmake_common.digest import Digest
from cyxmake_common.errors import DigestMismatch, StoreFull
from cyxmake_common.execution.executor import Execution, ExecutionRequest, Executor
from cyxmake_common.execution.process import ProcessRequest, run_process
from cyxmake_common.platform import isa, os_family
from cyxmake_common.toolchain.arguments import compiler_kind
from cyxmake_common.toolchain.identity import Toolchain
from cyxmake_common.toolchain.manifest import MANIFEST_PATH, ToolchainManifest
from cyxmake_worker.fetch import Fetcher
from cyxmake_worker.probe_cache import ProbeCache
from cyxmake_worker.substitutes import LocalTool, Substitute, of_tool, of_twin
from cyxmake_worker.toolchains import LocalToolchains, copy_file

_SECONDS: Final = 60.0
_VERSION: Final = re.compile(rb"\d+\.[\w.+-]+")
_log = structlog.get_logger(__name__)


class NoStandIn(Exception):
    """A toolchain has no equal on this machine; `str` says why."""


class StandIns:
    """The tools of this machine, and the trees that were made with them."""

    def __init__(
        self,
        tools: Iterable[LocalTool],
        fetcher: Fetcher,
        store: BlobStore,
        toolchains: LocalToolchains | None = None,
    ) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._toolchains = toolchains or LocalToolchains()
        self._fetcher = fetcher
        self._store = store
        self._made: dict[Digest, Substitute] = {}
        self._lock = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<StandIns {', '.join(self._tools) or 'none'}; {len(self._made)} trees>"

    async def tree(self, action: Action, toolchain: Digest) -> Digest:
        """Return the tree to lay out for an action's toolchain: its own, or the one in its place.

        Raises NoStandIn, and whatever fetching raises.
        """
        if runs_here(action):
            return toolchain
        async with self._lock:  # the first actions of a build come all at once
            if toolchain not in self._made:
                self._made[toolchain] = await self._make(toolchain)
        return self._made[toolchain].tree

    async def seed(self, root: Digest) -> None:
        """Put into the store what a tree of ours holds besides the toolchain's own files."""
        made = next((made for made in self._made.values() if made.tree == root), None)
        if made is None:
            return
        async with self._lock:
            for digest in await self._store.find_missing(tuple(made.blobs)):
                source = made.blobs[digest]
                with suppress(DigestMismatch, StoreFull, OSError):  # whoever needs it says so
                    if isinstance(source, bytes):
                        await write_all(self._store, source, digest)
                    else:
                        await copy_file(source, digest, self._store)

    def request(self, request: ExecutionRequest) -> ExecutionRequest:
        """Return what is executed here in place of what was asked."""
        toolchain = request.toolchain
        made = self._made.get(toolchain) if toolchain is not None else None
        if made is None:
            return request
        others = (pair for pair in request.action.platform if pair[0] != TOOLCHAIN)
        platform = tuple(sorted((*others, (TOOLCHAIN, str(made.tree)))))
        command = request.command
        return replace(
            request,
            action=replace(request.action, platform=platform),
            command=replace(
                command,
                arguments=made.arguments(command.arguments),
                environment=made.environment(command.environment),
            ),
        )

    def disturbed(self, request: ExecutionRequest, layers: Sequence[Path]) -> str:
        """Return why an action with these layers would not be what it is at its client."""
        toolchain = request.toolchain
        made = self._made.get(toolchain) if toolchain is not None else None
        found = "" if made is None else made.disturbed(request.command.arguments, layers)
        return f"this worker's own compiler would look for headers in {found}" if found else ""

    async def _make(self, toolchain: Digest) -> Substitute:
        crawl = TreeCrawl(toolchain)
        while wanted := crawl.wanted:
            await self._fetcher.ensure(wanted)
            for digest in wanted:
                crawl.receive(digest, await self._fetcher.read(digest))
        entries = tuple(walk_tree(toolchain, crawl.blobs.__getitem__))
        files = {entry.path: entry for entry in entries if isinstance(entry, TreeFile)}
        manifest = await self._manifest(files)
        names = [
            one.path
            for one in entries
            if not isinstance(one, TreeDirectory) and compiler_kind(one.path) is not None
        ]
        made = self._substitute(manifest, files, names)
        _log.info("stand-in", tool=made.tool, toolchain=str(toolchain), tree=str(made.tree))
        return made

    def _substitute(
        self, manifest: ToolchainManifest, files: Mapping[str, TreeFile], names: Sequence[str]
    ) -> Substitute:
        if (portable := manifest.portable) is not None:
            tool = self._tools.get(portable.name)
            if tool is None:
                raise NoStandIn(f"{portable.name} is not installed on this worker")
            return of_tool(tool, portable, files)
        if (twin := manifest.twin) is None:
            raise NoStandIn("the toolchain names no tool that compiles alike everywhere")
        own = self._twin(twin.names)
        if own is None or own.twin is None:
            raise NoStandIn(f"{twin.name} is not installed on this worker")
        try:
            return of_twin(own, own.twin, manifest, files, names)
        except ValueError as error:
            raise NoStandIn(f"{twin.name} of this worker does not fit: {error}") from error

    def _twin(self, names: Sequence[str]) -> Toolchain | None:
        """Return our gcc that has most of the names of another."""
        for name in reversed(names):
            for own in self._toolchains:
                if own.twin is not None and name in own.twin.names:
                    return own
        return None

    async def _manifest(self, files: Mapping[str, TreeFile]) -> ToolchainManifest:
        try:
            return ToolchainManifest.from_bytes(
                await self._fetcher.read(files[MANIFEST_PATH].digest)
            )
        except (KeyError, ValueError) as error:
            raise NoStandIn("the toolchain says nothing of itself") from error


class StandInExecutor:
    """An Executor that uses this machine's own tools where they take a toolchain's place."""

    def __init__(self, inner: Executor, stand_ins: StandIns) -> None:
        self._inner = inner
        self._stand_ins = stand_ins

    def __repr__(self) -> str:
        return f"<StandInExecutor {self._stand_ins!r} {self._inner!r}>"

    async def execute(self, request: ExecutionRequest) -> Execution:
        """Execute an action; see Executor."""
        return await self._inner.execute(self._stand_ins.request(request))


def runs_here(action: Action) -> bool:
    """Tell whether the programs of an action's toolchain are made for this kind of machine."""
    family, processor = action.property(OS_FAMILY), action.property(ISA)
    return family in ("", os_family()) and processor in ("", isa())


# ── what stands here ────────────────────────────────────────────────────────────────────────────


def offered(tools: Iterable[LocalTool], toolchains: LocalToolchains) -> tuple[str, ...]:
    """Return the names of what may stand in for toolchains of other machines."""
    names = dict.fromkeys(tool.name for tool in tools)
    for own in toolchains:
        if own.twin is not None:
            names.update(dict.fromkeys(own.twin.names))
    return tuple(names)


async def find_local_tools(cache: ProbeCache) -> tuple[LocalTool, ...]:
    """Return zig if this machine has it: in PATH, or as the Python package beside this program."""
    found = shutil.which("zig") or _packaged_zig()
    if found is None:
        return ()
    path = os.path.realpath(found)
    known = cache.get("stand-in", path)
    if isinstance(known, list) and len(known) == 2:
        with suppress(ValueError):
            return (LocalTool("zig", str(known[0]), Path(path), Digest.parse(str(known[1]))),)
    request = ProcessRequest((path, "version"), timeout=_SECONDS, output_limit=4096, grace=0.1)
    try:
        told = await run_process(request)
        match = _VERSION.match(told.stdout) if told.succeeded else None
        if match is None:
            return ()
        digest = await asyncio.to_thread(Digest.of_file, path)
    except OSError:
        return ()
    version = match.group().decode("ascii", "replace")
    cache.put("stand-in", path, [version, str(digest)])
    return (LocalTool("zig", version, Path(path), digest),)


def _packaged_zig() -> str | None:
    spec = importlib.util.find_spec("ziglang")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = Path(folder) / ("zig.exe" if sys.platform == "win32" else "zig")
        if path.is_file():
            return str(path)
    return None
