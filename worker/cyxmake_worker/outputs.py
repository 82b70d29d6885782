"""What a command left: finds its outputs in the upper layer and moves them into the store.

Knows nothing of verdicts. The tree may be hostile: directories are opened one by one without
following links, and only regular files are taken. No process of the command may live any more.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cyxmake_common.action import OutputFile, OutputSymlink
from cyxmake_common.cas.disk import DiskStore
from cyxmake_common.cas.disk_writer import in_thread
from cyxmake_common.compound import Wanted
from cyxmake_common.digest import Digest
from cyxmake_common.errors import SandboxError
from cyxmake_common.globs import is_inside, matcher
from cyxmake_worker.sandbox.base import Stamp
from cyxmake_worker.sandbox.own_tree import stamp

_DIRECTORY_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_FILE_FLAGS: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_PRODUCT_HEADS: Final = (
    b"!<arch>\n",
    b"!<thin>\n",
    b"MZ",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
)
_PRODUCT_NAMES: Final = (".jar", ".war", ".whl", ".tar.gz", ".tgz", ".zip", ".deb", ".rpm", ".wasm")
_HEAD: Final = 20
_SMALL_FILE: Final = 256 << 10
_MAX_FILES: Final = 1_000_000
_MAX_DEPTH: Final = 200
_KINDS: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True, slots=True)
class Found:
    """One regular file among the outputs; `path` as the result names it, `file` where it is."""

    path: str
    file: Path
    executable: bool


@dataclass(slots=True)
class Collection:
    """Everything that is at the output paths; `refused` are sentences for people."""

    files: list[Found] = field(default_factory=list)
    links: list[OutputSymlink] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def collect(upper: Path, places: Mapping[str, str]) -> Collection:
    """Find the outputs, given by their paths and their places in the upper layer.

    A directory counts as all regular files below it. Raises SandboxError when there are absurdly
    many.
    """
    found = Collection()
    for path, place in places.items():
        if ".." in place.split("/"):
            found.refused.append(f"{path} is no path of an output")
        else:
            _look(found, path, upper, place.strip("/"))
    return found


def collect_wanted(
    upper: Path, place: str, wanted: Wanted, laid: Mapping[str, Stamp]
) -> Collection:
    """Find what matches patterns below a directory of the upper layer, given by its plain path.

    `laid` are files that were there before, by their paths below it: those left alone are none.
    Symbolic links count where they lead to a path below the directory. Raises SandboxError.
    """
    found = Collection()
    chosen, excluded = matcher(wanted.patterns), matcher(wanted.excluded)
    if os.open not in os.supports_dir_fd:
        _wanted_by_path(found, upper / place.strip("/"), wanted, laid)
        return found

    def walk(directory: int, file: Path, prefix: str, depth: int) -> None:
        for name in sorted(os.listdir(directory)):
            path = prefix + name
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                if depth < _MAX_DEPTH and not excluded(path + "/"):
                    with suppress(PermissionError):
                        os.chmod(name, 0o700, dir_fd=directory)
                    inner = os.open(name, _DIRECTORY_FLAGS, dir_fd=directory)
                    try:
                        walk(inner, file / name, path + "/", depth + 1)
                    finally:
                        os.close(inner)
            elif not chosen(path) or excluded(path) or laid.get(path) == stamp(status):
                continue
            elif stat.S_ISLNK(status.st_mode):
                target = os.readlink(name, dir_fd=directory)
                if is_inside(os.path.normpath(f"{prefix}{target}")):
                    found.links.append(OutputSymlink(path, target))
            elif stat.S_ISREG(status.st_mode):
                if wanted.products:
                    with open(os.open(name, _FILE_FLAGS, dir_fd=directory), "rb") as opened:  # noqa: PTH123
                        if not _is_product(name, opened.read(_HEAD)):
                            continue
                found.files.append(Found(path, file / name, bool(status.st_mode & stat.S_IXUSR)))
                if len(found.files) > _MAX_FILES:
                    raise SandboxError(f"more than {_MAX_FILES} output files")

    descriptor = os.open(upper, _DIRECTORY_FLAGS)
    try:
        for part in filter(None, place.split("/")):
            inner = os.open(part, _DIRECTORY_FLAGS, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        walk(descriptor, upper / place.strip("/"), "", 0)
    except OSError as error:
        found.refused.append(f"{place}: {error.strerror}")
    finally:
        os.close(descriptor)
    found.links = [link for link in found.links if _leads_to(link, found)]
    return found


def _wanted_by_path(
    found: Collection, top: Path, wanted: Wanted, laid: Mapping[str, Stamp]
) -> None:
    """Find what matches, where directories cannot be opened; links of any kind are passed over.

    The tree is nobody's any more, so nothing changes.
    """
    chosen, excluded = matcher(wanted.patterns), matcher(wanted.excluded)
    pending = [(top, "")]
    while pending:
        directory, prefix = pending.pop()
        for file in sorted(directory.iterdir(), reverse=True):
            path, status = prefix + file.name, file.lstat()
            if stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", None):
                continue
            if stat.S_ISDIR(status.st_mode):
                if path.count("/") < _MAX_DEPTH and not excluded(path + "/"):
                    pending.append((file, path + "/"))
            elif not chosen(path) or excluded(path) or laid.get(path) == stamp(status):
                continue
            else:
                with file.open("rb") as opened:
                    if wanted.products and not _is_product(file.name, opened.read(_HEAD)):
                        continue
                found.files.append(Found(path, file, bool(status.st_mode & stat.S_IXUSR)))
                if len(found.files) > _MAX_FILES:
                    raise SandboxError(f"more than {_MAX_FILES} output files")


def _is_product(name: str, head: bytes) -> bool:
    """Tell whether a file is what people build for: a program, a library, an archive of code."""
    if head.startswith(b"\x7fELF"):
        return head[16:18] not in (b"\1\0", b"\0\1")  # a relocatable object is none
    return head.startswith(_PRODUCT_HEADS) or name.endswith(_PRODUCT_NAMES)


def _leads_to(link: OutputSymlink, found: Collection) -> bool:
    """Tell whether a link names something that comes back with it."""
    target = os.path.normpath(f"{os.path.dirname(link.path)}/{link.target}".lstrip("/"))  # noqa: PTH120
    return any(
        path == target or path.startswith(target + "/")
        for path in (*(f.path for f in found.files), *(other.path for other in found.links))
    )


def look_by_path(found: Collection, path: str, upper: Path, place: str) -> None:
    """Find a regular file at one output path, where directories cannot be opened.

    Links of any kind on the way are refused; the tree is nobody's any more, so nothing changes.
    """
    file = upper
    try:
        for part in place.split("/"):
            file = file / part
            status = file.lstat()
            if stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", None):
                found.refused.append(f"{path} is behind a link")
                return
        if stat.S_ISREG(status.st_mode):
            found.files.append(Found(path, file, bool(status.st_mode & stat.S_IXUSR)))
        else:
            found.refused.append(f"{path} is a directory")
    except (FileNotFoundError, NotADirectoryError):
        found.missing.append(path)


def _look(found: Collection, path: str, upper: Path, place: str) -> None:
    """Find what is at one output path."""
    if os.open not in os.supports_dir_fd:
        look_by_path(found, path, upper, place)
        return
    *parents, name = place.split("/")
    descriptor = os.open(upper, _DIRECTORY_FLAGS)
    try:
        for parent in parents:
            inner = os.open(parent, _DIRECTORY_FLAGS, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        _take(found, path, upper / place, descriptor, name, 0)
    except OSError as error:
        # ELOOP, ENOTDIR: the command put something else where a directory was.
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            found.missing.append(path)
        else:
            found.refused.append(f"{path}: {error.strerror}")
    finally:
        os.close(descriptor)


def _take(found: Collection, path: str, file: Path, directory: int, name: str, depth: int) -> None:
    """Take one entry of an open directory."""
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if stat.S_ISREG(status.st_mode):
        found.files.append(Found(path, file, bool(status.st_mode & stat.S_IXUSR)))
        if len(found.files) > _MAX_FILES:
            raise SandboxError(f"more than {_MAX_FILES} output files")
    elif stat.S_ISDIR(status.st_mode) and depth <= _MAX_DEPTH:
        with suppress(PermissionError):
            os.chmod(name, 0o700, dir_fd=directory)
        inner = os.open(name, _DIRECTORY_FLAGS, dir_fd=directory)
        try:
            for entry in sorted(os.listdir(inner)):  # noqa: PTH208 - of a descriptor
                _take(found, f"{path}/{entry}", file / entry, inner, entry, depth + 1)
        finally:
            os.close(inner)
    elif _is_whiteout(status):
        found.missing.append(path)
    else:
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "a directory too deep")
        found.refused.append(f"{path} is {kind}")


def _is_whiteout(status: os.stat_result) -> bool:
    """Tell whether this is how an overlay says that a file of a lower layer was removed."""
    return sys.platform != "win32" and stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


async def store_outputs(store: DiskStore, found: Collection) -> tuple[OutputFile, ...]:
    """Move the files into the store, by renaming; each digest is pinned once, for the caller to
    unpin.

    Raises StoreFull; what was pinned until then is unpinned.
    """
    outputs: list[OutputFile] = []
    try:
        for item in found.files:
            status = item.file.lstat()
            if status.st_size <= _SMALL_FILE:
                digest = _seal(item.file)
            else:
                digest = await in_thread(lambda file=item.file: _seal(file))  # type: ignore[misc]
            store.pin([digest])
            outputs.append(OutputFile(item.path, digest, item.executable))
            store.adopt(digest, item.file, 0)
    except BaseException:
        store.unpin([output.digest for output in outputs])
        raise
    return tuple(outputs)


def _seal(file: Path) -> Digest:
    """Make a file ours and read-only, without set-user-id; returns its digest."""
    if sys.platform != "win32" and os.geteuid() == 0:
        os.chown(file, 0, 0, follow_symlinks=False)
    file.chmod(0o444)
    return Digest.of_file(file)
