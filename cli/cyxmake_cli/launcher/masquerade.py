"""A folder of stand-ins named as the compilers that PATH has; put first in PATH, it catches them.

Knows nothing of what a stand-in does. The folder's marker lists what was put there, so that only
that is ever removed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from cyxmake_cli.launcher.decisions import is_masquerade
from cyxmake_cli.launcher.home import MARKER
from cyxmake_common.errors import ConfigError, UsageError
from cyxmake_common.toolchain.arguments import compiler_kind


def compiler_names(path: str) -> list[str]:
    """Return the names of compilers in a PATH, without those of stand-ins."""
    names: set[str] = set()
    for folder in path.split(os.pathsep):
        if not folder or is_masquerade(folder):
            continue
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            names.update(
                entry.name
                for entry in entries
                if compiler_kind(entry.name) is not None and os.access(entry.path, os.X_OK)
            )
    return sorted(names)


def install(folder: Path, stub: Path, names: Iterable[str]) -> list[str]:
    """Have a stand-in for each name; returns the names. Raises UsageError and ConfigError."""
    wanted = list(names)
    known = _installed(folder)
    if known is None and folder.is_dir() and any(folder.iterdir()):
        raise UsageError(
            f"{folder} is not empty and not made by us", next_step="name another folder with --dir"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The marker first: a stand-in must never be taken for a compiler.
        _write_marker(folder, {*(known or ()), *wanted})
        for name in wanted:
            _link(folder / name, stub)
        for name in (known or set()) - set(wanted):
            (folder / name).unlink(missing_ok=True)
        _write_marker(folder, wanted)
    except OSError as error:
        raise ConfigError(f"cannot make stand-ins in {folder}: {error}") from error
    return wanted


def remove(folder: Path) -> list[str]:
    """Remove what `install` made, and the folder if nothing else is in it; returns the names."""
    known = _installed(folder)
    if known is None:
        raise UsageError(f"{folder} holds no stand-ins", next_step="name the folder with --dir")
    try:
        for name in known:
            (folder / name).unlink(missing_ok=True)
        (folder / MARKER).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # there is something else in it
            folder.rmdir()
    except OSError as error:
        raise ConfigError(f"cannot remove stand-ins from {folder}: {error}") from error
    return sorted(known)


def installed(folder: Path) -> list[str]:
    """Return the names that a folder stands in for."""
    return sorted(_installed(folder) or ())


def _installed(folder: Path) -> set[str] | None:
    try:
        lines = (folder / MARKER).read_text("utf-8").splitlines()
    except OSError:
        return None
    return {line for line in lines if line and "/" not in line and line not in (".", "..")}


def _write_marker(folder: Path, names: Iterable[str]) -> None:
    scratch = folder / f"{MARKER}.{os.getpid()}"
    scratch.write_text("".join(f"{name}\n" for name in sorted(names)), "utf-8")
    scratch.replace(folder / MARKER)


def _link(place: Path, stub: Path) -> None:
    """Put a link, or a copy where there are no links, in place of what was there."""
    scratch = place.with_name(f".{place.name}.{os.getpid()}")
    scratch.unlink(missing_ok=True)
    try:
        scratch.symlink_to(stub)
    except (OSError, NotImplementedError):
        shutil.copy2(stub, scratch)
    scratch.replace(place)
