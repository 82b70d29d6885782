"""Finds every file that a link may read: a superset, so that what is absent there is absent here.

Knows nothing of trees or clusters; files are seen through a Files. The linker's own libraries
belong to its toolchain and are left out. Where several files of a name may be meant, all are taken:
the linker chooses among them there as it would here.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from cyxmake_common.toolchain.archive_command import ArchiveCommand
from cyxmake_common.toolchain.libraries import read_program
from cyxmake_common.toolchain.link_command import LinkCommand
from cyxmake_common.toolchain.linker_script import THIN, script_names, thin_members
from cyxmake_common.toolchain.local import LocalOnly

_ELF: Final = b"\x7fELF"
_SHARED: Final = 3
_OPAQUE: Final = (b"!<arch>\n", b"BC\xc0\xde", b"\xde\xc0\x17\x0b")
"""Archives and intermediate code name no other files."""


class Files(Protocol):
    """The machine's files as links see them."""

    def is_file(self, path: str) -> bool:
        """Tell whether a file, or a link to one, is there."""
        ...

    def head(self, path: str) -> bytes:
        """Return a file's first 20 bytes; of an object that is not here, what it begins with."""
        ...

    def at_home(self, path: str) -> str:
        """Return a path at which the whole file can be read now; may raise."""
        ...


@dataclass(frozen=True, slots=True)
class Linker:
    """What a linker brings along: where it searches by itself, and which files are its own."""

    search: tuple[str, ...] = ()
    needed_search: tuple[str, ...] = ()
    own: Collection[str] = ()


@dataclass(slots=True)
class LinkInputs:
    """Files by absolute path, as spelled, and the directories that must be there."""

    files: dict[str, None] = field(default_factory=dict)
    directories: dict[str, None] = field(default_factory=dict)


def archive_inputs(command: ArchiveCommand, directory: str, files: Files) -> LinkInputs | LocalOnly:
    """Find what an archiver reads."""
    found = LinkInputs(directories={directory: None})
    if not command.fresh and files.is_file(posixpath.join(directory, command.output)):
        return LocalOnly(f"adds to {command.output}, which is there already")
    for name in (*command.members, *command.response_files):
        path = posixpath.join(directory, name)
        if not files.is_file(path):
            return LocalOnly(f"{name} is missing")
        found.files[path] = None
        if files.head(path).startswith(THIN):
            return LocalOnly("puts an archive into an archive")
    return found


def link_inputs(
    command: LinkCommand, directory: str, linker: Linker, files: Files
) -> LinkInputs | LocalOnly:
    """Find what a linker reads; raises OSError for a file that cannot be read."""
    search = _Search(command, directory, linker, files)
    return search.problem or search.found


class _Search:
    """The search for the inputs of one link."""

    def __init__(self, command: LinkCommand, directory: str, linker: Linker, files: Files) -> None:
        self.directory = directory
        self.linker = linker
        self.files = files
        self.found = LinkInputs(directories={directory: None})
        self.problem: LocalOnly | None = None
        self.own_search = [self._absolute(path) for path in command.search]
        self.search = [*self.own_search, *linker.search]
        origin = posixpath.dirname(self._absolute(command.output))
        self.needed = [
            self._absolute(path.replace("${ORIGIN}", origin).replace("$ORIGIN", origin))
            for path in command.needed_search
        ]
        self.found.directories.update(dict.fromkeys(self.own_search))
        for name in command.response_files:
            self.found.files[self._absolute(name)] = None
        for name in command.inputs:
            self._need([self._absolute(name)], name)
        for name in command.libraries:
            self._library(name)
        for name in command.scripts:
            self._need(self._candidates(name, [directory, *self.search]), name, script=True)
        for name in command.read:
            self._need(self._candidates(name, [directory, *self.search]), name, opaque=True)

    def _absolute(self, path: str) -> str:
        return posixpath.join(self.directory, path)

    def _candidates(self, name: str, folders: Iterable[str]) -> list[str]:
        if name.startswith(("=", "$SYSROOT")):
            name = name.removeprefix("=").removeprefix("$SYSROOT")
        if posixpath.isabs(name):
            return [name]
        return [posixpath.join(folder, name) for folder in folders]

    def _need(
        self, paths: Sequence[str], name: str, *, script: bool = False, opaque: bool = False
    ) -> None:
        """Take all that are there; without any the link is not understood."""
        there = False
        for path in paths:
            if self.files.is_file(path):
                there = True
                self._take(path, script=script, opaque=opaque)
        if not there:
            self._refuse(f"{name} is missing")

    def _library(self, name: str) -> None:
        if name.startswith(":"):
            names: tuple[str, ...] = (name[1:],)
        else:
            names = (f"lib{name}.so", f"lib{name}.a")
        self._need([posixpath.join(f, n) for f in self.search for n in names], f"-l{name}")

    def _take(self, path: str, *, script: bool = False, opaque: bool = False) -> None:
        """Add a file, and what it names."""
        if path in self.found.files or self._is_own(path):
            return
        self.found.files[path] = None
        if opaque:
            return
        head = self.files.head(path)
        if head.startswith(THIN):
            self._thin(path)
        elif head.startswith(_ELF) and not script:
            if len(head) > 17 and (head[16] | head[17]) == _SHARED:
                self._shared(path)
        elif not head.startswith(_OPAQUE):
            self._script(path)

    def _is_own(self, path: str) -> bool:
        return path in self.linker.own or os.path.realpath(path) in self.linker.own

    def _thin(self, path: str) -> None:
        members = thin_members(_read(self.files.at_home(path)))
        if isinstance(members, LocalOnly):
            self.problem = members
            return
        folder = posixpath.dirname(path)
        for member in members:
            self._need([posixpath.join(folder, member)], member)

    def _shared(self, path: str) -> None:
        """Take the libraries that a shared library needs: the linker looks into them as well."""
        try:
            program = read_program(self.files.at_home(path))
        except ValueError as error:
            self._refuse(str(error))
            return
        folders = (*self.needed, *program.search, *self.search, *self.linker.needed_search)
        for name in program.needed:
            for candidate in self._candidates(name, dict.fromkeys(folders)):
                if self.files.is_file(candidate):
                    self._take(candidate)

    def _script(self, path: str) -> None:
        data = _read(self.files.at_home(path))
        names = script_names(data)
        if isinstance(names, LocalOnly):
            self.problem = names
            return
        folders = [self.directory, posixpath.dirname(path), *self.search]
        for name in names.inputs:
            if name.startswith("-l"):
                self._library(name[2:])
            else:
                self._need(self._candidates(name, folders), name)
        for name in names.includes:
            self._need(self._candidates(name, folders), name, script=True)

    def _refuse(self, reason: str) -> None:
        self.problem = self.problem or LocalOnly(reason)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - a string
        return file.read()
