"""What one build directory has to be told of a project's layers, and what it was told before.

Knows the options of build systems from `environment`, and CMake's cache as text. A build directory
that was configured with other layers than today's is configured again: finds that lead into a
layer which is no longer used are forgotten there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from pathlib import Path
from typing import Final

from cyxmake_cli.building.own_folder import OwnFolder
from cyxmake_cli.layers.environment import (
    CMAKE_VARIABLES,
    LayerEnvironment,
    cmake_script,
    cmake_values,
    environment,
    merged,
    variables,
    with_words,
)
from cyxmake_cli.layers.model import Layer
from cyxmake_cli.safety.gate import Gate
from cyxmake_cli.systems.model import SystemName
from cyxmake_common.errors import ConfigError

_USED: Final = "layers-used.json"
_CHECK: Final = re.compile(
    r"^//(?:Have|Test|Result of|Checking|CHECK_TYPE_SIZE:) .*\n([\w.+-]+):INTERNAL=", re.MULTILINE
)
"""What the modules that come with CMake write beside the result of a check."""


class BuildLayers:
    """The layers of a project as one build directory of it uses them."""

    def __init__(
        self, source: Path, build: Path, system: SystemName, layers: tuple[Layer, ...], store: Path
    ) -> None:
        self._own = OwnFolder(source)
        self._build = build
        self._system = system
        self._layers = layers
        self._store = store
        self.added: LayerEnvironment = environment(layers)

    def __repr__(self) -> str:
        return f"<BuildLayers {self._build} {len(self._layers)} layers>"

    @staticmethod
    def of(source: Path, build: Path, system: SystemName, gate: Gate | None) -> BuildLayers:
        """Return the recorded layers, fetched where they are missing; raises CyxError."""
        own = OwnFolder(source).path
        if not any((own / name).exists() for name in ("layers.toml", _USED)):
            return BuildLayers(source, build, system, (), Path())
        from cyxmake_cli.layers.use import ProjectLayers

        project = ProjectLayers(source)
        layers = project.ready(gate) if project.record.path.exists() else ()
        return BuildLayers(source, build, system, layers, project.store.directory)

    @property
    def changed(self) -> bool:
        """Tell whether the build directory was configured with other layers."""
        return self._digests() != self._known()

    def options(self, given: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return what a configuration is told: `given` options, and with them those of layers."""
        if not self._layers and not self._known():
            return given
        if self._system is SystemName.AUTOTOOLS:
            return with_words(given, variables(self.added, self._system, {}, running=False))
        if self._system is SystemName.MESON and self.changed:
            from cyxmake_cli.layers.meson import options_before

            return (*options_before(self._build, given), *given)
        if self._system is not SystemName.CMAKE:
            return given
        values = cmake_values(self.added)
        found = ["-C", str(self._script)] if self._layers else [f"-U{name}" for name in values]
        with contextlib.suppress(OSError):
            cache = (self._build / "CMakeCache.txt").read_text("utf-8", "replace")
            roots = tuple(str(layer.root) for layer in self._layers)
            stale = left_behind(cache, str(self._store), roots)
            stale += checked(cache) if self.changed else []
            found += [f"-U{name}" for name in stale]
        return (*found, *merged(values, given))

    def prepare(self) -> None:
        """Write what the options of a configuration refer to; raises ConfigError."""
        if self._system is SystemName.MESON and self.changed:
            from cyxmake_cli.layers.meson import forget

            forget(self._build)
        if self._system is not SystemName.CMAKE:
            return
        if not self._layers:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                self._script.unlink()
        else:
            text = cmake_script(cmake_values(self.added))
            self._own.write_bytes(self._script.name, text.encode("utf-8", "surrogateescape"))

    @property
    def _script(self) -> Path:
        name = hashlib.sha256(os.fsencode(self._build)).hexdigest()[:8]
        return self._own.path / f"layers-{name}.cmake"

    def variables(self, *, running: bool = False) -> dict[str, str]:
        """Return the variables of commands; with no layers, none."""
        if not self._layers:
            return {}
        return variables(self.added, self._system, os.environ, running=running)

    def remember(self) -> None:
        """Write down that the build directory is configured with these layers."""
        if not self.changed:
            return
        found = self._own.read(_USED)
        found[str(self._build)] = self._digests()
        with contextlib.suppress(ConfigError):  # as for every fact about a configuration
            self._own.write(_USED, found)

    def _known(self) -> list[str]:
        found = self._own.read(_USED).get(str(self._build), [])
        return found if isinstance(found, list) else []

    def _digests(self) -> list[str]:
        return [layer.digest for layer in self._layers]


def left_behind(cache: str, store: str, roots: tuple[str, ...]) -> list[str]:
    """Return the entries of a CMake cache that lead into layers other than these."""
    found = []
    for line in cache.splitlines():
        name, _, value = line.partition("=")
        name = name.partition(":")[0].strip('"')
        if f"{store}/" not in value or name in CMAKE_VARIABLES or line.startswith(("#", "//")):
            continue
        rest = value
        for root in roots:
            rest = rest.replace(f"{root}/", "")
        if f"{store}/" in rest:
            found.append(name)
    return found


def checked(cache: str) -> list[str]:
    """Return the entries of a CMake cache that a check has left: the next may come out otherwise.

    A search that found nothing is done again by itself.
    """
    return [match[1] for match in _CHECK.finditer(cache)]
