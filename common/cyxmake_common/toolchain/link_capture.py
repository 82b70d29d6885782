"""Finds every file that a linker, or an archiver, needs to run where nothing is installed.

Knows nothing of digests or stores. A link gets the driver, the linker it asks for, what link-time
optimisation starts, and the libraries that drivers add by themselves; libraries that a command
names are inputs of that link and not meant here.
"""

from __future__ import annotations

import os
import posixpath
import re
import stat
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from cyxmake_common.toolchain.capture import family, unsuitable
from cyxmake_common.toolchain.compile_command import CompilerKind
from cyxmake_common.toolchain.environment import DEFAULT_PATH
from cyxmake_common.toolchain.libraries import (
    configured_directories,
    is_elf,
    libraries_of,
    read_program,
)
from cyxmake_common.toolchain.linker_script import script_names
from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.probe import CompilerProbe, ProbeFailed, clean_environment, which
from cyxmake_common.toolchain.surroundings import around_clang, around_gcc
from cyxmake_common.toolchain.tool_tree import Captured, programs_in_path

_LTO: Final = ("as", "make", "sh", "touch", "mv")
"""Programs that link-time optimisation starts: it compiles in parallel through make."""

_GCC_PROGRAMS: Final = ("collect2", "lto-wrapper", "lto1")
_DRIVEN: Final = (
    *("crt1.o", "crti.o", "crtn.o", "Scrt1.o", "gcrt1.o", "grcrt1.o", "rcrt1.o", "Mcrt1.o"),
    *("libc.so", "libc.a", "libc_nonshared.a", "libm.so", "libm.a", "libmvec.so", "libmvec.a"),
    *("libpthread.so", "libpthread.a", "libdl.so", "libdl.a", "librt.so", "librt.a"),
    *("libgcc_s.so", "libgcc_s.so.1", "libgcc.a", "libgcc_eh.a", "libstdc++.so", "libstdc++.a"),
    *("libgomp.so", "libgomp.a", "libgomp.spec", "libatomic.so", "libatomic.a", "libgcov.a"),
    *("libasan.so", "libubsan.so", "libtsan.so", "liblsan.so", "libssp_nonshared.a"),
    *("libresolv.so", "libresolv.a", "libutil.a", "libsanitizer.spec", "libitm.spec"),
)
"""What drivers add by themselves, and what nearly every link names."""

_DRIVER_FILE: Final = re.compile(r".+\.(?:o|a|so|spec)(?:\.\d+)*\Z")
_LOCALES: Final = ("/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8")
_CONFIG: Final = ("/etc/ld.so.conf", "/etc/ld.so.conf.d")
_SEARCH_DIR: Final = re.compile(r'SEARCH_DIR\("=?([^"]+)"\)')
_TIMEOUT_SECONDS: Final = 30
_DEFAULT_LINE: Final = re.compile(r"^ *\[?-?D\]? .*\(default\)", re.MULTILINE)
_SHELL: Final = "/bin/sh"


def capture_linker(
    compiler: str, linker: str = "", environ: Mapping[str, str] = os.environ
) -> Captured | LocalOnly:
    """Collect what a driver needs to link with `linker` (as -fuse-ld names it; empty: its own).

    Raises OSError.
    """
    if (reason := unsuitable(compiler)) is not None:
        return reason
    try:
        return _LinkerCapture(compiler, linker, environ).run()
    except (ProbeFailed, ValueError) as error:
        return LocalOnly(f"the linker of {compiler} can't be captured: {error}")


