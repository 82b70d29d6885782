"""Programs that stand before or in place of compilers: which only cache, and what they start.

Knows no processes: settings come in as text. What a cache starts is looked up here as it does.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_common.toolchain.local import LocalOnly

_SHIM: Final = re.compile(
    r"(?:^|-)(ccache|sccache|distcc|icecc|icerun|gomacc|fbuild|buildcache)", re.IGNORECASE
)
_SETTING: Final = re.compile(rb"^\(.*?\) (\w+) = (.*?) *$", re.MULTILINE)
_EXPECTED: Final = {
    "base_dir": b"",
    "prefix_command": b"",
    "prefix_command_cpp": b"",
    "run_second_cpp": b"true",
    "absolute_paths_in_stderr": b"false",
    "debug": b"false",
}
"""Settings of ccache without which a compile is not the one that its command line says."""

_REQUIRED: Final = ("base_dir", "prefix_command", "compiler")
"""Settings that every version shows: without them the text is something else."""


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """What a ccache that only caches still decides: the compiler, and where it is looked up."""

    compiler: str = ""
    path: str = ""


def shim_name(program: str) -> str:
    """Return which program that starts compilers a file name belongs to; empty for any other."""
    match = _SHIM.search(posixpath.basename(program))
    return match[1].lower() if match else ""


def read_ccache(shown: bytes) -> CacheSettings | LocalOnly:
    """Read what `ccache -p` shows."""
    settings = {name.decode(): value for name, value in _SETTING.findall(shown)}
    if any(name not in settings for name in _REQUIRED):
        return LocalOnly("ccache does not tell its settings")
    for name, expected in _EXPECTED.items():
        if settings.get(name, expected) != expected:
            return LocalOnly(f"ccache is set up to change what is compiled: {name}")
    return CacheSettings(os.fsdecode(settings["compiler"]), os.fsdecode(settings.get("path", b"")))


def distributes(environ: Mapping[str, str]) -> bool:
    """Tell whether sccache may send compiles away: its settings name a scheduler."""
    home = environ.get("XDG_CONFIG_HOME") or posixpath.join(environ.get("HOME", "/"), ".config")
    path = environ.get("SCCACHE_CONF") or posixpath.join(home, "sccache/config")
    try:
        return b"dist" in Path(path).read_bytes()
    except FileNotFoundError:
        return False
    except OSError:
        return True


def behind_ccache(argv: Sequence[str], settings: CacheSettings, path: str) -> list[str] | LocalOnly:
    """Return the argv that ccache executes, `path` being PATH; the compiler is a path in it."""
    first = 0
    while first < len(argv) and _is_ccache(argv[first]):
        first += 1
    if first == len(argv) or argv[first].startswith("-"):
        return LocalOnly("ccache is called for itself")
    compiler = settings.compiler or (argv[first] if first else posixpath.basename(argv[0]))
    if "/" not in compiler:
        found = _next_in_path(compiler, settings.path or path)
        if found is None:
            return LocalOnly(f"ccache finds no {compiler}")
        compiler = found
    return [compiler, *argv[first + 1 :]]


def _is_ccache(program: str) -> bool:
    return posixpath.basename(program).lower().startswith("ccache")


def _next_in_path(name: str, path: str) -> str | None:
    for folder in path.split(os.pathsep):
        candidate = posixpath.join(folder, name)
        if folder.startswith("/") and Path(candidate).is_file() and os.access(candidate, os.X_OK):
            if not _is_ccache(os.path.realpath(candidate)):
                return candidate
        elif folder and not folder.startswith("/"):
            return None
    return None
