"""What else a finished compile depended on: the paths it looked for and did not find.

Knows no compiler process. From the files that the depfile lists, every directive in them and the
search order follows which paths were tried before the one that was read: were one of them to
appear, the same command would read another file. A superset is fine here, a gap is not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from cyxmake_common.includes.closure import PREINCLUDED, IncludeClosure
from cyxmake_common.includes.files import FileSystem, Identity
from cyxmake_common.includes.scanner import Definition, Directive, Kind, definition_of
from cyxmake_common.includes.search import (
    Environment,
    Lookup,
    Place,
    SearchDirectories,
    absolute,
    plain,
)
from cyxmake_common.toolchain.compile_command import CompileCommand, CompilerKind

_NO_HEADER: Final = "list.txt"
"""How the names end of what sanitizers read: clang lists its own, which come with the toolchain."""


@dataclass(frozen=True, slots=True)
class Probes:
    """Paths that must stay absent, and files that were asked for or read without being listed.

    `present` has what `__has_include` found and what the assembler read: they belong to the
    dependencies as much as what the depfile lists.
    """

    absent: tuple[str, ...]
    present: tuple[str, ...]
    precompiled: bool = False
    """A precompiled header may have been used: then no depfile tells all that mattered."""
    certain: bool = True
    """False when the search was not understood, or hangs on a symlink that can't be noted."""


@dataclass(frozen=True, slots=True)
class _Search:
    """What one directive makes a compiler look for, if it is reached.

    `targets` are the files that it may lead to: it was reached if one of them was read. Without
    them it counts as reached. `found` has how a search ended: path, file, and whether it is read
    for certain.
    """

    targets: frozenset[int] | None
    absent: dict[str, None]
    found: tuple[tuple[str, int, bool], ...]
    certain: bool


class _Space:
    """Everything known under one search path; files are numbers here, which hash quickly."""

    def __init__(self, lookup: Lookup, files: FileSystem, numbers: dict[Identity, int]) -> None:
        self.lookup = lookup
        self.searches: dict[str, tuple[_Search, ...]] = {}
        self._files = files
        self._numbers = numbers
        self._known: dict[str, int] = {}

    def number(self, path: str) -> int:
        """Return the same number for every path of one file, 0 where there is none."""
        number = self._known.get(path)
        if number is None:
            identity = self._files.identity(path)
            if identity is None:
                number = 0
            else:
                number = self._numbers.setdefault(identity, len(self._numbers) + 1)
            self._known[path] = number
        return number

    def search(self, directive: Directive, folder: str) -> _Search:
        """Find the candidates up to the first that exists; for "next" ones all that are missing."""
        targets: frozenset[int] | None = None
        if not (directive.probe or directive.kind.is_for_later):
            found_there = self.lookup.find(directive, folder)
            targets = frozenset(map(self.number, found_there)) - {0}
            if not targets:
                return _Search(targets, {}, (), True)
        every = directive.kind in (Kind.QUOTE_NEXT, Kind.ANGLE_NEXT)
        read = directive.kind is Kind.ASSEMBLER and not directive.data
        absent: dict[str, None] = {}
        found: list[tuple[str, int, bool]] = []
        certain = True
        for candidate, place in self.lookup.placed_candidates(directive, folder):
            if not self._files.is_file(candidate):
                absent[candidate] = None
            elif place is Place.ALIAS:
                certain = False  # it counts here as soon as the symlink is another one
            elif place is Place.SEARCHED:
                found.append((plain(candidate), self.number(candidate), read))
                if not every:
                    break
        return _Search(targets, absent, tuple(found), certain)


class DependencyProbes:
    """Finds the probes of compiles over the same files; keep one while the files stay the same."""

    def __init__(self, scans: IncludeClosure, files: FileSystem) -> None:
        self._scans = scans
        self._files = files
        self._spaces: dict[tuple[SearchDirectories, bool], _Space] = {}
        self._numbers: dict[Identity, int] = {}

    def probes(
        self,
        command: CompileCommand,
        cwd: str,
        deps: Iterable[str],
        builtin_dirs: Sequence[str] = (),
        environment: Environment = (),
        maybe: Collection[str] = (),
    ) -> Probes:
        """Return the probes of a compile that read `deps`, and any number of the files in `maybe`.

        Where the search leads to one of those it is taken as read, and is among `present`.
        """
        directories = SearchDirectories.of(command, cwd, builtin_dirs, environment)
        key = (directories, command.language.is_preprocessed)
        space = self._spaces.get(key)
        if space is None:
            lookup = Lookup(directories, self._files)
            space = self._spaces[key] = _Space(lookup, self._files, self._numbers)
        return _Collector(self._scans, self._files, space, command, cwd).run(deps, maybe)


