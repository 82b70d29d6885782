"""Finds every file that a compiler needs to compile, so that it can run where nothing is installed.

Knows nothing of digests or stores. What it collects is what the driver itself names, the libraries
these programs load, and the few files that a driver only looks for; linking is not covered.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cyxmake_common.toolchain.arguments import compiler_kind
from cyxmake_common.toolchain.compile_command import CompilerKind
from cyxmake_common.toolchain.compiler_caches import shim_name
from cyxmake_common.toolchain.environment import DEFAULT_PATH
from cyxmake_common.toolchain.libraries import is_elf, libraries_of
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.portable import Portable, target_of
from cyxmake_common.toolchain.probe import CompilerProbe, ProbeFailed, SearchReport
from cyxmake_common.toolchain.smoke import SmokeTest, probes, smoke_environment, smoke_tests
from cyxmake_common.toolchain.surroundings import around_clang, around_gcc
from cyxmake_common.toolchain.twin import Twin
from cyxmake_common.toolchain.zig import (
    CACHE_VARIABLES,
    CACHES,
    changing_variable,
    driver_words,
    library_folder,
    shell_of,
    smoke_options,
    tested_targets,
    zig_behind,
)

LANGUAGES: Final = ("c", "c++")

_GCC_PROGRAMS: Final = ("cc1", "cc1plus", "as", "objcopy")
_GCC_FOLDERS: Final = ("include", "include-fixed")
_IDENT: Final = re.compile(r'^\s*\.ident\s+"(.*)"$', re.MULTILINE)
_CLANG_PROGRAMS: Final = ("as", "objcopy")
"""gcc splits debug information with objcopy; clang needs both only without its own assembler."""

_PROBED: Final = ("crtbegin.o", "crtend.o")
"""Files by which clang knows a gcc installation; it never reads them to compile."""

_LEADING_VARIABLES: Final = ("COMPILER_PATH", "GCC_EXEC_PREFIX")
"""Variables by which drivers find programs, on workers too."""

_LOCALES: Final = ("/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8")


@dataclass(frozen=True, slots=True)
class CapturedToolchain:
    """A compiler's files by absolute path, as spelled, so that symlinks can be mirrored.

    `names` are all drivers of the same compiler beside the one asked for (gcc, g++, gcc-12 ...);
    `watched` are folders taken as a whole; `around` are files and folders whose appearance or
    change would change what the driver finds; `path` is the PATH under which it finds programs.
    """

    compiler: str
    kind: CompilerKind
    version: str
    target: str
    names: tuple[str, ...]
    files: tuple[str, ...]
    directories: tuple[str, ...]
    builtin_includes: Mapping[str, tuple[str, ...]]
    watched: tuple[str, ...] = ()
    around: tuple[str, ...] = ()
    installations: tuple[str, ...] = ()
    path: str = DEFAULT_PATH
    locales: tuple[str, ...] = field(default=())
    smoke: tuple[SmokeTest, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    portable: Portable | None = None
    twin: Twin | None = None

    def __repr__(self) -> str:
        what = f"{self.kind.value} {self.version} {self.target}"
        return f"<CapturedToolchain {self.compiler} {what} {len(self.files)} files>"


def capture(
    compiler_path: str,
    language_families: Sequence[str] = LANGUAGES,
    environ: Mapping[str, str] = os.environ,
) -> CapturedToolchain | LocalOnly:
    """Collect a compiler's files, or say why it can't run elsewhere; raises OSError."""
    reason = unsuitable(compiler_path, environ)
    if reason is not None:
        return reason
    try:
        return _Capture(compiler_path, environ).run(language_families)
    except (ProbeFailed, ValueError) as error:
        return LocalOnly(f"{compiler_path} can't be captured: {error}")


def unsuitable(compiler_path: str, environ: Mapping[str, str] = os.environ) -> LocalOnly | None:
    """Say why a compiler can't be captured, judged by the file alone."""
    real = os.path.realpath(compiler_path)
    for name in (Path(compiler_path).name, Path(real).name):
        if shim_name(name):
            return LocalOnly(f"{compiler_path} is {Path(real).name}, which starts another compiler")
    if not Path(real).is_file():
        return LocalOnly(f"{compiler_path} does not exist")
    if not is_elf(real) and zig_behind(compiler_path, environ) is None:
        return LocalOnly(f"{compiler_path} is a script around a compiler")
    return None


