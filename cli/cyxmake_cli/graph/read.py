"""Reads the graph of includes of a project: from its compile database, ninja's, or by folders.

Knows the include scanner and the search directories of compilers. Conditionals are ignored, as when
files are sent to a worker: an include that some configuration needs counts. System headers do not.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Final

from cyxmake_cli.graph.queries import FileGraph
from cyxmake_common.errors import ProjectError
from cyxmake_common.execution.process import ProcessRequest, run_process
from cyxmake_common.includes.files import RealFileSystem
from cyxmake_common.includes.scanner import Directive, Kind, scan
from cyxmake_common.includes.search import Lookup, SearchDirectories
from cyxmake_common.toolchain.arguments import parse_compile
from cyxmake_common.toolchain.compile_command import CompileCommand

_DATABASE: Final = "compile_commands.json"
_SOURCES: Final = frozenset((".c", ".cc", ".cpp", ".cxx", ".c++", ".m", ".mm", ".cu", ".s", ".S"))
_HEADERS: Final = frozenset((".h", ".hh", ".hpp", ".hxx", ".inl", ".ipp", ".inc", ".cuh"))
_COMMENT: Final = re.compile(
    rb"""("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|//[^\n]*|/\*.*?\*/""", re.DOTALL
)
_INCLUDE_FOLDERS: Final = frozenset(("include", "includes", "inc", "src", "source", "lib"))


@dataclass(frozen=True, slots=True)
class ProjectGraph:
    """The graph, with paths relative to the project, and what it was read from."""

    graph: FileGraph
    basis: str


@dataclass(frozen=True, slots=True)
class _Unit:
    source: str
    search: SearchDirectories
    forced: tuple[str, ...] = ()


def read_graph(root: Path, build: Path, names: Iterable[str]) -> ProjectGraph:
    """Read the graph of a project; `names` are its files, relative to it.

    Raises ProjectError when there is nothing that could be scanned.
    """
    basis, entries = _entries(root, build)
    units = list(_units(entries)) if entries else list(_units_by_folder(root, names))
    if not units:
        raise ProjectError(
            f"{root} has no C or C++ sources", next_step="name the project's directory with -C"
        )
    return ProjectGraph(_scan(root, units), basis)


def _entries(root: Path, build: Path) -> tuple[str, list[dict[str, Any]]]:
    for place in dict.fromkeys((build, root)):
        found = _json_list(place / _DATABASE)
        if found:
            return f"{place / _DATABASE}", found
    if (build / "build.ninja").is_file() and (ninja := shutil.which("ninja")):
        argv = (ninja, "-C", str(build), "--quiet", "-t", "compdb")
        done = asyncio.run(run_process(ProcessRequest(argv, cwd=root, timeout=120)))
        if done.succeeded and (found := _list(done.stdout)):
            return f"ninja's graph in {build}", found
    return "folders: there is no compile database yet", []


def _json_list(path: Path) -> list[dict[str, Any]]:
    try:
        return _list(path.read_bytes())
    except OSError:
        return []


def _list(data: bytes) -> list[dict[str, Any]]:
    try:
        found = json.loads(data)
    except ValueError:
        return []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _units(entries: list[dict[str, Any]]) -> Iterator[_Unit]:
    """Yield the compiles of a compile database; what is no plain compile is left out."""
    for entry in entries:
        directory = str(entry.get("directory", ""))
        arguments = entry.get("arguments")
        try:
            argv = (
                [str(word) for word in arguments]
                if isinstance(arguments, list)
                else shlex.split(str(entry.get("command", "")))
            )
        except ValueError:
            continue
        command = parse_compile(argv)
        if isinstance(command, CompileCommand) and os.path.isabs(directory):  # noqa: PTH117
            search = SearchDirectories.of(command, directory, ())
            source = os.path.normpath(os.path.join(directory, command.source))  # noqa: PTH118
            yield _Unit(source, search, command.forced_includes)


def _units_by_folder(root: Path, names: Iterable[str]) -> Iterator[_Unit]:
    """Yield every source, searched along the folders that headers seem to be included from."""
    known = list(names)
    folders = {""}
    for name in known:
        path = PurePath(name)
        if path.suffix in _HEADERS:
            folders |= {str(p) for p in path.parents if p.name.lower() in _INCLUDE_FOLDERS}
    search = tuple(str(root / folder) for folder in sorted(folders))
    directories = SearchDirectories(str(root), (), search, (), ())
    for name in known:
        if PurePath(name).suffix in _SOURCES:
            yield _Unit(str(root / name), directories)


def _scan(root: Path, units: list[_Unit]) -> FileGraph:
    files = RealFileSystem()
    scanned: dict[str, tuple[Directive, ...]] = {}
    lookups: dict[SearchDirectories, Lookup] = {}
    needs: dict[str, set[str]] = defaultdict(set)
    done: set[tuple[SearchDirectories, str]] = set()
    top = os.path.realpath(root)
    for unit in units:
        lookup = lookups.setdefault(unit.search, Lookup(unit.search, files))
        source = lookup.canonical(unit.source)
        for name in unit.forced:
            needs[source].update(lookup.find(Directive(Kind.QUOTE, name), unit.search.cwd))
        waiting = [source, *needs[source]]
        while waiting:
            path = waiting.pop()
            if (unit.search, path) in done or not _below(path, top):
                continue
            done.add((unit.search, path))
            folder = os.path.dirname(path)  # noqa: PTH120 - pure text
            if path not in scanned:
                scanned[path] = _directives(files, path)
            for directive in scanned[path]:
                if directive.probe or directive.kind.is_for_later:
                    continue
                found = [p for p in lookup.find(directive, folder) if p != path]
                needs[path].update(found)
                waiting += found
    short = {path: os.path.relpath(path, top) for path in _all(needs, units) if _below(path, top)}
    graph = {
        short[path]: frozenset(short[one] for one in needed if one in short)
        for path, needed in needs.items()
        if path in short
    }
    sources = frozenset(short[u.source] for u in units if u.source in short)
    return FileGraph(graph, sources, {name: _size(path) for path, name in short.items()})


def _directives(files: RealFileSystem, path: str) -> tuple[Directive, ...]:
    """Return what a file includes; unlike for sending, what stands in a comment does not count."""
    try:
        data, _ = files.read(path)
    except OSError:
        return ()
    return scan(_COMMENT.sub(lambda match: match[1] or b" ", data)).directives


def _all(needs: dict[str, set[str]], units: list[_Unit]) -> set[str]:
    return {*needs, *(one for found in needs.values() for one in found), *(u.source for u in units)}


def _below(path: str, top: str) -> bool:
    return path.startswith(top + os.sep)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - thousands of times
    except OSError:
        return 0
