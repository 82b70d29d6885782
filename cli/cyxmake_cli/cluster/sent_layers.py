"""The layers of a project that a worker builds as a whole: sent along, and told of there.

Knows nothing of how layers are got, and changes nothing here: the worker has them at the same
paths, read-only.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from cyxmake_cli.building.own_folder import FOLDER
from cyxmake_cli.cluster.snapshot import Snapshot
from cyxmake_cli.layers.environment import (
    LayerEnvironment,
    cmake_script,
    cmake_values,
    environment,
    merged,
    variables,
    with_words,
)
from cyxmake_cli.layers.model import Layer
from cyxmake_cli.layers.use import ProjectLayers
from cyxmake_cli.systems.model import SystemName
from cyxmake_common.cas.file_digests import FileDigests
from cyxmake_common.digest import Digest

_SEARCH: Final = "/usr/local/bin:/usr/bin:/bin"
"""Where a worker's own programs of C and C++ are."""
_NATIVE: Final = (SystemName.CMAKE, SystemName.MESON, SystemName.AUTOTOOLS, SystemName.MAKE)


class SentLayers:
    """The layers of one project; of none, nothing is added anywhere."""

    def __init__(self, source: str, system: SystemName, layers: Sequence[Layer]) -> None:
        self._script = f"{source}/{FOLDER}/layers.cmake"
        self._system = system
        self._layers = tuple(layers)
        self._added: LayerEnvironment = environment(layers)

    @staticmethod
    def of(source: str, system: SystemName) -> SentLayers:
        """Return the recorded layers, fetched where they are missing; raises CyxError."""
        project = ProjectLayers(Path(source))
        layers = project.ready() if project.record.path.exists() else ()
        return SentLayers(source, system, layers)

    def __repr__(self) -> str:
        return f"<SentLayers {len(self._layers)}>"

    def options(self, given: tuple[str, ...]) -> tuple[str, ...]:
        """Return what a configuration is told."""
        if not self._layers:
            return given
        if self._system is SystemName.CMAKE:
            return ("-C", self._script, *merged(cmake_values(self._added), given))
        if self._system is SystemName.AUTOTOOLS:
            return with_words(given, variables(self._added, self._system, {}, running=False))
        return given

    def variables(self, environ: Mapping[str, str], *, running: bool) -> dict[str, str]:
        """Return the variables of what the worker runs, those of `environ` among them."""
        if not self._layers:
            return dict(environ)
        found = variables(self._added, self._system, environ, running=running)
        if "PATH" in found:
            programs = found.pop("PATH")
            # Programs of other languages stand where only the worker knows.
            if self._system in _NATIVE:
                found["PATH"] = f"{programs}:{_SEARCH}"
        return {**environ, **found}

    def add_to(self, snapshot: Snapshot, digests: FileDigests) -> None:
        """Send the files as well; raises OSError, and ValueError for unsendable names."""
        for layer in self._layers:
            _add(str(layer.root), snapshot, digests)
        if self._layers and self._system is SystemName.CMAKE:
            text = cmake_script(cmake_values(self._added)).encode("utf-8", "surrogateescape")
            digest = Digest.of(text)
            snapshot.tree.add_file(self._script, digest)
            snapshot.sources[digest] = text


def _add(root: str, snapshot: Snapshot, digests: FileDigests) -> None:
    for folder, folders, names in os.walk(root):
        snapshot.tree.add_directory(folder)
        for name in (*folders, *names):
            path = f"{folder}/{name}"
            seen = os.lstat(path)
            if stat.S_ISLNK(seen.st_mode):
                snapshot.tree.add_symlink(path, os.readlink(path))  # noqa: PTH115 - strings
            elif stat.S_ISREG(seen.st_mode):
                snapshot.add(path, digests.digest(path), bool(seen.st_mode & stat.S_IXUSR))