class _Capture:
    """One capture in progress."""

    def __init__(self, compiler: str, environ: Mapping[str, str]) -> None:
        self.compiler = compiler
        self.probe = CompilerProbe(compiler, environ)
        self.files: dict[str, None] = {}
        self.programs: dict[str, None] = {}
        self.watched: dict[str, None] = {}
        self.around: tuple[str, ...] = ()
        self.environ = environ
        self.zig = None if is_elf(compiler) else zig_behind(compiler, environ)
        self.library = ""
        self.variables = (
            CACHE_VARIABLES
            if self.zig is not None
            else tuple((name, environ[name]) for name in _LEADING_VARIABLES if environ.get(name))
        )
        self.library_path = _folders(environ, "LD_LIBRARY_PATH")
        self.link_path = _folders(environ, "LIBRARY_PATH")

    def run(self, languages: Sequence[str]) -> CapturedToolchain:
        kind = self.probe.kind() if self.zig is None else CompilerKind.CLANG
        names = family(self.compiler)
        (self.programs if self.zig is None else self.files).update(dict.fromkeys(names))
        target = self.probe.ask("-dumpmachine")
        reports = self._reports(languages)
        if self.zig is not None:
            self._take_zig(self.zig)
        elif kind is CompilerKind.GCC:
            self._take_gcc(target, tuple(reports.values()))
        else:
            self._take_clang(target, tuple(reports.values()))
        for report in reports.values():
            self._take_configuration(report)
        libraries, lost = libraries_of(self.programs, self.library_path)
        if lost:
            raise ValueError(f"the library {lost[0]} is not where a worker would find it")
        for locale in _LOCALES:
            self._take_folder(locale)
        files = dict.fromkeys((*self.programs, *libraries, *self.files))
        smoke = self._smoke(names[0], target, tuple(reports))
        return CapturedToolchain(
            compiler=self.compiler,
            kind=kind,
            version=self._version(kind),
            target=target,
            names=names,
            files=tuple(files),
            directories=tuple(
                dict.fromkeys(path for report in reports.values() for path in report.includes)
            ),
            builtin_includes=_by_language(reports),
            watched=tuple(self.watched),
            around=tuple(dict.fromkeys((*self.around, *_missing(reports.values())))),
            installations=tuple(
                dict.fromkeys(path for report in reports.values() for path in report.installations)
            ),
            path=self._path(),
            locales=installed_locales(),
            smoke=smoke,
            variables=self.variables,
            portable=self._portable(names, smoke),
            twin=self._twin(kind, target, names[0], reports),
        )

    def _smoke(self, driver: str, target: str, languages: Sequence[str]) -> tuple[SmokeTest, ...]:
        environment = smoke_environment(self._path(), self.variables)
        if self.zig is None:
            return smoke_tests((driver,), languages, environment, CACHES)
        words = driver_words(driver, self.environ)
        return tuple(
            test
            for machine in tested_targets(target)
            for test in smoke_tests(
                (driver, *smoke_options(machine, words, self.library)),
                languages,
                environment,
                CACHES,
            )
        )

    def _portable(self, names: Sequence[str], smoke: Sequence[SmokeTest]) -> Portable | None:
        """Return what other machines need to know of zig, which compiles alike on all of them."""
        if self.zig is None:
            return None
        return Portable(
            tool="zig",
            version=CompilerProbe(self.zig, self.environ).ask("version"),
            program=self.zig,
            data=self.library,
            drivers={name: driver_words(name, self.environ) for name in names},
            targets=tuple(dict.fromkeys(target_of(test.arguments) for test in smoke)),
        )

    def _twin(
        self, kind: CompilerKind, target: str, driver: str, reports: Mapping[str, SearchReport]
    ) -> Twin | None:
        """Return what gccs on other machines need to know of this one; nothing if it is changed."""
        assembler = self.probe.program("as") if kind is CompilerKind.GCC else None
        if assembler is None or self.variables or any(one.read for one in reports.values()):
            return None
        folders = [path for name in _GCC_FOLDERS if (path := self.probe.file(name))]
        try:
            found = _IDENT.search(self.probe.ask("-S", "-o", "-", "-x", "c", os.devnull))
            said = CompilerProbe(assembler, self.environ).ask("--version").splitlines()
            libraries = self.probe.ask("-print-multi-lib").splitlines()
        except ProbeFailed:
            return None
        if any(os.path.realpath(path) != path for path in folders) or not said:
            return None
        return Twin(
            release=self._version(kind),
            target=target,
            assembler=said[0].split()[-1],
            text=found[1] if found else "",
            folders=tuple(folders),
            searched={
                language: tuple(os.path.normpath(path) for path in (*one.includes, *one.missing))
                for language, one in reports.items()
            },
            one_library=len(libraries) == 1,
            probes=probes(driver, tuple(reports), smoke_environment(self._path(), ())),
        )

    def _reports(self, languages: Sequence[str]) -> dict[str, SearchReport]:
        reports: dict[str, SearchReport] = {}
        for language in languages:
            try:
                reports[language] = self.probe.search(language)
            except ProbeFailed:
                # A C compiler without its C++ half is usual; one without any language is not.
                if language == languages[-1] and not reports:
                    raise
        return reports

    def _take_gcc(self, target: str, reports: Sequence[SearchReport]) -> None:
        programs = [(name, self.probe.program(name)) for name in _GCC_PROGRAMS]
        self.programs.update({path: None for _, path in programs if path is not None})
        for name in _GCC_FOLDERS:
            if path := self.probe.file(name):
                self._take_folder(path)
        self.around = around_gcc(self.probe, target, reports, programs)

    def _take_zig(self, zig: str) -> None:
        if (name := changing_variable(self.environ)) is not None:
            raise ValueError(f"{name} is set")
        library = library_folder(CompilerProbe(zig, self.environ).ask("env"))
        if library is None:
            raise ValueError(f"{zig} does not tell where its headers are")
        self.library = library
        self.programs |= {zig: None, shell_of(self.compiler): None}
        # zig knows its library by this file; a compile does not read it.
        self.files[f"{library}/std/std.zig"] = None
        self._take_folder(f"{library}/include")
        folders = self.probe.path.split(os.pathsep)
        self.around = tuple(f"{folder}/zig" for folder in folders if folder.startswith("/"))

    def _take_configuration(self, report: SearchReport) -> None:
        """Take specs and configuration files; no worker has the variables that lead to some."""
        for path in report.read:
            folder = str(Path(path).parent)
            if report.user_folder and folder == report.user_folder:
                raise ValueError(f"its user's configuration {path} is not read elsewhere")
            if any(Path(folder).is_relative_to(own) for own in self.link_path):
                raise ValueError(f"{path} is found through LIBRARY_PATH")
            self.files[path] = None

    def _take_clang(self, target: str, reports: Sequence[SearchReport]) -> None:
        self.around = around_clang(self.probe, self.compiler, target, reports)
        for name in _CLANG_PROGRAMS:
            if path := self.probe.program(name):
                self.programs[path] = None
        resources = self.probe.ask("-print-resource-dir")
        for name in ("include", "share"):
            self._take_folder(f"{resources}/{name}")
        for report in reports:
            for installation in report.installations:
                for pattern in _PROBED:
                    for path in (installation, *_subfolders(installation)):
                        if Path(f"{path}/{pattern}").is_file():
                            self.files[f"{path}/{pattern}"] = None

    def _take_folder(self, folder: str) -> None:
        """Take everything below a folder; its symlinks are left to whoever mirrors the paths."""
        for here, folders, names in os.walk(folder):
            self.watched[here] = None
            folders.sort()
            self.files.update((f"{here}/{name}", None) for name in sorted(names))

    def _version(self, kind: CompilerKind) -> str:
        if kind is CompilerKind.GCC:
            return self.probe.ask("-dumpfullversion", "-dumpversion")
        return self.probe.ask("-dumpversion")

    def _path(self) -> str:
        """Return a PATH under which the drivers meet the captured programs first."""
        folders = [str(Path(program).parent) for program in (self.compiler, *self.programs)]
        own = [folder for folder in folders if folder in self.probe.path.split(os.pathsep)]
        return ":".join(dict.fromkeys((*own, *DEFAULT_PATH.split(":"))))