class _Collector:
    """Collects the probes of one compile."""

    def __init__(
        self,
        scans: IncludeClosure,
        files: FileSystem,
        space: _Space,
        command: CompileCommand,
        cwd: str,
    ) -> None:
        self.scans = scans
        self.files = files
        self.space = space
        self.command = command
        self.cwd = cwd.rstrip("/")
        self.number = space.number
        self.listed: dict[str, None] = {}
        self.read: frozenset[int] = frozenset()
        self.explained: set[int] = set()
        self.walked: set[str] = set()
        self.absent: dict[str, None] = {}
        self.present: dict[str, None] = {}
        self.precompiled = False
        self.certain = True

    def run(self, deps: Iterable[str], maybe: Collection[str]) -> Probes:
        # By identity: gcc lists a system header by its real path where that is shorter.
        self.listed = dict.fromkeys(plain(absolute(path, self.cwd)) for path in deps)
        self.read = frozenset(map(self.number, (*self.listed, *maybe))) - {0}
        for name in (*self.command.macro_includes, *self.command.forced_includes):
            self._take(Directive(Kind.QUOTE, name), self.cwd)
        if self.command.kind is CompilerKind.GCC and self.command.language.is_preprocessed:
            # Looked for whether it exists or not, and never an error.
            self._take_probe(PREINCLUDED, self.cwd)
        for name in self.command.precompiled:
            # The header that a form was made of stands beside it.
            self._take_probe(Directive(Kind.QUOTE, name.rpartition(".")[0]), self.cwd)
        for path in self.listed:
            self._walk(path)
        before = -1
        while before != len(self.walked):
            before = len(self.walked)
            self._take_macros()
        self._take_precompiled()
        certain = self.certain and self._explains_all(maybe)
        absent, present = tuple(sorted(self.absent)), tuple(sorted(self.present))
        return Probes(absent, present, self.precompiled, certain)

    def _walk(self, path: str) -> None:
        """Take what a file that was read asks for; its folder counts as spelled."""
        if path in self.walked:
            return
        self.walked.add(path)
        searches = self.space.searches.get(path)
        if searches is None:
            folder, preprocessed = path.rpartition("/")[0], self.command.language.is_preprocessed
            searches = self.space.searches[path] = tuple(
                self.space.search(directive, folder)
                for directive in self.scans.scan(path).directives
                if preprocessed or directive.kind.is_for_later
            )
        for search in searches:
            self._take_search(search)

    def _explains_all(self, maybe: Iterable[str]) -> bool:
        """Tell whether each file that was or may have been read is one that our search found, too.

        Where it is not, the compiler searched otherwise than we think: nobody knows what it looked
        for in vain.
        """
        command = self.command
        given = {plain(absolute(p, self.cwd)) for p in (command.source, *command.inputs)}
        explained = self.explained.union(map(self.number, given))
        return explained.issuperset(map(self.number, maybe)) and all(
            path in given or path.endswith(_NO_HEADER) or self.number(path) in self.explained
            for path in self.listed
        )

    def _take(self, directive: Directive, folder: str) -> None:
        if self.command.language.is_preprocessed or directive.kind.is_for_later:
            self._take_search(self.space.search(directive, folder))

    def _take_probe(self, directive: Directive, folder: str) -> None:
        """Take what is looked for whether or not it is there."""
        self._take_search(self.space.search(replace(directive, probe=True), folder))

    def _take_search(self, search: _Search) -> None:
        """Note what was looked for in vain, and by which names the rest was found."""
        if search.targets is not None and search.targets.isdisjoint(self.read):
            return  # a directive whose file was not read was never reached: it asked for nothing
        self.absent.update(search.absent)
        self.certain = self.certain and search.certain
        for path, number, read in search.found:
            self.explained.add(number)
            if path not in self.listed:
                self.present[path] = None
                if read or number in self.read:
                    self._walk(path)

    def _take_precompiled(self) -> None:
        """Note where a precompiled header is or would be preferred: it is used unseen, even stale.

        Only the main source and the command line can use one, never a header.
        """
        command, lookup = self.command, self.space.lookup
        forced = [Directive(Kind.QUOTE, name) for name in command.forced_includes]
        if command.kind is CompilerKind.CLANG:
            for directive in forced:
                header = absolute(directive.name, self.cwd)
                self._take_form(header + ".gch")
                self._take_form(header + ".pch")
            for name in command.precompiled:
                self._take_form(absolute(name, self.cwd))
            return
        source = absolute(command.source, self.cwd)
        asked = [(directive, self.cwd) for directive in forced]
        if command.language.is_preprocessed:
            folder = source.rpartition("/")[0]
            asked += [(d, folder) for d in self.scans.scan(source).directives]
        for directive, folder in asked:
            if directive.probe or directive.data or directive.kind.is_for_later:
                continue
            for candidate in lookup.all_candidates(directive, folder):
                self._take_form(candidate + ".gch")
                if self.files.is_file(candidate):
                    break

    def _take_form(self, form: str) -> None:
        if self.files.is_file(form):
            self.present[plain(form)] = None
            self.explained.add(self.number(form))
            self.precompiled = True
        elif self.files.is_directory(form):
            self.certain = False
        else:
            self.absent[form] = None

    def _take_macros(self) -> None:
        scans = {path: self.scans.scan(path) for path in tuple(self.walked)}
        wrappers = tuple(sorted({name for scan in scans.values() for name in scan.wrappers}))
        if wrappers:
            for path in scans:
                for directive in self.scans.calls(path, wrappers):
                    self._take_probe(directive, path.rpartition("/")[0])
        given = [
            definition
            for macro, text in self.command.macro_values
            if (definition := definition_of(macro, text.encode("utf-8", "surrogateescape")))
        ]
        for path, scan in scans.items():
            for macro in scan.computed:
                for directive in self._values(macro, given):
                    self._take(directive, path.rpartition("/")[0])

    def _values(self, macro: str, given: Sequence[Definition]) -> list[Directive]:
        """Return every file name that a macro may stand for."""
        todo, done, result = [macro], {macro}, []
        while todo:
            name = todo.pop()
            values = [definition for definition in given if definition.macro == name]
            for path in self.walked:
                values += self.scans.definitions(path).get(name, ())
            for definition in values:
                if definition.directive is not None:
                    result.append(definition.directive)
                elif definition.alias and definition.alias not in done:
                    done.add(definition.alias)
                    todo.append(definition.alias)
        return result
