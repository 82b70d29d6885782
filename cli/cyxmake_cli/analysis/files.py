"""The files of a repository, as its own people count them: without what builds and tools leave.

Knows git's view where there is one; else walks, and leaves out folders by name.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cyxmake_cli.git import git, in_repository

NOT_OURS: Final = frozenset((
    ".bzr", ".cache", ".cyxmake", ".eggs", ".git", ".gradle", ".hg", ".idea", ".jj", ".mypy_cache",
    ".next", ".nox", ".pc", ".pytest_cache", ".ruff_cache", ".svn", ".tox", ".venv", ".vs",
    "CMakeFiles",
    "__pycache__", "bower_components", "node_modules", "vcpkg_installed", "venv",
))  # fmt: skip
_BUILD_MARKS: Final = ("CMakeCache.txt", "build.ninja", "CACHEDIR.TAG", "meson-info")
VENDORED: Final = frozenset((
    "3rdparty", "_deps", "contrib", "deps", "example", "examples", "extern", "external", "fixtures",
    "samples", "subprojects", "submodules", "test", "test-data", "testdata", "tests", "third-party",
    "third_party", "thirdparty", "vendor", "vendored",
))  # fmt: skip
"""Folders whose manifests say little about what the project itself is and needs."""
_READ_LIMIT: Final = 2 << 20


@dataclass(slots=True)
class Files:
    """The files of a repository: paths relative to its root with their sizes; texts are kept."""

    root: Path
    sizes: dict[str, int]
    _texts: dict[str, str] = field(default_factory=dict)

    def text(self, path: str) -> str:
        """Return a file's text (at most 2 MB of it), empty if it cannot be read."""
        if path not in self._texts:
            try:
                with (self.root / path).open("rb") as file:
                    self._texts[path] = file.read(_READ_LIMIT).decode("utf-8", "replace")
            except OSError:
                self._texts[path] = ""
        return self._texts[path]

    def head(self, path: str, size: int = 8192) -> str:
        """Return the beginning of a file; it is not kept."""
        if path in self._texts:
            return self._texts[path][:size]
        try:
            with (self.root / path).open("rb") as file:
                return file.read(size).decode("utf-8", "replace")
        except OSError:
            return ""

    def read(self) -> tuple[str, ...]:
        """Return the paths of the texts that were asked for."""
        return tuple(self._texts)

    def folders(self) -> dict[str, set[str]]:
        """Return the names of files by folder; the root is the empty string."""
        found: dict[str, set[str]] = defaultdict(set)
        for path in self.sizes:
            folder, _, name = path.rpartition("/")
            found[folder].add(name)
        return found

    def own(self, path: str) -> bool:
        """Tell whether a file stands outside of folders with other people's things, or tests."""
        return not any(part.lower() in VENDORED for part in path.split("/")[:-1])


def files_of(root: Path) -> Files:
    """Return the files of a repository; links and what version control ignores are left out."""
    names = _from_git(root) if in_repository(root) else None
    if names is None:
        return Files(root, _walk(root))
    sizes = {}
    for name in names:
        if any(part in NOT_OURS for part in name.split("/")[:-1]):
            continue
        try:
            found = os.lstat(root / name)
        except OSError:
            continue
        if found.st_mode & 0o170000 == 0o100000:
            sizes[name] = found.st_size
    return Files(root, sizes)


def _from_git(root: Path) -> list[str] | None:
    found = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if found is None:
        return None
    return sorted({os.fsdecode(name) for name in found.split(b"\0") if name})


def _walk(root: Path) -> dict[str, int]:
    sizes: dict[str, int] = {}
    waiting = [("", str(root))]
    while waiting:
        prefix, folder = waiting.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue
        if prefix and any(entry.name in _BUILD_MARKS for entry in entries):
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in NOT_OURS:
                    waiting.append((f"{prefix}{entry.name}/", entry.path))
            elif entry.is_file(follow_symlinks=False):
                sizes[prefix + entry.name] = entry.stat(follow_symlinks=False).st_size
    return dict(sorted(sizes.items()))
