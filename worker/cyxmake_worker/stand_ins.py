"""Tools of this machine that take the place of a toolchain whose programs run on another kind.

Knows nothing of leases. Theory of operation: an action's toolchain is a tree with programs for one
kind of machine. Where its manifest names a tool that compiles alike everywhere, and this machine
has that tool in that version, a second tree is made: the toolchain's own headers, and the program
that stands here. It goes by the first one's name everywhere else, is tested by the first one's own
compiles before its first action, and is refused by name if one of them gives other bytes.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import structlog

from cyxmake_common.action import ISA, OS_FAMILY, TOOLCHAIN, Action
from cyxmake_common.cas.store import BlobStore, write_all
from cyxmake_common.cas.tree import InputTree
from cyxmake_common.cas.tree_walk import TreeCrawl, TreeFile, walk_tree
from cyxmake_common.digest import Digest
from cyxmake_common.errors import DigestMismatch, StoreFull
from cyxmake_common.execution.executor import Execution, ExecutionRequest, Executor
from cyxmake_common.execution.process import ProcessRequest, run_process
from cyxmake_common.platform import isa, os_family
from cyxmake_common.toolchain.manifest import MANIFEST_PATH, ToolchainManifest
from cyxmake_common.toolchain.portable import Portable
from cyxmake_common.toolchain.smoke import FOLDER as SMOKE_FOLDER
from cyxmake_worker.fetch import Fetcher
from cyxmake_worker.probe_cache import ProbeCache
from cyxmake_worker.toolchains import copy_file

_SECONDS: Final = 60.0
_VERSION: Final = re.compile(rb"\d+\.[\w.+-]+")
_log = structlog.get_logger(__name__)


class NoStandIn(Exception):
    """A toolchain has no equal on this machine; `str` says why."""


@dataclass(frozen=True, slots=True)
class LocalTool:
    """A tool that compiles alike on every machine, as it stands on this one."""

    tool: str
    version: str
    path: Path
    digest: Digest

    @property
    def name(self) -> str:
        """Return what this worker offers."""
        return f"{self.tool} {self.version}"


@dataclass(frozen=True, slots=True)
class _Substitute:
    """The tree in place of a toolchain's, what it needs of us, and what its drivers come to."""

    tree: Digest
    directories: Mapping[Digest, bytes]
    tool: LocalTool
    program: str
    drivers: Mapping[str, tuple[str, ...]]

    def arguments(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """Return a command line that calls the tool itself, as the driver would."""
        words = self.drivers.get(argv[0])
        return argv if words is None else (self.program, *words, *argv[1:])


class StandIns:
    """The tools of this machine, and the trees that were made with them."""

    def __init__(self, tools: Iterable[LocalTool], fetcher: Fetcher, store: BlobStore) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._fetcher = fetcher
        self._store = store
        self._made: dict[Digest, _Substitute] = {}
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
            for digest in await self._store.find_missing((made.tool.digest, *made.directories)):
                with suppress(DigestMismatch, StoreFull, OSError):  # whoever needs it says so
                    if digest in made.directories:
                        await write_all(self._store, made.directories[digest], digest)
                    else:
                        await copy_file(made.tool.path, digest, self._store)

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
            command=replace(command, arguments=made.arguments(command.arguments)),
        )

    async def _make(self, toolchain: Digest) -> _Substitute:
        crawl = TreeCrawl(toolchain)
        while wanted := crawl.wanted:
            await self._fetcher.ensure(wanted)
            for digest in wanted:
                crawl.receive(digest, await self._fetcher.read(digest))
        entries = walk_tree(toolchain, crawl.blobs.__getitem__)
        files = {entry.path: entry for entry in entries if isinstance(entry, TreeFile)}
        portable = await self._portable(files)
        tool = self._tools.get(portable.name)
        if tool is None:
            raise NoStandIn(f"{portable.name} is not installed on this worker")
        program = f"{portable.program}.exe" if sys.platform == "win32" else portable.program
        tree = InputTree()
        for path, entry in files.items():
            shared = path.startswith((f"{portable.data}/", f"{SMOKE_FOLDER}/"))
            if shared or path == MANIFEST_PATH:
                tree.add_file(path, entry.digest)
        tree.add_file(program, tool.digest, executable=True)
        root, directories = tree.build()
        _log.info("stand-in", tool=tool.name, toolchain=str(toolchain), tree=str(root))
        return _Substitute(root, directories, tool, program, portable.drivers)

    async def _portable(self, files: Mapping[str, TreeFile]) -> Portable:
        try:
            text = await self._fetcher.read(files[MANIFEST_PATH].digest)
            portable = ToolchainManifest.from_bytes(text).portable
        except (KeyError, ValueError):
            portable = None
        if portable is None:
            raise NoStandIn("the toolchain names no tool that compiles alike everywhere")
        return portable


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
