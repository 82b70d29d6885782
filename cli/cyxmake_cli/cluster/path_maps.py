"""Adds the project's path map to compiles, as far as their compilers understand one.

Knows nothing of where a compile runs. What a compiler understands is asked of it, once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from cyxmake_cli.cluster.working_directory import with_believed_directory
from cyxmake_cli.strategies.path_map import (
    DEBUG_OPTION,
    FILE_OPTION,
    PathMap,
    compiler_at,
    with_map,
)
from cyxmake_common.execution.process import ProcessRequest, run_process
from cyxmake_common.toolchain.response import Reader, no_files

_TRIED: Final = (FILE_OPTION, DEBUG_OPTION)
"""The first covers `__FILE__` as well: gcc 8 and clang 10 have it."""


class PathMaps:
    """The maps of one build in `directory` of the project at `root`."""

    def __init__(self, root: str, directory: str, environ: Mapping[str, str]) -> None:
        self._map = path_map(root, directory, environ)
        self._directory = directory
        self._environ = environ
        self._options: dict[str, asyncio.Task[str]] = {}

    def __repr__(self) -> str:
        return f"<PathMaps {self._map.names}>"

    async def mapped(self, argv: list[str], read: Reader = no_files) -> list[str]:
        """Return a command with the options for its compiler, or as it is."""
        place = compiler_at(argv, read)
        if place is None:
            return argv
        compiler = argv[place]
        task = self._options.get(compiler)
        if task is None:
            asked = understood(compiler, self._directory, self._environ)
            task = self._options[compiler] = asyncio.create_task(asked)
        return with_map(argv, self._map.options(await asyncio.shield(task)), place)


def path_map(root: str, directory: str, environ: Mapping[str, str]) -> PathMap:
    """Return the map of a project, with the names that symlinks give to its directories."""
    others = [(path, os.path.realpath(path)) for path in (root, directory)]
    believed = with_believed_directory(environ, directory).get("PWD")
    if believed is not None:
        others.append((directory, believed))
    return PathMap.of(root, directory, others)


async def understood(compiler: str, directory: str, environ: Mapping[str, str]) -> str:
    """Return the option that a compiler understands, or nothing."""
    for option in _TRIED:
        argv = (compiler, f"{option}/a=/b", "-E", "-x", "c", os.devnull)
        if await _succeeds(argv, directory, environ):
            return option
    return ""


async def _succeeds(argv: Sequence[str], directory: str, environ: Mapping[str, str]) -> bool:
    try:
        tried = await run_process(
            ProcessRequest(tuple(argv), cwd=Path(directory), environment=environ, timeout=20)
        )
    except OSError:
        return False
    return tried.succeeded
