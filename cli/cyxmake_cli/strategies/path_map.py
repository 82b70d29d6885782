"""Which compiles get an option that names the project by a fixed path, and what that option is.

Knows no files and runs nothing. The decision hangs on the command alone, never on where it runs: a
compile has the same bytes on the cluster, from the cache, and here.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cyxmake_common.toolchain.arguments import compiler_kind
from cyxmake_common.toolchain.compiler_caches import shim_name
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.response import Reader, expand, no_files

ROOT_NAME: Final = "/cyxmake/root"
"""What debug information and `__FILE__` have in place of the project's root."""

BUILD_NAME: Final = "/cyxmake/build"
"""What they have in place of a build directory that is not below the root."""

FILE_OPTION: Final = "-ffile-prefix-map="
DEBUG_OPTION: Final = "-fdebug-prefix-map="

_COVERAGE: Final = (
    "--coverage",
    "-coverage",
    "-ftest-coverage",
    "-fprofile",
    "-fcs-profile",
    "-fcoverage-mapping",
    "-fbranch-probabilities",
    "-fauto-profile",
)
"""Whose outputs name files that have to be found again under their real paths."""


@dataclass(frozen=True, slots=True)
class PathMap:
    """Real names of directories with the fixed names that stand for them."""

    names: tuple[tuple[str, str], ...]

    @staticmethod
    def of(root: str, directory: str, others: Sequence[tuple[str, str]] = ()) -> PathMap:
        """Return the map of a build in `directory` of the project at `root`.

        `others` are pairs of a path below one of the two and another name of the same directory,
        as symlinks give them.
        """
        names = {root: ROOT_NAME}
        if not _is_below(directory, root):
            names[directory] = BUILD_NAME
        for path, other in others:
            for old, new in tuple(names.items()):
                if _is_below(path, old) and not any(_is_below(other, known) for known in names):
                    below = posixpath.relpath(path, old)
                    tail = "" if below == "." else f"/{below}"
                    whole = other.endswith(tail) and len(other) > len(tail)
                    named = other[: len(other) - len(tail)] if whole else other
                    names[named] = new if whole else new + tail
        return PathMap(tuple(item for item in names.items() if _can_be_mapped(item[0])))

    def options(self, option: str) -> tuple[str, ...]:
        """Return the options for a compiler that understands `option`."""
        return tuple(f"{option}{old}={new}" for old, new in self.names) if option else ()


def compiler_at(argv: Sequence[str], read: Reader = no_files) -> int | None:
    """Return where the compiler stands in a command that gets the option; None for any other.

    That is a compile by a program with a compiler's name, be it a script, or a cache before it.
    """
    place = 1 if argv and shim_name(argv[0]) else 0
    if len(argv) <= place or compiler_kind(argv[place]) is None:
        return None
    expanded = expand(argv[place + 1 :], read)
    if isinstance(expanded, LocalOnly):
        return None
    words = expanded[0]
    compiles = "-c" in words or "-S" in words
    return place if compiles and not any(w.startswith(_COVERAGE) for w in words) else None


def with_map(argv: Sequence[str], options: Sequence[str], place: int = 0) -> list[str]:
    """Return a command with the options right after the compiler, so that its own ones win."""
    return [*argv[: place + 1], *options, *argv[place + 1 :]]


def root_of(source: str, build: str) -> str:
    """Return the directory that holds source and build, for results that checkouts share.

    Where they have no more in common than what every user or build has, it is the source alone.
    """
    if _is_below(build, source):
        return source
    common = posixpath.commonpath((source, build))
    return common if common.count("/") > 1 else source


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _can_be_mapped(path: str) -> bool:
    # Compilers split the option at different equals signs.
    return len(path) > 1 and "=" not in path
