"""Trees of this machine in place of toolchains for another: an own zig, or an own gcc's twin.

Knows nothing of leases and fetches nothing: what is needed of the other tree is handed in. A tree
keeps the other's own headers at their paths, so that what is compiled finds what its client's
compiler would find, and has the programs of this machine beside them.
"""

from __future__ import annotations

import os
import posixpath
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cyxmake_common.action import Properties
from cyxmake_common.cas.tree import InputTree
from cyxmake_common.cas.tree_walk import TreeFile, TreeSymlink, walk_tree
from cyxmake_common.digest import Digest
from cyxmake_common.toolchain.arguments import is_cxx_driver
from cyxmake_common.toolchain.identity import Toolchain
from cyxmake_common.toolchain.manifest import MANIFEST_PATH, ToolchainManifest
from cyxmake_common.toolchain.portable import Portable
from cyxmake_common.toolchain.smoke import FOLDER as SMOKE_FOLDER
from cyxmake_common.toolchain.twin import Twin, language_of


@dataclass(frozen=True, slots=True)
class LocalTool:
    """A tool that compiles alike on every machine, as it stands on this one."""

    tool: str
    version: str
    path: Path
    digest: Digest

    @property
    def name(self) -> str:
        """Return what this worker offers."""
        return f"{self.tool} {self.version}"


@dataclass(frozen=True, slots=True)
class Substitute:
    """The tree in place of a toolchain's, what it needs of us, and what command lines become.

    `programs` are drivers by the path, or the name, that they are called by, with the words that go
    before the other arguments; `includes` are folders by language that go behind them. `path`
    replaces PATH, if given. `absent` are folders by language where our tool would look, too.
    """

    tool: str
    tree: Digest
    blobs: Mapping[Digest, bytes | Path]
    programs: Mapping[str, tuple[str, ...]]
    includes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    path: str = ""
    absent: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def arguments(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """Return a command line that calls what stands here, and means the same."""
        words = self.programs.get(argv[0]) or self.programs.get(posixpath.basename(argv[0]))
        if words is None:
            return argv
        folders = self.includes.get(language_of(argv), ()) if self.includes else ()
        return (*words, *argv[1:], *(word for one in folders for word in ("-isystem", one)))

    def environment(self, environment: Properties) -> Properties:
        """Return the variables of a command line that calls what stands here."""
        if not self.path:
            return environment
        others = (pair for pair in environment if pair[0] != "PATH")
        return tuple(sorted((*others, ("PATH", self.path))))

    def disturbed(self, argv: Sequence[str], layers: Sequence[Path]) -> str:
        """Return a folder of an action's that our tool finds unasked, and the client's does not."""
        places = self.absent.get(language_of(argv), ()) if self.absent else ()
        return next((one for one in places for layer in layers if _is_there(layer, one)), "")


def of_tool(tool: LocalTool, portable: Portable, files: Mapping[str, TreeFile]) -> Substitute:
    """Return a toolchain's tree with our own tool as its one program."""
    program = f"{portable.program}.exe" if sys.platform == "win32" else portable.program
    tree = InputTree()
    for path, entry in files.items():
        if path.startswith((f"{portable.data}/", f"{SMOKE_FOLDER}/")) or path == MANIFEST_PATH:
            tree.add_file(path, entry.digest)
    tree.add_file(program, tool.digest, executable=True)
    root, directories = tree.build()
    programs = {name: (program, *words) for name, words in portable.drivers.items()}
    return Substitute(tool.name, root, {**directories, tool.digest: tool.path}, programs)


def of_twin(
    own: Toolchain, ours: Twin, manifest: ToolchainManifest, files: Mapping[str, TreeFile],
    names: Collection[str],
) -> Substitute:  # fmt: skip
    """Return our gcc's tree with the private headers of another; raises ValueError.

    `names` are the other's drivers. The manifest is the other's, with what twins must do alike.
    """
    theirs = manifest.twin
    assert theirs is not None
    kept = (*theirs.folders, SMOKE_FOLDER)
    dropped = (*ours.folders, SMOKE_FOLDER)
    tree = InputTree()
    for entry in walk_tree(own.id, own.directories.__getitem__):
        if isinstance(entry, TreeFile | TreeSymlink) and not _is_below(entry.path, dropped):
            if isinstance(entry, TreeSymlink):
                tree.add_symlink(entry.path, entry.target)
            elif entry.path != MANIFEST_PATH:
                tree.add_file(entry.path, entry.digest, entry.executable)
    for path, file in files.items():
        if _is_below(path, kept):
            tree.add_file(path, file.digest, file.executable)
    smoke = theirs.probes + (manifest.smoke if ours.text == theirs.text else ())
    text = replace(manifest, smoke=smoke, path=own.path).to_bytes()
    tree.add_file(MANIFEST_PATH, Digest.of(text))
    programs = _drivers(own, tree, names)
    root, directories = tree.build()
    blobs: dict[Digest, bytes | Path] = {digest: Path(path) for digest, path in own.files.items()}
    blobs |= {**directories, Digest.of(text): text}
    absent = {}
    for language, places in ours.searched.items():
        found = {posixpath.normpath(one) for one in manifest.builtin_includes.get(language, ())}
        absent[language] = tuple(one for one in places if one not in found)
    return Substitute(
        ours.name,
        root,
        blobs,
        programs,
        manifest.builtin_includes,
        own.path,
        absent,
    )


def _drivers(own: Toolchain, tree: InputTree, names: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Give our drivers the other's names, for messages: by which way each is called.

    The C and the C++ driver are two programs, and only together are they a gcc.
    """
    programs: dict[str, tuple[str, ...]] = {}
    for name in sorted({posixpath.basename(path) for path in names}):
        alike = [path for path in own.names if is_cxx_driver(path) is is_cxx_driver(name)]
        if not alike:
            continue
        driver = min(alike, key=lambda path: (len(path), path))
        path = posixpath.join(posixpath.dirname(driver), name)
        if path not in own.names:
            tree.add_symlink(path, posixpath.basename(driver))
        programs[name] = (path,)
    return programs


def _is_below(path: str, folders: Iterable[str]) -> bool:
    return any(path.startswith(f"{folder}/") for folder in folders)


def _is_there(layer: Path, folder: str) -> bool:
    """Tell whether a layer may have a folder: a link on the way may lead to it."""
    here = os.fspath(layer)
    for part in folder.split("/")[1:]:
        here = f"{here}/{part}"
        if os.path.islink(here):  # noqa: PTH114 - strings throughout
            return True
        if not os.path.isdir(here):  # noqa: PTH112
            return False
    return True
