"""Finds the toolchain of a compiler, without holding up the build while it is captured.

Knows nothing of command lines beyond the program's name.
"""

from __future__ import annotations

import asyncio
import os
import posixpath
import shutil
from collections.abc import Mapping
from pathlib import Path

from cyxmake_common.toolchain.compile_command import CompileCommand
from cyxmake_common.toolchain.identity import Toolchain, ToolchainStore
from cyxmake_common.toolchain.local import LocalOnly

_Found = tuple[str, Toolchain] | LocalOnly


class Toolchains:
    """The compilers of one build, which runs in `environ`; each is looked at once."""

    def __init__(self, cache_dir: Path, environ: Mapping[str, str] = os.environ) -> None:
        self.environ = environ
        self._store = ToolchainStore(cache_dir / "toolchains", environ)
        self._found: dict[tuple[str, str], asyncio.Task[_Found]] = {}
        self._lock = asyncio.Lock()

    async def find(self, program: str, directory: str) -> _Found:
        """Return the path and the toolchain of argv[0] as an edge in `directory` means it."""
        key = (program, directory if "/" in program else "")
        task = self._found.get(key)
        if task is None:
            task = self._found[key] = asyncio.create_task(self._look(program, directory))
        return task.result() if task.done() else await asyncio.shield(task)

    def path_of(self, program: str, directory: str) -> str | None:
        """Return the file that argv[0] means in `directory`, or None."""
        if "/" in program:
            return posixpath.join(directory, program)
        return shutil.which(program, path=self.environ.get("PATH"))

    def builtin_includes(
        self, compiler: str, command: CompileCommand, directory: str
    ) -> tuple[str, ...] | LocalOnly:
        """Return the include directories that the compiler adds by itself."""
        return self._store.builtin_includes(compiler, command, directory)

    async def _look(self, program: str, directory: str) -> _Found:
        path = self.path_of(program, directory)
        if path is None:
            return LocalOnly(f"{program} is not found")
        async with self._lock:  # the store is made for one thread at a time
            toolchain = await asyncio.to_thread(self._store.get, path)
        return toolchain if isinstance(toolchain, LocalOnly) else (path, toolchain)
