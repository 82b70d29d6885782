"""Finds the tools of a link, without holding up the build while they are captured.

Knows nothing of command lines beyond the programs' names.
"""

from __future__ import annotations

import asyncio
import os
import posixpath
import shutil
from collections.abc import Mapping
from pathlib import Path

from cyxmake_cli.strategies.link_units import Linking
from cyxmake_common.toolchain.link_capture import capture_archiver, capture_linker
from cyxmake_common.toolchain.link_command import LinkCommand
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.tool_tree import ToolTree, ToolTreeStore


class LinkTools:
    """The linkers and archivers of one build, which runs in `environ`; each is looked at once."""

    def __init__(self, cache_dir: Path, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._store = ToolTreeStore(cache_dir / "tools", environ)
        self._lock = asyncio.Lock()

    async def find(self, command: Linking, directory: str) -> ToolTree | LocalOnly:
        """Return the tools of a command of an edge in `directory`."""
        programs = (command.compiler,) if isinstance(command, LinkCommand) else command.programs
        paths: list[str] = []
        for program in programs:
            path = self._path(program, directory)
            if path is None:
                return LocalOnly(f"{program} is not found")
            paths.append(path)
        async with self._lock:  # the store is made for one thread at a time
            return await asyncio.to_thread(self._get, command, paths)

    def _get(self, command: Linking, paths: list[str]) -> ToolTree | LocalOnly:
        if isinstance(command, LinkCommand):
            linker = command.linker
            return self._store.get(
                f"{paths[0]} -fuse-ld={linker}",
                lambda: capture_linker(paths[0], linker, self._environ),
            )
        return self._store.get(
            f"{' '.join(paths)} {command.keys}",
            lambda: capture_archiver(paths, command.keys, self._environ),
        )

    def _path(self, program: str, directory: str) -> str | None:
        if "/" in program:
            return posixpath.join(directory, program)
        return shutil.which(program, path=self._environ.get("PATH"))
