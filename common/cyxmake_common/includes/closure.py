"""Which files a compile may read: the transitive closure of its includes.

Knows no compiler process. The answer is a superset, since conditionals are ignored; it decides what
is shipped, never what the cache key holds. A file is scanned once per state, a name is looked for
once per search path, so that the files of a project share nearly all work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Final

from cyxmake_common.includes.files import FileSystem, Identity, RealFileSystem
from cyxmake_common.includes.scanner import (
    EMPTY,
    Definition,
    Directive,
    Kind,
    ScanResult,
    definition_of,
    scan,
    scan_calls,
    scan_definitions,
)
from cyxmake_common.includes.search import Environment, Lookup, SearchDirectories, absolute
from cyxmake_common.toolchain.compile_command import CompileCommand, CompilerKind

PREINCLUDED: Final = Directive(Kind.ANGLE, "stdc-predef.h")
"""What gcc includes before everything else, where there is one."""

__all__ = ["Closure", "IncludeClosure", "RealFileSystem"]


@dataclass(frozen=True, slots=True)
class Closure:
    """What a compile may read and which directories must exist; paths are absolute, without dots.

    `unresolved` are includes that can't be followed: the compiler itself must be asked.
    `precompiled` are precompiled headers that can't be sent with what they stand for: folders that
    gcc chooses from, and forms whose header is not known.
    """

    files: frozenset[str]
    directories: frozenset[str]
    uses_time: bool = False
    uses_timestamp: bool = False
    offloads: bool = False
    unresolved: tuple[str, ...] = ()
    precompiled: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return (
            f"<Closure {len(self.files)} files, {len(self.directories)} directories,"
            f" unresolved {list(self.unresolved)}>"
        )


@dataclass(frozen=True, slots=True)
class _Edges:
    """What one file leads to under one search path."""

    scanned: tuple[str, ...]
    leaves: tuple[str, ...]
    precompiled: tuple[str, ...]
    scan: ScanResult
    special: bool


@dataclass(slots=True)
class _Space:
    """Everything known under one search path."""

    lookup: Lookup
    edges: dict[str, _Edges] = field(default_factory=dict)
    users: dict[str, set[str]] = field(default_factory=dict)
    """Which files mention a file name: they are looked at again when it appears."""


class IncludeClosure:
    """Answers for one machine's files; keep one for the whole build.

    `scanned` may be shared by closures over the same files at other paths, where a file's state
    tells its bytes for certain.
    """

    def __init__(
        self,
        files: FileSystem | None = None,
        scanned: MutableMapping[Identity, ScanResult] | None = None,
    ) -> None:
        self._files = files or RealFileSystem()
        self._scanned = scanned
        self._scans: dict[str, tuple[Identity, ScanResult]] = {}
        self._fresh: set[str] = set()
        self._definitions: dict[str, Mapping[str, tuple[Definition, ...]]] = {}
        self._calls: dict[tuple[str, ...], dict[str, tuple[Directive, ...]]] = {}
        self._spaces: dict[tuple[SearchDirectories, bool], _Space] = {}
        if isinstance(self._files, RealFileSystem):
            self._files.listen(self._forgotten)

    def __repr__(self) -> str:
        return (
            f"<IncludeClosure {len(self._scans)} files scanned, {len(self._spaces)} search paths>"
        )

    def closure(
        self,
        command: CompileCommand,
        cwd: str,
        builtin_dirs: Iterable[str],
        environment: Environment = (),
    ) -> Closure:
        """Return what a command may read; `environment` is the compile's (CPATH and its like)."""
        directories = SearchDirectories.of(command, cwd, builtin_dirs, environment)
        key = (directories, command.language.is_preprocessed)
        space = self._spaces.get(key)
        if space is None:
            space = self._spaces[key] = _Space(Lookup(directories, self._files))
        return _Walk(self, space, command, cwd).run()

    @property
    def files(self) -> FileSystem:
        """Return where this closure looks."""
        return self._files

    def forget(self, path: str) -> None:
        """A file was made, changed or removed by the build."""
        if isinstance(self._files, RealFileSystem):
            self._files.forget(path)
        else:
            self._forgotten(path)

    def refresh(self) -> None:
        """Something unknown ran: look again at every folder and every file that counts as known."""
        if isinstance(self._files, RealFileSystem):
            self._files.refresh()
        for path in tuple(self._fresh):
            if self._files.identity(path) != self._scans[path][0]:
                self.forget(path)

    def _forgotten(self, path: str | None) -> None:
        """Drop what may have changed: one path, or everything but the scans."""
        if path is None:
            for known in (self._fresh, self._spaces, self._definitions, self._calls):
                known.clear()
            return
        self._fresh.discard(path)
        self._definitions.pop(path, None)
        for calls in self._calls.values():
            calls.pop(path, None)
        name = path.rpartition("/")[2]
        for key in [key for key, space in self._spaces.items() if space.lookup.is_outdated()]:
            # A search directory came into being: the order itself may have changed.
            del self._spaces[key]
        for space in self._spaces.values():
            space.lookup.forget(name)
            space.edges.pop(path, None)
            # A precompiled form is found by whoever mentions its header.
            for mentioned in {name, name.removesuffix(".gch")}:
                for user in space.users.pop(mentioned, ()):
                    space.edges.pop(user, None)

    def scan(self, path: str) -> ScanResult:
        """Return what a file mentions; nothing when it can't be read."""
        known = self._scans.get(path)
        if known is not None and path in self._fresh:
            return known[1]
        if known is not None and self._files.identity(path) == known[0]:
            self._fresh.add(path)
            return known[1]
        found = self._scan_state(path)
        if found is None:
            return EMPTY
        self._scans[path] = found
        self._fresh.add(path)
        return found[1]

    def _scan_state(self, path: str) -> tuple[Identity, ScanResult] | None:
        if self._scanned is not None:
            state = self._files.identity(path)
            if state is not None and (result := self._scanned.get(state)) is not None:
                return state, result
        try:
            data, state = self._files.read(path)
        except OSError:
            return None
        result = scan(data)
        if self._scanned is not None:
            self._scanned[state] = result
        return state, result

    def definitions(self, path: str) -> Mapping[str, tuple[Definition, ...]]:
        """Return the macros of a file that may name a file, by macro."""
        known = self._definitions.get(path)
        if known is None:
            found: dict[str, list[Definition]] = {}
            for definition in scan_definitions(self._bytes(path)):
                found.setdefault(definition.macro, []).append(definition)
            known = {macro: tuple(values) for macro, values in found.items()}
            self._definitions[path] = known
        return known

    def calls(self, path: str, wrappers: tuple[str, ...]) -> tuple[Directive, ...]:
        """Return the names that a file passes to wrappers of `__has_include`."""
        known = self._calls.setdefault(wrappers, {})
        found = known.get(path)
        if found is None:
            found = known[path] = scan_calls(self._bytes(path), wrappers)
        return found

    def _bytes(self, path: str) -> bytes:
        try:
            return self._files.read(path)[0]
        except OSError:
            return b""

    def edges(self, space: _Space, path: str, *, preprocessed: bool) -> _Edges:
        """Return where a file's directives lead."""
        result = self.scan(path)
        folder = path.rpartition("/")[0]
        scanned: dict[str, None] = {}
        leaves: dict[str, None] = {}
        precompiled: list[str] = []
        lookup = space.lookup
        for directive in result.directives:
            if not preprocessed and not directive.kind.is_for_later:
                continue
            space.users.setdefault(directive.name.rpartition("/")[2], set()).add(path)
            for found in lookup.find(directive, folder):
                if directive.probe or directive.data:
                    leaves[found] = None
                else:
                    scanned[found] = None
                    if self._has_gch(found):
                        precompiled.append(found + ".gch")
        unusual = result.uses_time or result.offloads or result.opaque
        special = bool(unusual or result.computed or result.wrappers or precompiled)
        edges = _Edges(tuple(scanned), tuple(leaves), tuple(precompiled), result, special)
        space.edges[path] = edges
        return edges

    def _has_gch(self, header: str) -> bool:
        """Tell whether gcc finds a precompiled form, or a folder with one for each set of flags."""
        form = header + ".gch"
        return self._files.is_file(form) or self._files.is_directory(form)


