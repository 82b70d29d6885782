"""Where a compiler looks for a header: the search directories of one command, in its order.

Knows no scanning. Follows gcc and clang: a directory named twice counts once, and a system
directory named by -I keeps its place among the system directories.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from cyxmake_common.includes.files import FileSystem
from cyxmake_common.includes.scanner import Directive, Kind
from cyxmake_common.toolchain.compile_command import CompileCommand, Language

Environment = tuple[tuple[str, str], ...]

_LANGUAGE_PATH = {
    Language.C: "C_INCLUDE_PATH",
    Language.CXX: "CPLUS_INCLUDE_PATH",
    Language.ASSEMBLER_WITH_CPP: "C_INCLUDE_PATH",
    Language.ASSEMBLER: "",
    Language.C_TEXT: "",
    Language.CXX_TEXT: "",
}


_CHAIN = {
    Kind.QUOTE: Kind.QUOTE,
    Kind.QUOTE_NEXT: Kind.QUOTE,
    Kind.ANGLE: Kind.ANGLE,
    Kind.ANGLE_NEXT: Kind.ANGLE,
    Kind.ASSEMBLER: Kind.ASSEMBLER,
    Kind.LINE: Kind.LINE,
}


def absolute(path: str, cwd: str) -> str:
    """Return a path from the root, otherwise as spelled."""
    return path if path.startswith("/") else f"{cwd.rstrip('/')}/{path}"


def plain(path: str) -> str:
    """Return an absolute path without what says nothing: doubled slashes and single dots."""
    if "//" not in path and "/." not in path:
        return path
    kept = [part for part in path.split("/") if part not in ("", ".")]
    return "/" + "/".join(kept)


class Place(Enum):
    """What a directory counts for where the command names it."""

    SEARCHED = "searched"
    MISSING = "missing"
    """It does not exist, but may tomorrow."""
    REPEATED = "repeated"
    """The same name counts at another place of the search path."""
    ALIAS = "alias"
    """By a symlink it is a directory that counts at another place, and need not stay that."""


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
        self._cwd = directories.cwd.rstrip("/")
        parts = _merge(directories, files)
        self._chains = self._chain(*parts)
        self._named = self._named_chain(*parts)
        named = (*directories.quote, *directories.bracket, *directories.system)
        self._missing = tuple(path for path in named if not files.is_directory(path))
        self._existing = self._places(path for path in named if files.is_directory(path))
        self._found: dict[tuple[Kind, str], str | None] = {}
        self._asked: dict[str, list[tuple[Kind, str]]] = {}
        """The keys above by the last part of their name: what is forgotten is one file name."""

    def is_outdated(self) -> bool:
        """Tell whether a directory of the search path exists by now that did not before."""
        return any(self._files.is_directory(path) for path in self._missing)

    def _chain(
        self, quote: Iterable[str], bracket: Iterable[str], system: Iterable[str]
    ) -> dict[Kind, tuple[str, ...]]:
        quoted, angled = self._places(quote), self._places((*bracket, *system))
        assembler = (self._cwd, *self._places(self.directories.assembler))
        return {
            Kind.QUOTE: (*quoted, *angled),
            Kind.ANGLE: angled,
            Kind.ASSEMBLER: tuple(dict.fromkeys(assembler)),
            Kind.LINE: (self._cwd,),
        }

    def _named_chain(self, *parts: Iterable[str]) -> dict[Kind, tuple[tuple[str, Place], ...]]:
        """Return every directory as it is named, at every place where it is named."""
        kept = {plain(path) for part in parts for path in part}
        places = []
        for named, used in zip(
            (self.directories.quote, self.directories.bracket, self.directories.system),
            parts,
            strict=True,
        ):
            there, seen = set(used), set[str]()
            for path in named:
                if path in there and path not in seen:
                    place = Place.SEARCHED
                elif not self._files.is_directory(path):
                    place = Place.MISSING
                else:
                    place = Place.REPEATED if plain(path) in kept else Place.ALIAS
                seen.add(path)
                places.append((plain(path).rstrip("/"), place))
        first = len(self.directories.quote)
        assembler = (self._cwd, *(plain(path).rstrip("/") for path in self.directories.assembler))
        return {
            Kind.QUOTE: tuple(places),
            Kind.ANGLE: tuple(places[first:]),
            Kind.ASSEMBLER: tuple((path, Place.SEARCHED) for path in dict.fromkeys(assembler)),
            Kind.LINE: ((self._cwd, Place.SEARCHED),),
        }

    def _places(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Return directories without dots, except missing ones, whose dots lead nowhere."""
        known = self._files.is_directory
        places = (self._paths.of(path) if known(path) else path for path in paths)
        return tuple(dict.fromkeys(place.rstrip("/") for place in places))

    @property
    def needed(self) -> frozenset[str]:
        """Return the directories that must exist for the paths so far to mean the same.

        One that repeats another is never searched, but clang calls both by the name it met first.
        """
        searched = (path or "/" for path in self._existing)
        return frozenset((*searched, *self._paths.passed, self.directories.cwd))

    def candidates(self, directive: Directive, folder: str) -> Iterator[str]:
        """Yield every path that is tried for a name in a file of `folder`, in order."""
        kind, name = directive.kind, directive.name
        if name.startswith("/"):
            yield name
            return
        if kind in (Kind.QUOTE, Kind.QUOTE_NEXT):
            yield f"{folder}/{name}"
        for directory in self._chains[_CHAIN[kind]]:
            yield f"{directory}/{name}"

    def all_candidates(self, directive: Directive, folder: str) -> Iterator[str]:
        """Yield the same as spelled, with the directories that do not exist or count elsewhere."""
        return (path for path, _ in self.placed_candidates(directive, folder))

    def placed_candidates(self, directive: Directive, folder: str) -> Iterator[tuple[str, Place]]:
        """Yield the same, with the part that each path's directory plays in the search."""
        kind, name = directive.kind, directive.name
        if name.startswith("/"):
            yield name, Place.SEARCHED
            return
        if kind in (Kind.QUOTE, Kind.QUOTE_NEXT):
            yield f"{folder}/{name}", Place.SEARCHED
        for directory, place in self._named[_CHAIN[kind]]:
            yield f"{directory}/{name}", place

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
            self._asked.setdefault(name.rpartition("/")[2], []).append(key)
        return () if found is None else (found,)

    def forget(self, name: str) -> None:
        """Look again for every name that ends in this file name."""
        for key in self._asked.pop(name, ()):
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


def _merge(
    directories: SearchDirectories, files: FileSystem
) -> tuple[Iterable[str], Iterable[str], Iterable[str]]:
    """Return the existing quote, bracket and system directories as gcc and clang merge them."""
    system = _unique(directories.system, files, set())
    taken = set(system.values())
    bracket = _unique(directories.bracket, files, taken)
    quote = _unique(directories.quote, files, taken)
    return tuple(quote), tuple(bracket), tuple(system)


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
