"""A project's tree as it stands, as an input root: every file by digest, without what is ignored.

Knows nothing of build systems: which directories are products it is told. What `.gitignore` names
stays here unless git has it all the same, as git does; so do repositories of version control.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cyxmake_cli.cluster.inputs import Source
from cyxmake_cli.settings import VERSION_CONTROL
from cyxmake_common.cas.file_digests import FileDigests
from cyxmake_common.cas.tree import InputTree
from cyxmake_common.digest import Digest

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_IGNORE_FILE: Final = ".gitignore"
_NEVER_SENT: Final = (*VERSION_CONTROL, ".cyxmake")
_BUILT_HERE: Final = ("CMakeCache.txt", "meson-private", "config.status")
"""What stands in a build directory that was configured: none is sent but the project itself."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of a project: `files` and `times` by their path in it, `sources` by digest."""

    tree: InputTree
    files: dict[str, Digest] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    sources: dict[Digest, Source] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def add(self, path: str, digest: Digest, is_executable: bool = False) -> None:
        """Send a file that is not the project's, by its absolute path."""
        self.tree.add_file(path, digest, is_executable)
        self.sources[digest] = path


@dataclass(frozen=True, slots=True)
class Rules:
    """What of a project stays here. `tracked` are paths that do not, whatever is ignored.

    `products` are paths and `made` patterns, both relative; `ours` tells of a file that an earlier
    build brought whether it still is that file.
    """

    tracked: frozenset[str] = frozenset()
    products: frozenset[str] = frozenset()
    made: tuple[str, ...] = ()
    ours: Callable[[str], bool] = lambda path: False


def take(source: str, rules: Rules, digests: FileDigests) -> Snapshot:
    """Read the project at an absolute path; raises OSError, and ValueError for unsendable names."""
    tree = InputTree()
    tree.add_directory(source)
    found = Snapshot(tree)
    for path, status in _walk(source, rules):
        place = f"{source}/{path}"
        if stat.S_ISLNK(status.st_mode):
            found.links[path] = os.readlink(place)  # noqa: PTH115 - strings: once per file
            tree.add_symlink(place, found.links[path])
        elif stat.S_ISDIR(status.st_mode):
            tree.add_directory(place)
        elif stat.S_ISREG(status.st_mode) and not rules.ours(path):
            digest = digests.digest(place)
            tree.add_file(place, digest, bool(status.st_mode & stat.S_IXUSR))
            found.files[path] = digest
            found.times[path] = status.st_mtime_ns
            found.sources[digest] = place
    return found


def _walk(source: str, rules: Rules) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every entry that is not ignored, directories before what they hold."""
    from pathspec import GitIgnoreSpec

    made = GitIgnoreSpec.from_lines(_anchored(pattern) for pattern in rules.made)
    kept = _parents(rules.tracked)

    def enter(
        directory: str, specs: tuple[tuple[str, GitIgnoreSpec], ...]
    ) -> Iterator[tuple[str, os.stat_result]]:
        place = f"{source}/{directory}" if directory else source
        with os.scandir(place) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        names = {entry.name for entry in listed}
        if directory and not names.isdisjoint(_BUILT_HERE) and directory not in kept:
            return
        if _IGNORE_FILE in names:
            with open(f"{place}/{_IGNORE_FILE}", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
                specs = (*specs, (directory, GitIgnoreSpec.from_lines(file)))
        for entry in listed:
            path = f"{directory}/{entry.name}" if directory else entry.name
            is_dir = entry.is_dir(follow_symlinks=False)
            if entry.name in _NEVER_SENT or path in rules.products:
                continue
            if path not in rules.tracked and path not in kept:
                named = f"{path}/" if is_dir else path
                if made.match_file(named) or _ignored(named, specs):
                    continue
            yield path, entry.stat(follow_symlinks=False)
            if is_dir:
                yield from enter(path, specs)

    yield from enter("", ())


def _ignored(path: str, specs: Collection[tuple[str, GitIgnoreSpec]]) -> bool:
    """Tell what the nearest file with an opinion says, as git does."""
    verdict = False
    for directory, spec in specs:
        inner = path[len(directory) + 1 :] if directory else path
        result = spec.check_file(inner)
        if result.include is not None:
            verdict = result.include
    return verdict


def _anchored(pattern: str) -> str:
    """Return a pattern for the top of the project alone, unless its name can mean nothing else."""
    return pattern if pattern.startswith(("_", ".", "*.", "node_modules")) else f"/{pattern}"


def _parents(paths: Collection[str]) -> frozenset[str]:
    """Return every directory on the way to a path."""
    found: set[str] = set()
    for path in paths:
        while "/" in path:
            path = path.rpartition("/")[0]  # noqa: PLW2901 - upward
            if path in found:
                break
            found.add(path)
    return frozenset(found)
