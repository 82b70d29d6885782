"""Decides what a call of a compiler is before anybody is asked: a plain compile, or not surely one.

Knows no processes. stub.c decides the same in the same order; a test holds the two together.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cyxmake_cli.launcher.home import MARKER, STUB_NAME

_PROBES: Final = (
    "conftest",
    "CMakeFiles/CMakeTmp",
    "CMakeScratch",
    "CompilerId",
    "meson-private",
    "_configtest",
)
"""What the paths of configure checks have in them: asking would cost more than it saves."""

_LOCAL_ONLY: Final = frozenset(("-", "-E", "-M", "-MM", "-###", "-fsyntax-only"))
_DEFAULT_PATH: Final = "/bin:/usr/bin"


def is_probe(text: str) -> bool:
    """Tell whether a path or an argument belongs to a configure check."""
    return any(probe in text for probe in _PROBES)


def may_be_compile(argv: Sequence[str]) -> bool:
    """Tell whether the agent should be asked at all."""
    rest = argv[1:]
    return (
        any(word in ("-c", "-S") for word in rest)
        and not any(word in _LOCAL_ONLY for word in rest)
        and not any(is_probe(word) for word in rest)
    )


@dataclass(frozen=True, slots=True)
class Call:
    """The compiler that was meant, and how it is to be run; `compiler` None: there is none."""

    name: str
    compiler: str | None
    argv: tuple[str, ...]
    path: str | None


def read_call(argv: Sequence[str], path: str | None) -> Call:
    """Find the compiler that a call means; `argv` is ours, `path` the PATH, and argv is not empty.

    Called as a launcher, the compiler is the next argument; otherwise we stand in for the one whose
    name we bear.
    """
    folders = clean_path(path)
    if os.path.basename(argv[0]).startswith(STUB_NAME):  # noqa: PTH119 - pure text
        argv = argv[1:]
        name = argv[0]
        folder, slash, last = name.rpartition("/")
        if slash and is_masquerade(folder):
            name = last
            argv = (last, *argv[1:])
    else:
        name = os.path.basename(argv[0])  # noqa: PTH119 - pure text
    compiler = name if "/" in name else search(name, folders)
    first = argv[0]
    if first != name and compiler is not None:
        first = compiler  # called by the path of a stand-in: the compiler must not see that
    return Call(name, compiler, (first, *argv[1:]), folders)


def is_masquerade(folder: str) -> bool:
    """Tell whether a folder holds stand-ins for compilers."""
    return os.path.lexists(f"{folder}/{MARKER}")


def clean_path(path: str | None) -> str | None:
    """Return a PATH without folders of stand-ins."""
    if path is None:
        return None
    folders = path.split(":")
    kept = [folder for folder in folders if not (folder and is_masquerade(folder))]
    return ":".join(kept) if kept else path


def search(name: str, path: str | None) -> str | None:
    """Return the first program of a name, as execvp would find it."""
    for folder in (_DEFAULT_PATH if path is None else path).split(":"):
        candidate = f"{folder or '.'}/{name}"
        if folder and is_masquerade(folder):
            continue
        try:
            mode = os.stat(candidate).st_mode  # noqa: PTH116 - as spelled
        except OSError:
            continue
        if stat.S_ISREG(mode) and os.access(candidate, os.X_OK):
            return candidate
    return None


def directory_name(environ: Mapping[str, str]) -> str:
    """Return the working directory by the name that compilers give it; raises OSError."""
    named = environ.get("PWD", "")
    if named.startswith("/"):
        try:
            one, other = os.stat(named), os.stat(".")  # noqa: PTH116 - as compilers do
        except OSError:
            return os.getcwd()  # noqa: PTH109
        if (one.st_ino, one.st_dev) == (other.st_ino, other.st_dev):
            return named
    return os.getcwd()  # noqa: PTH109
