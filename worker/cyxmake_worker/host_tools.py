"""What actions may see of this machine's own programs: tables of directories, tools and settings.

Knows nothing of actions. Nothing here is ever writable to them; files that may hold secrets are not
in the tables, and a tool that stands elsewhere is offered only once its owner shows its directory.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from cyxmake_worker.sandbox.base import HostView
from cyxmake_worker.sandbox.removal import remove_children

TOOLS: Final = (
    "ar", "as", "autoconf", "automake", "autoreconf", "bash", "bazel", "bison", "bun", "bunx",
    "c++", "cargo", "cc", "clang", "clang++", "cmake", "composer", "cpack", "ctest", "cython",
    "deno", "dotnet", "file", "flex", "g++", "gcc", "gfortran", "git", "gmake", "go", "gradle",
    "hg", "ifort", "java", "javac", "ld", "libtoolize", "m4", "make", "meson", "mvn", "nasm",
    "ninja", "ninja-build", "node", "npm", "npx", "perl", "php", "pip", "pip3", "pkg-config",
    "pnpm", "poetry", "protoc", "pytest", "python", "python3", "ruby", "rustc", "samu", "sbt",
    "scons", "sh", "swift", "tar", "tclsh", "uv", "xmake", "yarn", "yasm", "zig",
)  # fmt: skip
"""Programs that an action may ask for by name."""

_SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt")

_SETTINGS: Final = (
    "/etc/alternatives", "/etc/ca-certificates", "/etc/group", "/etc/hosts", "/etc/host.conf",
    "/etc/java-17-openjdk", "/etc/java-21-openjdk", "/etc/java-25-openjdk", "/etc/ld.so.cache",
    "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/mailcap", "/etc/maven",
    "/etc/mime.types", "/etc/nsswitch.conf", "/etc/os-release", "/etc/passwd", "/etc/perl",
    "/etc/pki/tls/certs", "/etc/protocols", "/etc/resolv.conf", "/etc/services",
    "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/timezone",
)  # fmt: skip
"""What tools read of /etc; nothing of it is a secret."""

_HOMES: Final = {
    ".cargo/bin": "",
    ".rustup": "RUSTUP_HOME",
    ".pyenv": "PYENV_ROOT",
    ".nvm/versions": "",
    ".sdkman/candidates": "",
}
"""Directories of a home that hold toolchains alone, and the variable by which they are found."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HostTools:
    """What is shown, and the programs that actions can ask for."""

    view: HostView
    tools: tuple[str, ...]


def find_host_tools(
    base: Path,
    *,
    extra: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    jobs: int = 1,
) -> HostTools:
    """Look at this machine; `base` becomes the skeleton of what is shown.

    `extra` are directories that the worker's owner shows as well, `variables` go to every command.
    """
    environ = os.environ if environ is None else environ
    home = environ.get("HOME", "/")
    homes = {f"{home}/{name}": variable for name, variable in _HOMES.items()}
    wanted = [*_SYSTEM, *_SETTINGS, *homes, *(os.path.normpath(path) for path in extra)]
    shown: list[str] = []
    remove_children(base)
    for path in wanted:
        if not os.path.lexists(path):
            continue
        place = base / path[1:]
        if any(f"{path}/".startswith(f"{other}/") for other in shown) or place.is_symlink():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if os.path.islink(path) and path in _SYSTEM:  # noqa: PTH114 - strings throughout
            place.symlink_to(os.readlink(path))  # noqa: PTH115
            continue
        if os.path.isdir(path):  # noqa: PTH112
            place.mkdir(exist_ok=True)
        elif os.path.isfile(path):  # noqa: PTH113
            place.touch()
        else:
            continue
        shown.append(path)
    for directory, _, _ in os.walk(base):
        os.chmod(directory, 0o755)  # noqa: PTH101, S103 - actions are another user than we are
    search = _search_path(environ, shown, base)
    found = [name for name in TOOLS if shutil.which(name, path=search)]
    _warn(environ, found)
    environment = {
        "PATH": search,
        "LANG": "C.UTF-8",
        "MAKEFLAGS": f"-j{jobs}",
        "CMAKE_BUILD_PARALLEL_LEVEL": str(jobs),
        "CARGO_BUILD_JOBS": str(jobs),
        **{v: path for path, v in homes.items() if v and path in shown},
        **(variables or {}),
    }
    return HostTools(HostView(base, tuple(shown), environment), tuple(sorted(found)))


def find_own_tools(
    base: Path,
    *,
    variables: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    jobs: int = 1,
) -> HostTools:
    """Return what actions see where nothing is hidden from them, as on Windows: all of PATH."""
    environ = os.environ if environ is None else environ
    search = environ.get("PATH", "")
    environment = {
        "PATH": search,
        "CMAKE_BUILD_PARALLEL_LEVEL": str(jobs),
        "CARGO_BUILD_JOBS": str(jobs),
        **(variables or {}),
    }
    found = sorted(name for name in TOOLS if shutil.which(name, path=search))
    return HostTools(HostView(base, (), environment), tuple(found))


def _search_path(environ: Mapping[str, str], shown: Sequence[str], base: Path) -> str:
    """Return our PATH as far as actions can see it."""
    kept: dict[str, None] = {}
    for directory in (*environ.get("PATH", "").split(":"), "/usr/local/bin", "/usr/bin", "/bin"):
        path = os.path.normpath(directory) if directory.startswith("/") else ""
        linked = (base / path[1:].partition("/")[0]).is_symlink() if path else False
        if path and (linked or any(f"{path}/".startswith(f"{one}/") for one in shown)):
            kept[path] = None
    return ":".join(kept)


def _warn(environ: Mapping[str, str], found: Sequence[str]) -> None:
    search = environ.get("PATH")
    hidden = [name for name in TOOLS if name not in found and shutil.which(name, path=search)]
    if hidden:
        _log.info("tools-not-shown", tools=hidden, setting="host_dirs")
