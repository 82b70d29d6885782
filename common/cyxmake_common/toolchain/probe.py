"""Asks a compiler about itself: version, target, programs, built-in include directories.

Knows nothing of trees. The only module here that starts processes: the compiler with an argument
list, a fixed locale and a time limit.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_common.toolchain.arguments import is_cxx_driver
from cyxmake_common.toolchain.compile_command import CompilerKind

_TIMEOUT_SECONDS: Final = 30
_SEARCH_VARIABLES: Final = (
    "CPATH",
    "C_INCLUDE_PATH",
    "CPLUS_INCLUDE_PATH",
    "OBJC_INCLUDE_PATH",
    "OBJCPLUS_INCLUDE_PATH",
    "DEPENDENCIES_OUTPUT",
    "SUNPRO_DEPENDENCIES",
    "GCC_COMPARE_DEBUG",
)


class ProbeFailed(Exception):
    """The compiler does not answer as a compiler does; `str` says what it did."""


@dataclass(frozen=True, slots=True)
class SearchReport:
    """What `-v` tells: include directories in order, and what was looked at to find them."""

    includes: tuple[str, ...]
    missing: tuple[str, ...]
    installations: tuple[str, ...]
    read: tuple[str, ...]
    text: str
    config_folders: tuple[str, ...] = ()
    user_folder: str = ""


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for asking: the caller's without what would be asked for by itself."""
    kept = {name: value for name, value in environ.items() if name not in _SEARCH_VARIABLES}
    return {**kept, "LC_ALL": "C"}


class CompilerProbe:
    """Asks one compiler; raises ProbeFailed."""

    def __init__(self, compiler: str, environ: Mapping[str, str]) -> None:
        self._compiler = compiler
        self._environment = clean_environment(environ)
        self.path = environ.get("PATH", os.defpath)

    def __repr__(self) -> str:
        return f"<CompilerProbe {self._compiler}>"

    def ask(self, *arguments: str) -> str:
        """Return the compiler's first output for some arguments, without the newline."""
        return self._run(arguments)[0].strip()

    def kind(self) -> CompilerKind:
        """Tell which compiler it is by the macros it defines."""
        macros = self._run(("-dM", "-E", "-x", "c", os.devnull))[0]
        if self._takes_c_as_cxx() is not is_cxx_driver(self._compiler):
            raise ProbeFailed("it compiles C in another language than its name says")
        if "#define __clang__ " in macros:
            return CompilerKind.CLANG
        if "#define __GNUC__ " in macros:
            return CompilerKind.GCC
        raise ProbeFailed("it is neither gcc nor clang")

    def _takes_c_as_cxx(self) -> bool:
        with tempfile.TemporaryDirectory(prefix="cyxmake-") as folder:
            source = Path(folder, "a.c")
            source.touch()
            return "#define __cplusplus " in self._run(("-dM", "-E", str(source)))[0]

    def program(self, name: str) -> str | None:
        """Return the absolute path of one of the compiler's programs, or None."""
        path = self.ask(f"-print-prog-name={name}")
        if "/" in path:
            return path if Path(path).is_file() else None
        return which(path, self.path)

    def file(self, name: str) -> str | None:
        """Return the absolute path of one of the compiler's files, or None."""
        path = self.ask(f"-print-file-name={name}")
        return path if "/" in path and Path(path).exists() else None

    def told(self, *arguments: str) -> str:
        """Return what the compiler says besides its output."""
        return self._run(arguments)[1]

    def search(self, language: str, flags: Sequence[str] = (), cwd: str = "/") -> SearchReport:
        """Return the built-in include directories for a language under some flags."""
        arguments = (*flags, "-v", "-E", "-x", language, os.devnull)
        return parse_search(self._run(arguments, cwd)[1])

    def _run(self, arguments: Sequence[str], cwd: str = "/") -> tuple[str, str]:
        argv = [self._compiler, *arguments]
        try:
            done = subprocess.run(  # noqa: S603, RUF100
                argv,
                check=False,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=_TIMEOUT_SECONDS,
                env=self._environment,
                cwd=cwd,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ProbeFailed(f"{' '.join(argv)}: {error}") from error
        stdout, stderr = (os.fsdecode(output) for output in (done.stdout, done.stderr))
        if done.returncode != 0:
            last = (stderr.strip().splitlines() or ["no message"])[-1]
            raise ProbeFailed(f"{' '.join(argv)}: exit {done.returncode}: {last}")
        return stdout, stderr


_INSTALLATION: Final = re.compile(r"^Found candidate GCC installation: (.+)$", re.MULTILINE)
_READ: Final = re.compile(r"^(?:Reading specs from|Configuration file:) (.+)$", re.MULTILINE)
_CONFIG_FOLDER: Final = re.compile(
    r"^(System|User) configuration file directory: (.+)$", re.MULTILINE
)
_IGNORED: Final = re.compile(r'^ignoring nonexistent directory "(.+)"$', re.MULTILINE)


def parse_search(text: str) -> SearchReport:
    """Read what `-v -E` writes to its second output; raises ProbeFailed."""
    _, start, rest = text.partition('#include "..." search starts here:\n')
    searched, end, _ = rest.partition("End of search list.")
    # clang leaves the second title out where there is nothing below it.
    listed = searched.partition("#include <...> search starts here:\n")[2]
    if not start or not end:
        raise ProbeFailed("it does not tell its include directories")
    folders = dict(_CONFIG_FOLDER.findall(text))
    return SearchReport(
        includes=tuple(line[1:] for line in listed.splitlines() if line.startswith(" ")),
        missing=tuple(dict.fromkeys(_IGNORED.findall(text))),
        installations=tuple(dict.fromkeys(_INSTALLATION.findall(text))),
        read=tuple(dict.fromkeys(_READ.findall(text))),
        text=text,
        config_folders=tuple(folders.values()),
        user_folder=folders.get("User", ""),
    )


def which(name: str, path: str) -> str | None:
    """Return the program that a name means under a PATH, as spelled, or None."""
    for folder in path.split(os.pathsep):
        candidate = f"{folder or '.'}/{name}"
        if folder.startswith("/") and Path(candidate).is_file() and os.access(candidate, os.X_OK):
            return candidate
    return None