class _Capture:
    """Programs and files collected so far."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.programs: dict[str, None] = {}
        self.files: dict[str, None] = {}
        self.directories: dict[str, None] = {}
        self.watched: dict[str, None] = {}

    def captured(
        self, path: str, search: Iterable[str] = (), needed_search: Iterable[str] = ()
    ) -> Captured:
        """Add the libraries of the programs; raises ValueError when one is out of reach."""
        own = [f for f in self.environ.get("LD_LIBRARY_PATH", "").split(":") if f]
        libraries, lost = libraries_of(self.programs, own)
        if lost:
            raise ValueError(f"the library {lost[0]} is not where a worker would find it")
        for locale in _LOCALES:
            self.take_folder(locale)
        return Captured(
            files=tuple(dict.fromkeys((*self.programs, *libraries, *self.files))),
            directories=tuple(self.directories),
            watched=tuple(self.watched),
            path=path,
            search=tuple(search),
            needed_search=tuple(needed_search),
        )

    def take_folder(self, folder: str) -> None:
        """Take everything below a folder."""
        for here, folders, names in os.walk(folder):
            self.watched[here] = None
            folders.sort()
            self.files.update((f"{here}/{name}", None) for name in sorted(names))

    def worker_path(self, path: str) -> str:
        """Return a PATH under which the captured programs are met first."""
        folders = {posixpath.dirname(program) for program in self.programs}
        own = [folder for folder in path.split(os.pathsep) if folder in folders]
        return ":".join(dict.fromkeys((*own, *DEFAULT_PATH.split(":"))))


class _LinkerCapture(_Capture):
    """One capture of a driver with a linker."""

    def __init__(self, compiler: str, linker: str, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        self.compiler = compiler
        self.linker = linker
        self.probe = CompilerProbe(compiler, environ)
        self.search: list[str] = []

    def run(self) -> Captured:
        kind = self.probe.kind()
        self.programs.update(dict.fromkeys(family(self.compiler)))
        name = f"ld.{self.linker}" if self.linker else "ld"
        linker = self.probe.program(name)
        if linker is None:
            raise ValueError(f"{name} is not found")
        if not is_elf(linker):
            raise ValueError(f"{linker} is a script")
        wanted = (*(_GCC_PROGRAMS if kind is CompilerKind.GCC else ()), *_LTO, name)
        for program in wanted:
            if (path := self.probe.program(program)) and is_elf(path):
                self.programs[path] = None
        self.watched.update(dict.fromkeys(programs_in_path(wanted, self.probe.path)))
        self.programs[_SHELL] = None
        self.search = self._search_directories(linker)
        self.directories.update(dict.fromkeys(self.search))
        self.watched.update(dict.fromkeys(self.search))
        if kind is CompilerKind.GCC:
            self._take_gcc()
        else:
            self._take_clang()
        self._watch(kind)
        for file in _DRIVEN:
            for folder in self.search:
                self._take(f"{folder}/{file}")
        for path in _CONFIG:
            self.take_folder(path)
            if Path(path).is_file():
                self.files[path] = None
        configured = [path for path in configured_directories() if Path(path).is_dir()]
        path = self.worker_path(self.probe.path)
        return self.captured(path, self.search, (*self.search, *configured))

    def _search_directories(self, linker: str) -> list[str]:
        """Return the folders that driver and linker search, as they spell them."""
        told = self.probe.ask("-print-search-dirs")
        listed = re.search(r"^libraries: =?(.*)$", told, re.MULTILINE)
        if listed is None:
            raise ValueError("the driver does not tell where it searches")
        own = _SEARCH_DIR.findall(_say(linker, ("--verbose",), self.environ))
        if not own:  # gold and lld do not tell; they have no folders but the usual ones
            own = ["/usr/local/lib", "/lib64", "/usr/lib64", "/lib", "/usr/lib"]
        folders = dict.fromkeys((*listed[1].split(":"), *own))
        spelled = dict.fromkeys(folder.rstrip("/") for folder in folders if folder)
        return [folder for folder in spelled if Path(folder).is_dir()]

    def _take_gcc(self) -> None:
        """Take what lies beside the compiler's own libraries."""
        if path := self.probe.file("crtbegin.o"):
            folder = posixpath.dirname(path)
            self.watched[folder] = None
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
                if _DRIVER_FILE.match(entry.name) and entry.is_file():
                    self._take(entry.path)
        if path := self.probe.file("liblto_plugin.so"):
            self.programs[path] = None
        if path := self.probe.file("specs"):
            self.files[path] = None

    def _take_clang(self) -> None:
        """Take the installation of gcc that clang links with, its run-times and its plug-in."""
        for name in ("crtbegin.o", "crtbeginS.o", "crtbeginT.o", "crtend.o", "crtendS.o"):
            if path := self.probe.file(name):
                self._take(path)
                self.watched[posixpath.dirname(path)] = None
        for name in ("libgcc.a", "libgcc_eh.a", "crtfastmath.o", "libstdc++.so", "libstdc++.a"):
            if path := self.probe.file(name):
                self._take(path)
        self.take_folder(f"{self.probe.ask('-print-resource-dir')}/lib")
        self.take_folder(f"{self.probe.ask('-print-resource-dir')}/share")
        real = posixpath.dirname(posixpath.dirname(os.path.realpath(self.compiler)))
        if is_elf(f"{real}/lib/LLVMgold.so"):
            self.programs[f"{real}/lib/LLVMgold.so"] = None

    def _watch(self, kind: CompilerKind) -> None:
        """Remember where the driver reads its configuration, and where it looked in vain for it."""
        report, target = self.probe.search("c"), self.probe.ask("-dumpmachine")
        self.files.update(dict.fromkeys(report.read))
        if kind is CompilerKind.GCC:
            found = [(name, self.probe.program(name)) for name in (*_GCC_PROGRAMS, *_LTO)]
            around = around_gcc(self.probe, target, (report,), found)
        else:
            around = around_clang(self.probe, self.compiler, target, (report,))
        self.watched.update(dict.fromkeys(around))

    def _take(self, path: str) -> None:
        """Take a file, and what it names: a script's libraries, the libraries of a library."""
        if path in self.files or not Path(path).is_file():
            return
        self.files[path] = None
        with open(path, "rb") as file:  # noqa: PTH123 - a string
            head = file.read(20)
            rest = b"" if head.startswith((b"\x7fELF", b"!<arch>")) else head + file.read(1 << 20)
        if head.startswith(b"\x7fELF"):
            if (head[16] | head[17]) == 3:
                self._take_needed(path)
        elif rest and not path.endswith(".spec"):
            names = script_names(rest)
            for name in () if isinstance(names, LocalOnly) else names.inputs:
                for folder in ("",) if name.startswith("/") else self.search:
                    plain = f"lib{name[2:]}.so" if name.startswith("-l") else name
                    self._take(f"{folder}/{plain}" if folder else plain)
                    if name.startswith("-l"):
                        self._take(f"{folder}/lib{name[2:]}.a")

    def _take_needed(self, path: str) -> None:
        program = read_program(path)
        for name in program.needed:
            for folder in (*program.search, *self.search):
                self._take(f"{folder}/{name}")


