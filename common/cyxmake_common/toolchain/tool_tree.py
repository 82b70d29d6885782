"""Programs and their files as a content-addressed tree, remembered while nothing of them changes.

Knows nothing of what the programs do: `link_capture` says which files belong together. Beside the
files a tree remembers the state of whole folders, in which a new file would be found first.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import msgpack

from cyxmake_common.cas.tree import InputTree
from cyxmake_common.cas.tree_scan import TreeScanner
from cyxmake_common.digest import Digest
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.stamps import Stamp, hops, stamp

_FORMAT: Final = 1
_VARIABLES: Final = ("PATH", "GCC_EXEC_PREFIX", "COMPILER_PATH", "LD_LIBRARY_PATH")

Source = str | bytes
"""Where a blob's bytes are: a file's path, or the bytes themselves."""


@dataclass(frozen=True, slots=True)
class Captured:
    """What belongs to a tool: files and directories by absolute path, as spelled.

    `watched` are paths whose change makes this out of date, `path` is the PATH for the worker;
    `search` and `needed_search` are where a linker looks by itself.
    """

    files: tuple[str, ...]
    directories: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()
    path: str = ""
    search: tuple[str, ...] = ()
    needed_search: tuple[str, ...] = ()


@dataclass(frozen=True)
class ToolTree:
    """A tool in the CAS: `id` is the digest of its root Directory.

    `directories` are the Directory blobs, `sources` says where each file's bytes can be read.
    """

    id: Digest
    captured: Captured
    directories: Mapping[Digest, bytes]
    sources: Mapping[Digest, str]

    def __repr__(self) -> str:
        return f"<ToolTree {self.id.hash[:12]} {len(self.sources)} files>"

    def blobs(self) -> dict[Digest, Source]:
        """Return every blob of the tree, with where its bytes are."""
        return {**self.sources, **self.directories}

    @cached_property
    def own(self) -> frozenset[str]:
        """Return the paths of all files, and what they lead to."""
        files = self.captured.files
        return frozenset((*files, *(os.path.realpath(path) for path in files)))


class ToolTreeStore:
    """Captured tools, kept in a folder between builds; one thread at a time."""

    def __init__(self, folder: Path, environ: Mapping[str, str] = os.environ) -> None:
        self._folder = folder
        self._variables = {name: environ.get(name, "") for name in _VARIABLES}
        self._trees: dict[str, ToolTree | LocalOnly] = {}

    def __repr__(self) -> str:
        return f"<ToolTreeStore {self._folder} {len(self._trees)} tools>"

    def get(self, name: str, capture: Callable[[], Captured | LocalOnly]) -> ToolTree | LocalOnly:
        """Return the tree that a name stands for; captures it when it is new or out of date.

        What was returned once holds for the life of this store, which is one build.
        """
        known = self._trees.get(name)
        if known is None:
            known = self._trees[name] = self._load(name) or self._make(name, capture)
        return known

    def _make(self, name: str, capture: Callable[[], Captured | LocalOnly]) -> ToolTree | LocalOnly:
        try:
            captured = capture()
            if isinstance(captured, LocalOnly):
                return captured
            stamps = {path: stamp(path) for path in _watched(captured)}
            tree = _build(captured)
        except OSError as error:
            return LocalOnly(f"{name.partition(' ')[0]} can't be read: {error}")
        self._save(name, tree, stamps)
        return tree

    def _load(self, name: str) -> ToolTree | None:
        try:
            tree, stamps, variables = _decode(self._file(name).read_bytes())
        except (OSError, ValueError):
            return None
        if variables != self._variables:
            return None
        return tree if all(stamp(path) == before for path, before in stamps.items()) else None

    def _save(self, name: str, tree: ToolTree, stamps: Mapping[str, Stamp | None]) -> None:
        """Keep a tree; without a folder to write to, the next build captures again."""
        path = self._file(name)
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                temporary.write_bytes(_encode(tree, stamps, self._variables))
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError:
            return

    def _file(self, name: str) -> Path:
        return self._folder / f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}.tool"


def _build(captured: Captured) -> ToolTree:
    """Hash the files into a tree; raises OSError."""
    tree = InputTree()
    sources: dict[Digest, str] = {}

    def digest_file(path: str) -> Digest:
        digest = Digest.of_file(path)
        sources[digest] = path
        return digest

    scanner = TreeScanner(tree, digest_file)
    for path in captured.directories:
        scanner.add_directory(path)
    for path in captured.files:
        scanner.add_path(path)
    root, directories = tree.build()
    return ToolTree(root, captured, directories, sources)


def _watched(captured: Captured) -> list[str]:
    """Return every path whose change makes a capture out of date, links on the way included."""
    paths: dict[str, None] = dict.fromkeys(captured.watched)
    for path in captured.files:
        paths.update(dict.fromkeys((path, *hops(path))))
    return list(paths)


def programs_in_path(names: Iterable[str], path: str) -> tuple[str, ...]:
    """Return the folders of a PATH that decide which programs these names mean."""
    folders = [folder for folder in path.split(os.pathsep) if folder.startswith("/")]
    wanted = set(names)
    for position, folder in enumerate(folders):
        wanted = {name for name in wanted if not os.access(f"{folder}/{name}", os.X_OK)}
        if not wanted:
            return tuple(folders[: position + 1])
    return tuple(folders)


def _encode(
    tree: ToolTree, stamps: Mapping[str, Stamp | None], variables: Mapping[str, str]
) -> bytes:
    captured = tree.captured
    data: bytes = msgpack.packb(
        {
            "format": _FORMAT,
            "id": str(tree.id),
            "captured": [
                captured.files,
                captured.directories,
                captured.watched,
                captured.path,
                captured.search,
                captured.needed_search,
            ],
            "directories": [(str(d), data) for d, data in tree.directories.items()],
            "sources": [(str(d), path) for d, path in tree.sources.items()],
            "stamps": dict(stamps),
            "variables": dict(variables),
        },
        unicode_errors="surrogateescape",
    )
    return data


def _decode(data: bytes) -> tuple[ToolTree, dict[str, Stamp | None], dict[str, str]]:
    """Return a tree and what it holds for; raises ValueError for bytes that are not one."""
    try:
        raw = msgpack.unpackb(data, use_list=False, unicode_errors="surrogateescape")
        if raw["format"] != _FORMAT:
            raise ValueError("another format")
        tree = ToolTree(
            id=Digest.parse(raw["id"]),
            captured=Captured(*raw["captured"]),
            directories={Digest.parse(d): blob for d, blob in raw["directories"]},
            sources={Digest.parse(d): path for d, path in raw["sources"]},
        )
        return tree, raw["stamps"], raw["variables"]
    except (KeyError, TypeError, AttributeError, msgpack.UnpackException) as error:
        raise ValueError(f"not a captured tool: {error}") from error
