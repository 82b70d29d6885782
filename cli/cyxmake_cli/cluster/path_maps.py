"""Adds to compiles what settings ask for: the project's path map, and no text of the compiler's.

Knows nothing of where a compile runs. What a compiler understands is asked of it, once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_cli.cluster.working_directory import with_believed_directory
from cyxmake_cli.settings import Settings
from cyxmake_cli.strategies.path_map import (
    DEBUG_OPTION,
    FILE_OPTION,
    PathMap,
    compiler_at,
    with_map,
)
from cyxmake_common.execution.process import ProcessRequest, run_process
from cyxmake_common.toolchain.response import Reader, no_files
from cyxmake_common.toolchain.twin import NO_IDENT

_TRIED: Final = (FILE_OPTION, DEBUG_OPTION)
"""The first covers `__FILE__` as well: gcc 8 and clang 10 have it."""


@dataclass(frozen=True, slots=True)
class Understood:
    """What a compiler understands: the option that takes a map, and others that are added."""

    mapping: str = ""
    others: tuple[str, ...] = ()

    def options(self, names: PathMap) -> tuple[str, ...]:
        """Return what is to stand behind the compiler's name."""
        return (*names.options(self.mapping), *self.others)


def adds_options(settings: Settings) -> bool:
    """Tell whether compiles get options that their commands do not have."""
    return settings.cache.remap_paths or settings.build.no_ident


class PathMaps:
    """The options of one build in `directory` of the project at `root`."""

    def __init__(
        self, root: str, directory: str, environ: Mapping[str, str], settings: Settings
    ) -> None:
        self._map = path_map(root, directory, environ)
        self._directory = directory
        self._environ = environ
        self._settings = settings
        self._known: dict[str, asyncio.Task[Understood]] = {}

    def __repr__(self) -> str:
        return f"<PathMaps {self._map.names}>"

    async def mapped(self, argv: list[str], read: Reader = no_files) -> list[str]:
        """Return a command with the options for its compiler, or as it is."""
        place = compiler_at(argv, read)
        if place is None:
            return argv
        compiler = argv[place]
        task = self._known.get(compiler)
        if task is None:
            asked = understood(compiler, self._directory, self._environ, self._settings)
            task = self._known[compiler] = asyncio.create_task(asked)
        return with_map(argv, (await asyncio.shield(task)).options(self._map), place)


def path_map(root: str, directory: str, environ: Mapping[str, str]) -> PathMap:
    """Return the map of a project, with the names that symlinks give to its directories."""
    others = [(path, os.path.realpath(path)) for path in (root, directory)]
    believed = with_believed_directory(environ, directory).get("PWD")
    if believed is not None:
        others.append((directory, believed))
    return PathMap.of(root, directory, others)


async def understood(
    compiler: str, directory: str, environ: Mapping[str, str], settings: Settings
) -> Understood:
    """Return what of the wanted options a compiler understands."""
    mapping = ""
    others: tuple[str, ...] = ()
    if settings.cache.remap_paths:
        for option in _TRIED:
            if await _takes(compiler, f"{option}/a=/b", directory, environ):
                mapping = option
                break
    if settings.build.no_ident and await _takes(compiler, NO_IDENT, directory, environ):
        others = (NO_IDENT,)
    return Understood(mapping, others)


async def _takes(compiler: str, option: str, directory: str, environ: Mapping[str, str]) -> bool:
    return await _succeeds((compiler, option, "-E", "-x", "c", os.devnull), directory, environ)


async def _succeeds(argv: Sequence[str], directory: str, environ: Mapping[str, str]) -> bool:
    try:
        tried = await run_process(
            ProcessRequest(tuple(argv), cwd=Path(directory), environment=environ, timeout=20)
        )
    except OSError:
        return False
    return tried.succeeded
