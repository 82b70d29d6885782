"""What an action's files looked like to the compiler: its layers as one file system, with digests.

Knows nothing of cache entries. Thousands of compiles share their layers, so listings, scans and
digests are remembered for each pair of trees; a file's digest is known by its inode even when the
next root holds it at another path.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cyxmake_common.cache.key import tokenise
from cyxmake_common.digest import Digest
from cyxmake_common.includes.closure import IncludeClosure
from cyxmake_common.includes.dependencies import DependencyProbes
from cyxmake_common.includes.files import Identity
from cyxmake_common.includes.rooted import RootedFileSystem
from cyxmake_common.includes.scanner import ScanResult
from cyxmake_common.toolchain.manifest import MANIFEST_PATH, ToolchainManifest

_SCENES_KEPT: Final = 4
_DIGESTS_KEPT: Final = 200_000
_SCANS_KEPT: Final = 50_000


class _FrozenFiles(RootedFileSystem):
    """Layers never change: whether a file is there need be found out once."""

    def __init__(self, roots: Sequence[str]) -> None:
        super().__init__(roots)
        self._there: dict[str, bool] = {}

    def is_file(self, path: str) -> bool:
        """Tell whether a regular file (or a link to one) is there."""
        there = self._there.get(path)
        if there is None:
            there = self._there[path] = super().is_file(path)
        return there


class Scene:
    """One stack of layers, uppermost first; valid while the layers stand."""

    def __init__(
        self,
        layers: Sequence[Path],
        known: dict[Identity, Digest],
        scanned: dict[Identity, ScanResult],
    ) -> None:
        self.files = _FrozenFiles([str(layer) for layer in layers])
        self.closures = IncludeClosure(self.files, scanned)
        self.probes = DependencyProbes(self.closures, self.files)
        self._known = known
        self._digests: dict[str, Digest | None] = {}
        self._manifest: ToolchainManifest | None = None
        self._tokens: dict[tuple[str, str], str] = {}

    def __repr__(self) -> str:
        return f"<Scene {self.files!r} {len(self._digests)} digests>"

    def digest(self, path: str) -> Digest | None:
        """Return the digest of the file that a path means here, None where there is none."""
        if path not in self._digests:
            self._digests[path] = self._look(path)
        return self._digests[path]

    def _look(self, path: str) -> Digest | None:
        if not self.files.is_file(path):
            return None
        identity = self.files.identity(path)
        found = None if identity is None else self._known.get(identity)
        if found is None:
            try:
                data, identity = self.files.read(path)
            except OSError:
                return None
            found = Digest.of(data)
            if len(self._known) >= _DIGESTS_KEPT:
                self._known.clear()
            self._known[identity] = found
        return found

    def token(self, path: str, root: str) -> str:
        """Return a path with the project's root replaced, as cache keys have it."""
        token = self._tokens.get((path, root))
        if token is None:
            token = self._tokens[path, root] = tokenise(path, root)
        return token

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, None where there is none."""
        try:
            return self.files.read(path)[0]
        except OSError:
            return None

    @property
    def manifest(self) -> ToolchainManifest | None:
        """Return what the toolchain among the layers says of itself."""
        if self._manifest is None and (data := self.read(MANIFEST_PATH)) is not None:
            try:
                self._manifest = ToolchainManifest.from_bytes(data)
            except ValueError:
                return None
        return self._manifest


class Scenes:
    """The last few scenes."""

    def __init__(self) -> None:
        self._scenes: OrderedDict[tuple[Path, ...], Scene] = OrderedDict()
        self._known: dict[Identity, Digest] = {}
        self._scanned: dict[Identity, ScanResult] = {}

    def __repr__(self) -> str:
        return f"<Scenes {len(self._scenes)}, {len(self._known)} files known>"

    def of(self, layers: Sequence[Path]) -> Scene:
        """Return the scene of some layers, which must stand while it is looked at."""
        key = tuple(layers)
        scene = self._scenes.get(key)
        if scene is None:
            if len(self._scanned) >= _SCANS_KEPT:
                self._scanned.clear()
            scene = self._scenes[key] = Scene(layers, self._known, self._scanned)
            if len(self._scenes) > _SCENES_KEPT:
                self._scenes.popitem(last=False)
        self._scenes.move_to_end(key)
        return scene
