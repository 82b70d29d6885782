"""What else a finished compile depended on: the paths it looked for and did not find.

Knows no compiler process. From the files that the depfile lists, every directive in them and the
search order follows which paths were tried before the one that was read: were one of them to
appear, the same command would read another file. A superset is fine here, a gap is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cyxmake_common.includes.closure import PREINCLUDED, IncludeClosure
from cyxmake_common.includes.files import FileSystem
from cyxmake_common.includes.scanner import Definition, Directive, Kind, definition_of
from cyxmake_common.includes.search import Environment, Lookup, SearchDirectories, absolute
from cyxmake_common.toolchain.compile_command import CompileCommand, CompilerKind, Language


@dataclass(frozen=True, slots=True)
class Probes:
    """Paths that must stay absent, and files that were asked for or read without being listed.

    `present` has what `__has_include` found and what the assembler read: they belong to the
    dependencies as much as what the depfile lists.
    """

    absent: tuple[str, ...]
    present: tuple[str, ...]


def absent_candidates(
    command: CompileCommand,
    cwd: str,
    deps: Iterable[str],
    files: FileSystem,
    builtin_dirs: Sequence[str] = (),
    environment: Environment = (),
) -> tuple[str, ...]:
    """Return every path that was tried before one of the dependencies was found."""
    finder = DependencyProbes(IncludeClosure(files), files)
    return finder.probes(command, cwd, deps, builtin_dirs, environment).absent


class DependencyProbes:
    """Finds the probes of compiles over the same files; keep one while the files stay the same."""

    def __init__(self, scans: IncludeClosure, files: FileSystem) -> None:
        self._scans = scans
        self._files = files
        self._lookups: dict[SearchDirectories, Lookup] = {}

    def probes(
        self,
        command: CompileCommand,
        cwd: str,
        deps: Iterable[str],
        builtin_dirs: Sequence[str] = (),
        environment: Environment = (),
    ) -> Probes:
        """Return the probes of a compile whose depfile lists `deps`."""
        directories = SearchDirectories.of(command, cwd, builtin_dirs, environment)
        lookup = self._lookups.get(directories)
        if lookup is None:
            lookup = self._lookups[directories] = Lookup(directories, self._files)
        return _Collector(self._scans, self._files, lookup, command, cwd).run(deps)


class _Collector:
    """Collects the probes of one compile."""

    def __init__(
        self,
        scans: IncludeClosure,
        files: FileSystem,
        lookup: Lookup,
        command: CompileCommand,
        cwd: str,
    ) -> None:
        self.scans = scans
        self.files = files
        self.lookup = lookup
        self.command = command
        self.cwd = cwd.rstrip("/")
        self.read: frozenset[str] = frozenset()
        self.absent: dict[str, None] = {}
        self.present: dict[str, None] = {}

    def run(self, deps: Iterable[str]) -> Probes:
        spelled = [absolute(path, self.cwd) for path in deps]
        self.read = frozenset(self.lookup.canonical(path) for path in spelled)
        for name in (*self.command.macro_includes, *self.command.forced_includes):
            self._take(Directive(Kind.QUOTE, name), self.cwd)
        if self.command.kind is CompilerKind.GCC and self.command.language.is_preprocessed:
            # Looked for whether it exists or not, and never an error.
            self._take_probe(PREINCLUDED, self.cwd)
        for path in self.read:
            folder = path.rpartition("/")[0]
            for directive in self.scans.scan(path).directives:
                self._take(directive, folder)
        self._take_macros()
        self._take_precompiled()
        return Probes(tuple(sorted(self.absent)), tuple(sorted(self.present.keys() - self.read)))

    def _take(self, directive: Directive, folder: str) -> None:
        kind = directive.kind
        if self.command.language is Language.ASSEMBLER and kind is not Kind.ASSEMBLER:
            return
        if directive.probe or kind is Kind.ASSEMBLER:
            self._take_probe(directive, folder)
        elif any(found in self.read for found in self.lookup.find(directive, folder)):
            # A directive whose file was not read was never reached: it asked for nothing.
            self._take_tried(directive, folder)

    def _take_probe(self, directive: Directive, folder: str) -> None:
        self.present.update(dict.fromkeys(self.lookup.find(directive, folder)))
        self._take_tried(directive, folder)

    def _take_tried(self, directive: Directive, folder: str) -> None:
        """Note the candidates up to the first that exists; all that are missing for "next" ones."""
        every = directive.kind in (Kind.QUOTE_NEXT, Kind.ANGLE_NEXT)
        for candidate in self.lookup.all_candidates(directive, folder):
            if not self.files.is_file(candidate):
                self.absent[candidate] = None
            elif not every:
                return

    def _take_precompiled(self) -> None:
        """Note where a precompiled header would be preferred: it is used unseen, also when stale.

        Only the main source and the command line can use one, never a header.
        """
        command, lookup = self.command, self.lookup
        forced = [Directive(Kind.QUOTE, name) for name in command.forced_includes]
        if command.kind is CompilerKind.CLANG:
            for directive in forced:
                header = absolute(directive.name, self.cwd)
                self.absent.update({header + ".gch": None, header + ".pch": None})
            return
        source = absolute(command.source, self.cwd)
        asked = [(directive, self.cwd) for directive in forced]
        if command.language.is_preprocessed:
            folder = source.rpartition("/")[0]
            asked += [(d, folder) for d in self.scans.scan(source).directives]
        for directive, folder in asked:
            if directive.probe or directive.data or directive.kind is Kind.ASSEMBLER:
                continue
            for candidate in lookup.all_candidates(directive, folder):
                self.absent[candidate + ".gch"] = None
                if self.files.is_file(candidate):
                    break

    def _take_macros(self) -> None:
        scans = {path: self.scans.scan(path) for path in self.read}
        wrappers = tuple(sorted({name for scan in scans.values() for name in scan.wrappers}))
        if wrappers:
            for path in self.read:
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
            for path in self.read:
                values += self.scans.definitions(path).get(name, ())
            for definition in values:
                if definition.directive is not None:
                    result.append(definition.directive)
                elif definition.alias and definition.alias not in done:
                    done.add(definition.alias)
                    todo.append(definition.alias)
        return result