class _Walk:
    """One walk over the includes of one command."""

    def __init__(
        self, owner: IncludeClosure, space: _Space, command: CompileCommand, cwd: str
    ) -> None:
        self.owner = owner
        self.space = space
        self.command = command
        self.cwd = cwd
        self.seen: set[str] = set()
        self.leaves: set[str] = set()
        self.special: list[tuple[str, _Edges]] = []
        self.unresolved: dict[str, None] = {}
        self.precompiled: set[str] = set()

    def run(self) -> Closure:
        """Walk until nothing new turns up."""
        command, lookup = self.command, self.space.lookup
        self.leaves.update(lookup.canonical(absolute(path, self.cwd)) for path in command.inputs)
        for name in (*command.macro_includes, *command.forced_includes):
            # A forced include is looked for in the working directory in place of the file's own.
            found = lookup.find(Directive(Kind.QUOTE, name), self.cwd.rstrip("/"))
            if not found:
                self.unresolved[f"-include {name}"] = None
            self._visit(found)
            forms = self._precompiled(name, found)
            if found:
                self._take_forms(forms)
            else:
                self.precompiled.update(forms)
        for name in command.precompiled:
            self._take_explicit(absolute(name, self.cwd))
        if command.kind is CompilerKind.GCC and command.language.is_preprocessed:
            self._visit(lookup.find(PREINCLUDED, self.cwd))
        self._visit((lookup.canonical(absolute(command.source, self.cwd)),))
        if command.kind is CompilerKind.GCC:
            self._take_forms(self._preferred(absolute(command.source, self.cwd)))
        self._follow_macros()
        if command.language.is_text and command.kind is CompilerKind.CLANG:
            self._look_for_directives()
        self._take_forms(form for _, edges in self.special for form in edges.precompiled)
        scans = [edges.scan for _, edges in self.special]
        for path, edges in self.special:
            for what in edges.scan.opaque:
                self.unresolved[f"{what} in {path}"] = None
        return Closure(
            files=frozenset(self.seen | self.leaves),
            directories=lookup.needed,
            uses_time=any(result.uses_time for result in scans),
            uses_timestamp=any(result.uses_timestamp for result in scans),
            offloads=any(result.offloads for result in scans),
            unresolved=tuple(self.unresolved),
            precompiled=tuple(sorted(self.precompiled)),
        )

    def _take_forms(self, forms: Iterable[str]) -> None:
        """Take precompiled forms that a compiler may use in place of headers."""
        for form in forms:
            taken = self.leaves if self.owner.files.is_file(form) else self.precompiled
            taken.add(self.space.lookup.canonical(form))

    def _take_explicit(self, form: str) -> None:
        """Take a form that the command names, with the header that it was made of."""
        header, _, suffix = form.rpartition(".")
        if suffix in ("pch", "gch") and self.owner.files.is_file(header):
            self._visit((self.space.lookup.canonical(header),))
            self._take_forms((form,))
        else:
            self.precompiled.add(form)

    def _look_for_directives(self) -> None:
        """Note an include in preprocessed text: to clang it is one, with a search of its own."""
        source = absolute(self.command.source, self.cwd)
        scanned = self.owner.scan(source)
        if scanned.computed or not all(d.kind.is_for_later for d in scanned.directives):
            self.unresolved[f"#include in {source}"] = None

    def _preferred(self, source: str) -> Iterator[str]:
        """Yield precompiled forms that gcc meets before the header itself, in another folder."""
        files, folder = self.owner.files, source.rpartition("/")[0]
        for directive in self.owner.scan(source).directives:
            if directive.probe or directive.data or directive.kind.is_for_later:
                continue
            for candidate in self.space.lookup.candidates(directive, folder):
                form = f"{candidate}.gch"
                if files.is_file(form) or files.is_directory(form):
                    yield form
                if files.is_file(candidate):
                    break

    def _precompiled(self, name: str, found: Iterable[str]) -> set[str]:
        """Return precompiled forms of a forced include, which need not have the header itself."""
        files = self.owner.files
        suffixes = (".gch",) if self.command.kind is CompilerKind.GCC else (".gch", ".pch")
        headers = {*found, self.space.lookup.canonical(absolute(name, self.cwd))}
        forms = (header + suffix for header in headers for suffix in suffixes)
        return {form for form in forms if files.is_file(form) or files.is_directory(form)}

    def _visit(self, paths: Iterable[str]) -> None:
        known, seen, leaves = self.space.edges, self.seen, self.leaves
        preprocessed = self.command.language.is_preprocessed
        todo = [path for path in paths if path not in seen]
        seen.update(todo)
        while todo:
            path = todo.pop()
            edges = known.get(path)
            if edges is None:
                edges = self.owner.edges(self.space, path, preprocessed=preprocessed)
            for child in edges.scanned:
                if child not in seen:
                    seen.add(child)
                    todo.append(child)
            if edges.leaves:
                leaves.update(edges.leaves)
            if edges.special:
                self.special.append((path, edges))

    def _follow_macros(self) -> None:
        """Follow includes by macro and wrapped probes, until they lead to nothing new."""
        before = -1
        while before != len(self.seen):
            before = len(self.seen)
            wrappers = {name for _, edges in self.special for name in edges.scan.wrappers}
            if wrappers:
                self._follow_wrappers(tuple(sorted(wrappers)))
            if any(edges.scan.computed for _, edges in self.special):
                self._follow_computed()

    def _follow_wrappers(self, wrappers: tuple[str, ...]) -> None:
        for path in tuple(self.seen):
            for directive in self.owner.calls(path, wrappers):
                self.leaves.update(self.space.lookup.find(directive, path.rpartition("/")[0]))

    def _follow_computed(self) -> None:
        given: dict[str, list[Definition]] = {}
        for macro, text in self.command.macro_values:
            if definition := definition_of(macro, text.encode("utf-8", "surrogateescape")):
                given.setdefault(macro, []).append(definition)
        for path, edges in tuple(self.special):
            for macro in edges.scan.computed:
                self._follow_macro(macro, path, given)

    def _values(self, macro: str, given: dict[str, list[Definition]]) -> list[Definition]:
        """Return every value that a macro has on the command line or in a file of the walk."""
        values = list(given.get(macro, ()))
        for path in self.seen:
            values += self.owner.definitions(path).get(macro, ())
        return values

    def _follow_macro(self, macro: str, path: str, given: dict[str, list[Definition]]) -> None:
        """Visit whatever a macro may name; a macro without any value can't be included."""
        todo, done = [macro], {macro}
        folder = path.rpartition("/")[0]
        while todo:
            for definition in self._values(todo.pop(), given):
                if definition.opaque:
                    self.unresolved[f"#include {macro} in {path}"] = None
                elif definition.directive is not None:
                    self._visit(self.space.lookup.find(definition.directive, folder))
                elif definition.alias not in done:
                    done.add(definition.alias)
                    todo.append(definition.alias)
