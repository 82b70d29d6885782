"""What builds made in a project: names before and after, and a record of what is new.

Knows nothing of build systems. A file counts as made by a build only when it was not there before,
and only as long as it is exactly as the build left it: a file that somebody has touched since is
theirs. Symbolic links are never followed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_cli.building.own_folder import FOLDER, OwnFolder
from cyxmake_common.errors import ConfigError

RECORD: Final = "made.json"
_VERSION: Final = 1
_SKIPPED: Final = frozenset((".git", ".hg", ".svn", ".jj", FOLDER))

Look = tuple[int, int, int]
"""Size, mtime and inode of a file: what shows that it is as it was left."""


@dataclass(frozen=True, slots=True)
class Names:
    """What stands below some roots: absolute paths of files (and links), and of directories."""

    files: frozenset[str]
    folders: frozenset[str]


def names_below(roots: Iterable[str]) -> Names:
    """Return what stands below directories; version control and our own folder are left out."""
    files: set[str] = set()
    folders: set[str] = set()
    waiting = [os.path.abspath(root) for root in roots]  # noqa: PTH100 - as spelled
    while waiting:
        folder = waiting.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue
        folders.add(folder)
        for entry in entries:
            if entry.name in _SKIPPED:
                continue
            if entry.is_dir(follow_symlinks=False):
                if entry.path not in folders:
                    waiting.append(entry.path)
            else:
                files.add(entry.path)
    return Names(frozenset(files), frozenset(folders))


def look(path: str) -> Look | None:
    """Return how a file looks; None: there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


class Journal:
    """What builds made in one project, by path; directories that a build made are kept as well."""

    def __init__(self, own: OwnFolder, files: Mapping[str, Look], folders: Iterable[str]) -> None:
        self._own = own
        self._source = str(own.path.parent)
        self.files = dict(files)
        self.folders = set(folders)

    def __repr__(self) -> str:
        return f"<Journal {self._source} {len(self.files)} files {len(self.folders)} folders>"

    @staticmethod
    def load(own: OwnFolder) -> Journal:
        """Read the record; a missing or damaged one is empty: then nothing counts as made."""
        found = own.read(RECORD)
        source = str(own.path.parent)
        try:
            if found.get("version") != _VERSION:
                return Journal(own, {}, ())
            files = {
                os.path.join(source, path): (int(size), int(mtime), int(inode))  # noqa: PTH118
                for path, (size, mtime, inode) in found["files"].items()
            }
            folders = [os.path.join(source, str(path)) for path in found["folders"]]  # noqa: PTH118
        except (KeyError, TypeError, ValueError, AttributeError):
            return Journal(own, {}, ())
        return Journal(own, files, folders)

    def save(self) -> None:
        """Write the record; raises ConfigError."""
        self._own.write(
            RECORD,
            {
                "version": _VERSION,
                "files": {self._short(p): list(seen) for p, seen in sorted(self.files.items())},
                "folders": sorted(self._short(p) for p in self.folders),
            },
        )

    def forget_touched(self) -> list[str]:
        """Drop files that are gone or were touched since; returns the latter."""
        touched = []
        for path, seen in list(self.files.items()):
            now = look(path)
            if now != seen:
                del self.files[path]
                if now is not None:
                    touched.append(path)
        self.folders = {p for p in self.folders if Path(p).is_dir() and not Path(p).is_symlink()}
        return touched

    def add(self, before: Names, after: Names) -> None:
        """Take up what is new, and how files look now that builds made."""
        for path in {*self.files, *(after.files - before.files)}:
            now = look(path)
            if now is None:
                self.files.pop(path, None)
            else:
                self.files[path] = now
        self.folders |= after.folders - before.folders

    def _short(self, path: str) -> str:
        prefix = self._source + os.sep
        return path.removeprefix(prefix)


@contextmanager
def made_here(own: OwnFolder, roots: Iterable[str]) -> Iterator[None]:
    """Write down what is made below some roots meanwhile, so that `clean` can take it away."""
    roots = tuple(roots)
    journal = Journal.load(own)
    journal.forget_touched()
    known = len(journal.files), len(journal.folders)
    before = names_below(roots)
    try:
        yield
    finally:
        journal.add(before, names_below(roots))
        if journal.files or known != (0, 0):
            # Sources may be on a read-only disk; then a clean knows of nothing that it may remove.
            with suppress(ConfigError):
                journal.save()