# ── archivers ───────────────────────────────────────────────────────────────────────────────────


def capture_archiver(
    programs: Sequence[str], keys: str, environ: Mapping[str, str] = os.environ
) -> Captured | LocalOnly:
    """Collect what archivers need, given by absolute path, the `ar` first; raises OSError.

    Only archivers that always make the same bytes are taken: this one is asked to show it.
    """
    for program in programs:
        if not is_elf(os.path.realpath(program)):
            return LocalOnly(f"{program} is a script around an archiver")
    found = _Capture(environ)
    found.programs.update(dict.fromkeys((*programs, _SHELL)))
    search = environ.get("PATH", os.defpath)
    for program in programs:
        if "gcc-" in posixpath.basename(program):
            if (problem := _take_gcc_archiver(found, program, search)) is not None:
                return problem
        elif "llvm" not in os.path.realpath(program):
            _take_plugins(found, program)
    if (problem := _always_the_same(programs, keys, environ)) is not None:
        return problem
    try:
        return found.captured(found.worker_path(search))
    except ValueError as error:
        return LocalOnly(f"{programs[0]} can't be captured: {error}")


def _take_gcc_archiver(found: _Capture, program: str, search: str) -> LocalOnly | None:
    """gcc-ar starts ar with gcc's plug-in, found as the compiler of the same version finds it."""
    folder, name = posixpath.split(program)
    tool = re.sub(r"^.*gcc-(ar|ranlib|nm).*\Z", r"\1", name)
    compiler = f"{folder}/{name.replace(f'gcc-{tool}', 'gcc')}"
    inner = which(tool, search)
    if inner is None or not is_elf(os.path.realpath(inner)) or not is_elf(compiler):
        return LocalOnly(f"{program} starts programs that are not known")
    try:
        plugin = CompilerProbe(compiler, found.environ).file("liblto_plugin.so")
    except ProbeFailed as error:
        return LocalOnly(str(error))
    found.programs.update(dict.fromkeys((inner, *((plugin,) if plugin else ()))))
    found.watched.update(dict.fromkeys(programs_in_path((tool,), search)))
    _take_plugins(found, inner)
    return None


def _take_plugins(found: _Capture, program: str) -> None:
    """Take the plug-ins that archivers of binutils load to look into intermediate code."""
    prefix = posixpath.dirname(posixpath.dirname(os.path.realpath(program)))
    for folder in (f"{prefix}/lib/bfd-plugins", f"{prefix}/lib64/bfd-plugins"):
        found.watched[folder] = None
        if Path(folder).is_dir():
            for entry in sorted(os.listdir(folder)):  # noqa: PTH208 - strings
                if is_elf(f"{folder}/{entry}"):
                    found.programs[f"{folder}/{entry}"] = None


def _always_the_same(
    programs: Sequence[str], keys: str, environ: Mapping[str, str]
) -> LocalOnly | None:
    """Say why an archive may differ from one time to the next: times, owners and modes in it."""
    for program in programs[1:]:
        # What ranlib stamps is seen only in an archive with symbols: here its word is taken.
        if not _DEFAULT_LINE.search(_say(program, ("--help",), environ)):
            return LocalOnly(f"{program} may write the time into archives")
    with tempfile.TemporaryDirectory() as folder:
        member, archive = Path(folder, "member.o"), Path(folder, "lib.a")
        member.write_bytes(b"not an object")
        made: list[bytes] = []
        for moment, mode in ((1_000_000_000, 0o644), (1_600_000_000, 0o755)):
            member.chmod(mode | stat.S_IRUSR)
            os.utime(member, (moment, moment))
            archive.unlink(missing_ok=True)
            _say(programs[0], (keys, str(archive), str(member)), environ)
            made.append(archive.read_bytes() if archive.exists() else os.urandom(8))
        if made[0] != made[1]:
            return LocalOnly(f"{programs[0]} writes times into archives")
    return None


def _say(program: str, arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return what a program prints, whatever its verdict."""
    try:
        done = subprocess.run(  # noqa: S603, RUF100
            [program, *arguments],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            timeout=_TIMEOUT_SECONDS,
            env=clean_environment(environ),
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return os.fsdecode(done.stdout)
