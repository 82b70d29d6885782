"""Pre-images: what stood at some paths before a fix, and putting exactly that back.

Knows nothing of fixes. Nothing is ever deleted that is not the same as a copy, or as the fix left
it: whatever else stands in the way of what was there before is moved aside.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from cyxmake_common.errors import ProjectError

MOST_BYTES: Final = 1 << 30
"""Of one place; a fix that would have to keep more is not made."""
_ABSENT: Final = "absent"
_MODE_ALONE: Final = "mode "


@dataclass(frozen=True, slots=True)
class Before:
    """What stood at a path: `digest` covers contents, modes and links of everything below.

    `volatile`: builds go on writing there, so it is put back whatever stands there by then.
    """

    path: str
    digest: str
    copy: str
    volatile: bool = False
    mtime_ns: int = 0
    """Of a file alone; a directory's time changes with what is done in it."""

    @staticmethod
    def of(value: dict[str, Any]) -> Before:
        """Return what a journal says of a path."""
        return Before(
            str(value["path"]),
            str(value["digest"]),
            str(value["copy"]),
            bool(value["volatile"]),
            int(value["mtime_ns"]),
        )

    def as_json(self) -> dict[str, Any]:
        """Return it for the journal."""
        return asdict(self)


def take(paths: Iterable[tuple[str, bool]], store: Path) -> tuple[Before, ...]:
    """Copy what stands at paths, each with whether it is volatile; raises OSError, ProjectError."""
    found = []
    for number, (path, volatile) in enumerate(dict(paths).items()):
        name = f"{number:04}"
        if os.path.lexists(path):
            if (size := _size(path)) > MOST_BYTES:
                raise ProjectError(
                    f"{path} holds {size >> 20} MB: too much to be kept for an undo",
                    next_step="make this change yourself",
                )
            store.mkdir(parents=True, exist_ok=True)
            if not _hidden(path):
                _copy(path, str(store / name))
        found.append(Before(path, digest_of(path), name, volatile, _mtime(path)))
    return tuple(found)


def digest_of(path: str) -> str:
    """Return one digest of what stands at a path; of nothing, a word."""
    if not os.path.lexists(path):
        return _ABSENT
    if _hidden(path):
        return f"{_MODE_ALONE}{stat.S_IMODE(os.lstat(path).st_mode):o}"
    hashing = hashlib.sha256()
    for name in _walk(path):
        found = os.lstat(name)
        kind = stat.S_IFMT(found.st_mode)
        below = os.path.relpath(name, path)
        hashing.update(f"{below}\0{kind}\0{stat.S_IMODE(found.st_mode)}\0".encode(errors="replace"))
        if stat.S_ISLNK(found.st_mode):
            hashing.update(os.fsencode(Path(name).readlink()))
        elif stat.S_ISREG(found.st_mode):
            with open(name, "rb") as file:  # noqa: PTH123 - a plain path
                hashing.update(hashlib.file_digest(file, "sha256").digest())
        hashing.update(b"\0")
    return hashing.hexdigest()


def _hidden(path: str) -> bool:
    """Tell whether a file may not be read: of such a one the mode alone can be changed."""
    return Path(path).is_file() and not os.access(path, os.R_OK)


def _mtime(path: str) -> int:
    found = os.lstat(path) if os.path.lexists(path) else None
    return found.st_mtime_ns if found is not None and stat.S_ISREG(found.st_mode) else 0


def put_back(
    befores: Iterable[Before], after: dict[str, str], store: Path, *, interrupted: bool
) -> list[str]:
    """Put back what stood at paths before; returns the paths that were left as they are.

    A path whose digest is not in `after` was changed by somebody else since, and stays, unless it
    is volatile or the fix was `interrupted` before it was known what it leaves. Can be repeated.
    Raises OSError.
    """
    left = []
    for before in reversed(tuple(befores)):
        now = digest_of(before.path)
        if now == before.digest:
            _set_time(before)
            continue
        known = after.get(before.path)
        if now not in (known, _ABSENT) and not before.volatile and not interrupted:
            left.append(before.path)
            continue
        if before.digest.startswith(_MODE_ALONE) and now != _ABSENT:
            Path(before.path).chmod(int(before.digest.removeprefix(_MODE_ALONE), 8))
            continue
        if now != _ABSENT:
            _out_of_the_way(before.path, store, keep=now != known)
        if before.digest != _ABSENT:
            copy = store / before.copy
            Path(before.path).parent.mkdir(parents=True, exist_ok=True)
            _move(str(copy), before.path)
    return left


def _set_time(before: Before) -> None:
    if before.mtime_ns and _mtime(before.path) != before.mtime_ns:
        os.utime(before.path, ns=(before.mtime_ns, before.mtime_ns))


def _out_of_the_way(path: str, store: Path, *, keep: bool) -> None:
    """Move what nobody has a copy of aside; remove what the fix itself made."""
    if keep:
        aside = store / "replaced"
        aside.mkdir(parents=True, exist_ok=True)
        number = sum(1 for _ in aside.iterdir())
        _move(path, str(aside / f"{number:04}"))
    elif Path(path).is_dir() and not Path(path).is_symlink():
        shutil.rmtree(path)
    else:
        Path(path).unlink()


def _move(source: str, target: str) -> None:
    """Rename, or copy where another disk is; what it says of itself comes along."""
    try:
        os.replace(source, target)  # noqa: PTH105 - plain paths
    except OSError:
        scratch = f"{target}.cyxmake-{os.getpid()}"
        _copy(source, scratch)
        os.replace(scratch, target)  # noqa: PTH105
        if Path(source).is_dir() and not Path(source).is_symlink():
            shutil.rmtree(source)
        else:
            Path(source).unlink()


def _copy(source: str, target: str) -> None:
    if Path(source).is_dir() and not Path(source).is_symlink():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target, follow_symlinks=False)
        if not Path(target).is_symlink():
            with open(target, "rb") as file:  # noqa: PTH123
                os.fsync(file.fileno())


def _size(path: str) -> int:
    total = 0
    for name in _walk(path):
        with contextlib.suppress(OSError):
            total += os.lstat(name).st_size
    return total


def _walk(path: str) -> list[str]:
    """Return a path and everything below it, sorted; links are not followed."""
    found = [path]
    if Path(path).is_dir() and not Path(path).is_symlink():
        for folder, folders, names in os.walk(path):
            folders.sort()
            found.extend(os.path.join(folder, n) for n in (*folders, *names))  # noqa: PTH118
    return sorted(found)