def _folders(environ: Mapping[str, str], variable: str) -> list[str]:
    return [folder for folder in environ.get(variable, "").split(os.pathsep) if folder]


def family(compiler: str) -> tuple[str, ...]:
    """Return every driver in the same folder that is the same compiler: its C and its C++ names.

    What counts is the program that a name leads to: `cc` may be clang where `c++` is gcc's.
    """
    real = os.path.realpath(compiler)
    folder, name = os.path.split(real)
    reals = {real}
    for one, other in (("gcc", "g++"), ("clang", "clang++"), ("cc", "c++")):
        for old, new in ((one, other), (other, one)):
            match = re.fullmatch(rf"(.*-)?{re.escape(old)}(-[\d.]+)?", name)
            if match:
                sibling = f"{folder}/{match[1] or ''}{new}{match[2] or ''}"
                if is_elf(sibling):
                    reals.add(os.path.realpath(sibling))
    names = {compiler}
    for entry in os.scandir(Path(compiler).parent):
        if compiler_kind(entry.name) is not None and os.path.realpath(entry.path) in reals:
            names.add(entry.path)
    return tuple(sorted(names))


def installed_locales() -> tuple[str, ...]:
    """Return the locales of this machine, named as by `locale -a`, as far as folders tell."""
    base = Path("/usr/lib/locale")
    try:
        names = {entry.name for entry in base.iterdir() if (entry / "LC_CTYPE").exists()}
        if (base / "locale-archive").exists():
            names.update(_archived(base / "locale-archive"))
    except OSError:
        return ()
    return tuple(sorted(re.sub(r"\.UTF-?8$", ".utf8", name) for name in names))


def _archived(path: Path) -> set[str]:
    """Return the locale names in the archive: the zero-terminated words that look like one."""
    data = path.read_bytes()[: 1 << 20]
    return {
        match[1].decode()
        for match in re.finditer(rb"\0([a-z]{2,3}_[A-Z]{2}(?:\.[a-z0-9]+)?(?:@[a-z]+)?)\0", data)
    }


def _missing(reports: Iterable[SearchReport]) -> list[str]:
    return [path for report in reports for path in report.missing]


def _by_language(reports: Mapping[str, SearchReport]) -> dict[str, tuple[str, ...]]:
    """Return the directories by language; assembly is preprocessed as C is."""
    result = {name: report.includes for name, report in reports.items()}
    if "c" in result:
        result["assembler-with-cpp"] = result["c"]
        result["assembler"] = ()
    return result


def _subfolders(path: str) -> list[str]:
    try:
        return sorted(entry.path for entry in os.scandir(path) if entry.is_dir())
    except OSError:
        return []
