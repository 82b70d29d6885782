"""What else a finished compile depended on: the paths it looked for and did not find.

Knows no compiler process. From the files that the depfile lists, every directive in them and the
search order follows which paths were tried before the one that was read: were one of them to
appear, the same command would read another file. A superset is fine here, a gap is not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
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


class DependencyProbes:
    """Finds the probes of compiles over the same files; keep one while the files stay the same."""

    def __init__(self, scans: IncludeClosure, files: FileSystem) -> None:
        self._scans = scans
        self._files = files
        self._lookups: dict[SearchDirectories, Lookup] = {}
        self._identities: dict[str, Identity | None] = {}

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
        lookup = self._lookups.get(directories)
        if lookup is None:
            lookup = self._lookups[directories] = Lookup(directories, self._files)
        collector = _Collector(self._scans, self._files, lookup, command, cwd, self._identities)
        return collector.run(deps, maybe)


class _Collector:
    """Collects the probes of one compile."""

    def __init__(
        self,
        scans: IncludeClosure,
        files: FileSystem,
        lookup: Lookup,
        command: CompileCommand,
        cwd: str,
        identities: dict[str, Identity | None],
    ) -> None:
        self.scans = scans
        self.files = files
        self.lookup = lookup
        self.command = command
        self.cwd = cwd.rstrip("/")
        self.identities = identities
        self.listed: dict[str, None] = {}
        self.read: frozenset[Identity | None] = frozenset()
        self.explained: set[Identity | None] = set()
        self.walked: set[str] = set()
        self.absent: dict[str, None] = {}
        self.present: dict[str, None] = {}
        self.precompiled = False
        self.certain = True

    def run(self, deps: Iterable[str], maybe: Collection[str]) -> Probes:
        # By identity: gcc lists a system header by its real path where that is shorter.
        self.listed = dict.fromkeys(plain(absolute(path, self.cwd)) for path in deps)
        self.read = frozenset(map(self._identity, (*self.listed, *maybe))) - {None}
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

    def _identity(self, path: str) -> Identity | None:
        if path not in self.identities:
            self.identities[path] = self.files.identity(path)
        return self.identities[path]

    def _walk(self, path: str) -> None:
        """Take what a file that was read asks for; its folder counts as spelled."""
        if path in self.walked:
            return
        self.walked.add(path)
        folder = path.rpartition("/")[0]
        for directive in self.scans.scan(path).directives:
            self._take(directive, folder)

    def _explains_all(self, maybe: Iterable[str]) -> bool:
        """Tell whether each file that was or may have been read is one that our search found, too.

        Where it is not, the compiler searched otherwise than we think: nobody knows what it looked
        for in vain.
        """
        command = self.command
        given = {plain(absolute(p, self.cwd)) for p in (command.source, *command.inputs)}
        explained = self.explained.union(map(self._identity, given))
        return explained.issuperset(map(self._identity, maybe)) and all(
            path in given or path.endswith(_NO_HEADER) or self._identity(path) in self.explained
            for path in self.listed
        )

    def _take(self, directive: Directive, folder: str) -> None:
        kind = directive.kind
        if not self.command.language.is_preprocessed and not kind.is_for_later:
            return
        if directive.probe or kind.is_for_later:
            self._take_probe(directive, folder)
        elif any(self._identity(f) in self.read for f in self.lookup.find(directive, folder)):
            # A directive whose file was not read was never reached: it asked for nothing.
            self._take_tried(directive, folder)

    def _take_probe(self, directive: Directive, folder: str) -> None:
        self._take_tried(directive, folder)

    def _take_tried(self, directive: Directive, folder: str) -> None:
        """Note the candidates up to the first that exists; all that are missing for "next" ones."""
        every = directive.kind in (Kind.QUOTE_NEXT, Kind.ANGLE_NEXT)
        for candidate, place in self.lookup.placed_candidates(directive, folder):
            if not self.files.is_file(candidate):
                self.absent[candidate] = None
            elif place is Place.ALIAS:
                self.certain = False  # it counts here as soon as the symlink is another one
            elif place is Place.SEARCHED:
                self._take_found(directive, candidate)
                if not every:
                    return

    def _take_found(self, directive: Directive, candidate: str) -> None:
        """Note a file that a search ended with, by the name it was found by."""
        path, identity = plain(candidate), self._identity(candidate)
        read = identity in self.read or (directive.kind is Kind.ASSEMBLER and not directive.data)
        self.explained.add(identity)
        if path not in self.listed:
            self.present[path] = None
            if read:
                self._walk(path)

    def _take_precompiled(self) -> None:
        """Note where a precompiled header is or would be preferred: it is used unseen, even stale.

        Only the main source and the command line can use one, never a header.
        """
        command, lookup = self.command, self.lookup
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
            self.explained.add(self._identity(form))
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
