"""Gives a command a part of its input root as files of its own: writable, with their real times.

Knows nothing of what the files are. Tools that compare times, or write beside their sources, need
this; the layers themselves are shared and read-only.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from cyxmake_common.clock import wall
from cyxmake_common.errors import SandboxError
from cyxmake_worker.sandbox.base import OwnTree, Stamp

_EXECUTABLE: Final = 0o755
_PLAIN: Final = 0o644


def lay_own(
    own: OwnTree, layers: Sequence[Path], upper: Path, owner: tuple[int, int] | None
) -> dict[str, Stamp]:
    """Copy the tree into the upper layer; returns the stamp of each file by its path in the tree.

    `owner` gets the files, None leaves them ours. Raises SandboxError for a path that is none, or
    leads through a link: the tree is a client's.
    """
    source = _find(own.path, layers)
    target = _make(own.path, upper)
    shift = _shift(own.times)
    laid: dict[str, Stamp] = {}
    _give(target, owner)
    for place, directories, files in os.walk(source):
        inner = os.path.relpath(place, source)
        inner = "" if inner == "." else inner + "/"
        for name in directories:
            path = os.path.join(place, name)  # noqa: PTH118 - strings: once per entry
            there = f"{target}/{inner}{name}"
            if os.path.islink(path):  # noqa: PTH114
                _copy_link(path, there, owner)
                laid[inner + name] = stamp(os.lstat(there))
            else:
                os.mkdir(there)  # noqa: PTH102
                _give(there, owner)
        for name in files:
            path, there = f"{place}/{name}", f"{target}/{inner}{name}"
            if os.path.islink(path):  # noqa: PTH114
                _copy_link(path, there, owner)
                laid[inner + name] = stamp(os.lstat(there))
                continue
            shutil.copyfile(path, there)
            executable = os.stat(path).st_mode & stat.S_IXUSR  # noqa: PTH116
            os.chmod(there, _EXECUTABLE if executable else _PLAIN)  # noqa: PTH101
            if owner is not None:
                os.chown(there, *owner)
            if (time := own.times.get(inner + name)) is not None:
                os.utime(there, ns=(time - shift, time - shift))
            laid[inner + name] = stamp(os.lstat(there))
    return laid


def stamp(status: os.stat_result) -> Stamp:
    """Return what tells a file that was left alone from one that was written."""
    return status.st_ino, status.st_size, status.st_mtime_ns


def _shift(times: Mapping[str, int]) -> int:
    """Return by how much all times go back, so that none lies in the future of this machine."""
    latest = max(times.values(), default=0)
    return max(0, latest - int(wall() * 1e9))


def _find(path: str, layers: Sequence[Path]) -> str:
    for layer in layers:
        place = os.fspath(layer)
        for name in _names(path):
            place += "/" + name
            try:
                mode = os.lstat(place).st_mode
            except FileNotFoundError:
                break
            if not stat.S_ISDIR(mode):
                raise SandboxError(f"{path} is no plain directory of the input root")
        else:
            return place
    raise SandboxError(f"{path} is not in the input root")


def _make(path: str, upper: Path) -> str:
    place = os.fspath(upper)
    for name in _names(path):
        place += "/" + name
        with contextlib.suppress(FileExistsError):
            os.mkdir(place)  # noqa: PTH102
    return place


def _names(path: str) -> list[str]:
    names = path.strip("/").split("/")
    if any(name in ("", ".", "..") for name in names):
        raise SandboxError(f"{path!r} cannot be a tree of the action's own")
    return names


def _copy_link(path: str, there: str, owner: tuple[int, int] | None) -> None:
    os.symlink(os.readlink(path), there)  # noqa: PTH115, PTH211
    if owner is not None:
        os.lchown(there, *owner)


def _give(directory: str, owner: tuple[int, int] | None) -> None:
    os.chmod(directory, _EXECUTABLE)  # noqa: PTH101
    if owner is not None:
        os.chown(directory, *owner)
