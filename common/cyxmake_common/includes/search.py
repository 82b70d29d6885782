"""Where a compiler looks for a header: the search directories of one command, in its order.

Knows no scanning. Follows gcc and clang: a directory named twice counts once, and a system
directory named by -I keeps its place among the system directories.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cyxmake_common.includes.files import FileSystem
from cyxmake_common.includes.scanner import Directive, Kind
from cyxmake_common.toolchain.compile_command import CompileCommand, Language

Environment = tuple[tuple[str, str], ...]

_LANGUAGE_PATH = {
    Language.C: "C_INCLUDE_PATH",
    Language.CXX: "CPLUS_INCLUDE_PATH",
    Language.ASSEMBLER_WITH_CPP: "C_INCLUDE_PATH",
    Language.ASSEMBLER: "",
}


def absolute(path: str, cwd: str) -> str:
    """Return a path from the root, otherwise as spelled."""
    return path if path.startswith("/") else f"{cwd.rstrip('/')}/{path}"


@dataclass(frozen=True, slots=True)
class SearchDirectories:
    """The directories as spelled, made absolute; `system` ends with -idirafter."""

    cwd: str
    quote: tuple[str, ...]
    bracket: tuple[str, ...]
    system: tuple[str, ...]
    assembler: tuple[str, ...]

    @staticmethod
    def of(
        command: CompileCommand, cwd: str, builtin: Iterable[str], environment: Environment = ()
    ) -> SearchDirectories:
        """Return the directories of a command; `builtin` are the compiler's own, in its order."""
        variables = dict(environment)
        search = command.search
        bracket = [*search.bracket, *_split_path(variables.get("CPATH"))]
        system = [
            *search.system,
            *_split_path(variables.get(_LANGUAGE_PATH[command.language])),
            *builtin,
            *search.after,
        ]

        def spelled(paths: Iterable[str]) -> tuple[str, ...]:
            return tuple(absolute(path, cwd) for path in paths)

        return SearchDirectories(
            cwd.rstrip("/") or "/",
            spelled(search.quote),
            spelled(bracket),
            spelled(system),
            spelled((*command.assembler_search, *search.bracket)),
        )


def _split_path(value: str | None) -> list[str]:
    """Split a variable of directories; an empty entry means the working directory."""
    return [] if not value else [entry or "." for entry in value.split(":")]


class Lookup:
    """Finds names along the search directories of one command; remembers what it found."""

    def __init__(self, directories: SearchDirectories, files: FileSystem) -> None:
        self.directories = directories
        self._files = files
        self._paths = Canonical(files)
        existing = _merge(directories, files)
        quote, bracket = (
            tuple(self._paths.of(path).rstrip("/") for path in chain) for chain in existing
        )
        self._chains = {
            Kind.QUOTE: (*quote, *bracket),
            Kind.ANGLE: bracket,
            Kind.ASSEMBLER: (
                directories.cwd.rstrip("/"),
                *(self._paths.of(path).rstrip("/") for path in directories.assembler),
            ),
        }
        self._found: dict[tuple[Kind, str], str | None] = {}

    @property
    def needed(self) -> frozenset[str]:
        """Return the directories that must exist for the paths so far to mean the same."""
        searched = (path or "/" for path in self._chains[Kind.QUOTE])
        return frozenset((*searched, *self._paths.passed, self.directories.cwd))

    def candidates(self, directive: Directive, folder: str) -> Iterator[str]:
        """Yield every path that is tried for a name in a file of `folder`, in order."""
        kind, name = directive.kind, directive.name
        if name.startswith("/"):
            yield name
            return
        if kind in (Kind.QUOTE, Kind.QUOTE_NEXT):
            yield f"{folder}/{name}"
        chain = kind if kind in self._chains else Kind.QUOTE
        for directory in self._chains[chain]:
            yield f"{directory}/{name}"

    def find(self, directive: Directive, folder: str) -> tuple[str, ...]:
        """Return the file a name leads to, without dots; every match for `#include_next`."""
        kind, name = directive.kind, directive.name
        if name.startswith("/"):
            return (self._paths.of(name),) if self._files.is_file(name) else ()
        if kind in (Kind.QUOTE_NEXT, Kind.ANGLE_NEXT):
            # Where "next" begins depends on how the includer was found: ship whatever it may be.
            tried = self.candidates(directive, folder)
            return tuple(self._paths.of(path) for path in tried if self._files.is_file(path))
        if kind is Kind.QUOTE:
            beside = f"{folder}/{name}"
            if self._files.is_file(beside):
                return (self._paths.of(beside),)
        key = (kind, name)
        if key in self._found:
            found = self._found[key]
        else:
            found = self._found[key] = self._along(kind, name)
        return () if found is None else (found,)

    def forget(self, name: str) -> None:
        """Look again for every name that ends in this file name."""
        stale = [key for key in self._found if key[1].rpartition("/")[2] == name]
        for key in stale:
            del self._found[key]

    def canonical(self, path: str) -> str:
        """Return a path without dots."""
        return self._paths.of(path)

    def _along(self, kind: Kind, name: str) -> str | None:
        is_file = self._files.is_file
        for directory in self._chains[kind]:
            path = f"{directory}/{name}"
            if is_file(path):
                return self._paths.of(path)
        return None


class Canonical:
    """Takes `.` and `..` out of paths without changing which file they name.

    `a/../b` is `b` only when `a` is no symbolic link; where it is one, it is followed. `passed`
    collects the directories that were walked through and left again: they must exist where the path
    is used.
    """

    def __init__(self, files: FileSystem) -> None:
        self._files = files
        self._known: dict[str, str] = {}
        self.passed: set[str] = set()

    def of(self, path: str) -> str:
        """Return the path without dots."""
        if "/." not in path and "//" not in path:
            return path
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = self._walk(path)
        return known

    def _walk(self, path: str) -> str:
        done: list[str] = []
        rest = path.split("/")[::-1]
        links = 0
        while rest:
            part = rest.pop()
            if part in ("", "."):
                continue
            if part != "..":
                done.append(part)
                continue
            here = "/" + "/".join(done)
            self.passed.add(here)
            target = self._files.read_link(here) if done else None
            if done:
                done.pop()
            if target is not None and links < 40:
                links += 1
                if target.startswith("/"):
                    done.clear()
                rest.append("..")
                rest.extend(reversed(target.split("/")))
        return "/" + "/".join(done)


def _merge(directories: SearchDirectories, files: FileSystem) -> tuple[list[str], list[str]]:
    """Return the existing quote and bracket directories as gcc and clang merge them."""
    system = _unique(directories.system, files, set())
    system_ids = set(system.values())
    bracket = _unique(directories.bracket, files, system_ids)
    quote = _unique(directories.quote, files, system_ids)
    return list(quote), [*bracket, *system]


def _unique(
    paths: Iterable[str], files: FileSystem, taken: set[tuple[int, int]]
) -> dict[str, tuple[int, int]]:
    """Keep existing directories once each, without those in `taken`."""
    seen = set(taken)
    result: dict[str, tuple[int, int]] = {}
    for path in paths:
        if not files.is_directory(path):
            continue
        identity = files.identity(path)
        key = (identity.device, identity.inode) if identity else (0, hash(path))
        if key not in seen:
            seen.add(key)
            result[path] = key
    return result
