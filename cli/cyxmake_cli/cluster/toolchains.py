"""Finds the toolchain of a compiler, without holding up the build while it is captured.

Knows nothing of command lines beyond the program's name.
"""

from __future__ import annotations

import asyncio
import os
import posixpath
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cyxmake_common.execution.process import ProcessRequest, run_process
from cyxmake_common.toolchain.compile_command import CompileCommand
from cyxmake_common.toolchain.identity import Toolchain, ToolchainStore
from cyxmake_common.toolchain.local import LocalOnly

_Found = tuple[str, Toolchain] | LocalOnly


_SETTING: Final = re.compile(rb"^\(.*?\) (\w+) = (.*?) *$", re.MULTILINE)
_CHANGING: Final = (b"base_dir", b"compiler", b"prefix_command", b"prefix_command_cpp")
"""Settings of ccache with which a compile is not the one that its command line says."""


class Toolchains:
    """The compilers of one build, which runs in `environ`; each is looked at once."""

    def __init__(self, cache_dir: Path, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._store = ToolchainStore(cache_dir / "toolchains", environ)
        self._found: dict[tuple[str, str], asyncio.Task[_Found]] = {}
        self._launchers: dict[str, asyncio.Task[bool]] = {}
        self._lock = asyncio.Lock()

    async def find(self, program: str, directory: str) -> _Found:
        """Return the path and the toolchain of argv[0] as an edge in `directory` means it."""
        key = (program, directory if "/" in program else "")
        task = self._found.get(key)
        if task is None:
            task = self._found[key] = asyncio.create_task(self._look(program, directory))
        return await asyncio.shield(task)

    def builtin_includes(
        self, compiler: str, command: CompileCommand, directory: str
    ) -> tuple[str, ...] | LocalOnly:
        """Return the include directories that the compiler adds by itself."""
        return self._store.builtin_includes(compiler, command, directory)

    async def is_transparent(self, launcher: str) -> bool:
        """Tell whether a ccache only caches: its settings neither change paths nor programs."""
        task = self._launchers.get(launcher)
        if task is None:
            task = self._launchers[launcher] = asyncio.create_task(self._ask(launcher))
        return await asyncio.shield(task)

    async def _ask(self, launcher: str) -> bool:
        try:
            shown = await run_process(
                ProcessRequest((launcher, "-p"), environment=self._environ, timeout=10)
            )
        except OSError:
            return False
        settings = dict(_SETTING.findall(shown.stdout))
        return shown.succeeded and all(settings.get(name) == b"" for name in _CHANGING)

    async def _look(self, program: str, directory: str) -> _Found:
        if "/" in program:
            path: str | None = posixpath.join(directory, program)
        else:
            path = shutil.which(program, path=self._environ.get("PATH"))
        if path is None:
            return LocalOnly(f"{program} is not found")
        async with self._lock:  # the store is made for one thread at a time
            toolchain = await asyncio.to_thread(self._store.get, path)
        return toolchain if isinstance(toolchain, LocalOnly) else (path, toolchain)
