"""Sees through what stands before a compiler: caches, and scripts that only call another program.

Knows nothing of edges. What comes out is the argument list that the compiler itself is started
with, so that nothing of the wrapper is needed elsewhere; whatever is not sure stays here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_cli.cluster.toolchains import Toolchains
from cyxmake_common.execution.process import ProcessRequest, run_process
from cyxmake_common.toolchain.arguments import compiler_kind
from cyxmake_common.toolchain.compile_command import CompilerKind
from cyxmake_common.toolchain.compiler_caches import (
    CacheSettings,
    behind_ccache,
    distributes,
    read_ccache,
    shim_name,
)
from cyxmake_common.toolchain.identity import Toolchain
from cyxmake_common.toolchain.libraries import is_elf
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.normalise import RECORDS_COMMAND
from cyxmake_common.toolchain.wrappers import MAX_SCRIPT_BYTES, ScriptCall, read_script
from cyxmake_common.toolchain.zig import calls_zig, zig_refusal

_MOST_WRAPPERS: Final = 8
_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Meant:
    """What a command line comes to: the compiler's own argv, its path and its toolchain."""

    argv: list[str]
    compiler: str
    toolchain: Toolchain


class Wrappers:
    """Looks through the wrappers of one build; each is read once, and again when it changes."""

    def __init__(self, toolchains: Toolchains) -> None:
        self._toolchains = toolchains
        self._heads: dict[tuple[str, str], tuple[str | None, str]] = {}
        self._scripts: dict[str, tuple[_Stamp, ScriptCall | LocalOnly | None]] = {}
        self._ccaches: dict[str, asyncio.Task[CacheSettings | LocalOnly]] = {}

    def __repr__(self) -> str:
        return f"<Wrappers {len(self._scripts)} scripts, {len(self._ccaches)} caches>"

    async def see(self, argv: Sequence[str], directory: str) -> Meant | LocalOnly:
        """Return what is compiled in the end, and by what, for an edge in `directory`."""
        words, cached = list(argv), False
        for _ in range(_MOST_WRAPPERS):
            path, shim = self._head(words[0], directory)
            call = None if path is None else self._script(path)
            if isinstance(call, ScriptCall) and calls_zig(call):
                return await self._compiler(words, directory, cached)
            if call is not None:
                inner = call if isinstance(call, LocalOnly) else call.argv(words[1:])
            elif shim:
                inner = await self._behind_shim(shim, words, path)
                cached = True
            else:
                return await self._compiler(words, directory, cached)
            if isinstance(inner, LocalOnly):
                return inner
            words = inner
        return LocalOnly(f"{argv[0]} leads from wrapper to wrapper")

    def _head(self, program: str, directory: str) -> tuple[str | None, str]:
        """Return the file that argv[0] means, and the cache or distributor that it is."""
        key = (program, directory if "/" in program else "")
        if key not in self._heads:
            path = self._toolchains.path_of(program, directory)
            shim = shim_name(program) or shim_name(os.path.realpath(path or ""))
            self._heads[key] = (path, shim)
        return self._heads[key]

    async def _compiler(self, argv: list[str], directory: str, cached: bool) -> Meant | LocalOnly:
        if compiler_kind(argv[0]) is None:
            # To look at a compiler is to run it: a program that is none must not be started.
            return LocalOnly(f"{argv[0]} is no known compiler")
        found = await self._toolchains.find(argv[0], directory)
        if isinstance(found, LocalOnly):
            return found
        compiler, toolchain = found
        if toolchain.variables and (refusal := zig_refusal(argv)) is not None:
            return refusal  # before anybody asks what "native" means here
        records = any(word.startswith(RECORDS_COMMAND) for word in argv)
        if cached and records and toolchain.kind is CompilerKind.CLANG:
            return LocalOnly("a compiler cache rearranges the command line that clang records")
        return Meant(argv, compiler, toolchain)

    # ── caches ──────────────────────────────────────────────────────────────────────────────────

    async def _behind_shim(
        self, shim: str, argv: list[str], path: str | None
    ) -> list[str] | LocalOnly:
        environ = self._toolchains.environ
        if path is None:
            return LocalOnly(f"{argv[0]} is not found")
        if shim == "ccache":
            settings = await self._ccache(path)
            if isinstance(settings, LocalOnly):
                return settings
            return behind_ccache(argv, settings, environ.get("PATH", ""))
        if shim == "sccache" and shim_name(argv[0]) and len(argv) > 1:
            # It only ever is called by its own name: a link to it by another name does not work.
            if distributes(environ):
                return LocalOnly("sccache is set up to compile elsewhere")
            if argv[1].startswith("-"):
                return LocalOnly("sccache is called for itself")
            return argv[1:]
        return LocalOnly(f"{argv[0]} is {shim}, which may compile elsewhere")

    async def _ccache(self, path: str) -> CacheSettings | LocalOnly:
        task = self._ccaches.get(path)
        if task is None:
            task = self._ccaches[path] = asyncio.create_task(self._ask(path))
        return task.result() if task.done() else await asyncio.shield(task)

    async def _ask(self, path: str) -> CacheSettings | LocalOnly:
        # By its own name: under a compiler's name it would hand the question on.
        request = ProcessRequest(
            (os.path.realpath(path), "-p"), environment=self._toolchains.environ, timeout=10
        )
        try:
            shown = await run_process(request)
        except OSError as error:
            return LocalOnly(f"{path} can't be asked: {error.strerror}")
        return read_ccache(shown.stdout if shown.succeeded else b"")

    # ── scripts ─────────────────────────────────────────────────────────────────────────────────

    def _script(self, path: str) -> ScriptCall | LocalOnly | None:
        """Return what a script calls; None for any other file."""
        stamp = _stamp(path)
        if stamp is None:
            return None
        known = self._scripts.get(path)
        if known is None or known[0] != stamp:
            known = self._scripts[path] = (stamp, self._read(path))
        return known[1]

    def _read(self, path: str) -> ScriptCall | LocalOnly | None:
        if is_elf(path):
            return None
        try:
            with Path(path).open("rb") as file:
                data = file.read(MAX_SCRIPT_BYTES + 1)
        except OSError as error:
            return LocalOnly(f"{path} can't be read: {error.strerror}")
        if not os.access(path, os.X_OK):
            return LocalOnly(f"{path} is no program")
        call = read_script(data, self._toolchains.environ)
        if isinstance(call, LocalOnly):
            return LocalOnly(f"{path} is a script around a compiler: {call.reason}")
        return call


def _stamp(path: str) -> _Stamp | None:
    try:
        state = os.stat(path)  # noqa: PTH116 - called for every unit
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino
