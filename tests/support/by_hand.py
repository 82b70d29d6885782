"""Files written by hand in every place that a build, a repair or a clean might take for its own.

Knows no build system's rules: directories by the names that tools use, names that look like what
tools make, and a few beside everything that is there already.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

_BESIDE: Final = ("by_hand.o", "notes-by-hand.txt", "by_hand.c~", "libby_hand.a")
"""In every directory of a project."""
_AT_THE_TOP: Final = (
    ".cyxmake/by-hand.md", ".cyxmake/recovery/by-hand.txt", ".cyxmake/scratch/by-hand.txt",
    ".cache/by-hand.bin", ".config/by-hand.toml", ".deps/by_hand.Po", ".libs/by_hand.o",
    ".venv/by-hand.txt", "venv/lib/by_hand.py", "env/by-hand.cfg", "__pycache__/by_hand.pyc",
    "node_modules/by-hand/index.js", "node_modules/.bin/by-hand", "target/by-hand.txt",
    "target/classes/ByHand.class", "dist/by-hand.tar.gz", "out/by_hand.bin", "obj/by_hand.o",
    "a.out", "core", "by_hand.so", ".by-hand", "CMakeCache.txt.by-hand", "no ending by hand",
)  # fmt: skip
_IN_A_BUILD: Final = (
    "notes.md", "by_hand.o", "libby_hand.so.1", "CMakeFiles/by_hand.txt", "CMakeFiles/by_hand.o",
    "meson-private/by-hand.txt", "meson-logs/by-hand.txt", "by hand/deep/er/file.bin", ".by-hand",
)  # fmt: skip
"""In a directory that is built in."""
_NOT_WITHIN: Final = (".git", ".cyxmake", "CMakeScratch", "CMakeTmp", "pkgRedirects")
"""The last three CMake itself empties whenever it configures."""

Planted = dict[str, str]
"""Content, kind and rights, by the path below the project."""


def plant(root: Path, built_in: Iterable[str]) -> Planted:
    """Write the files; `built_in` are directories below the project that a build writes to.

    What stands there stays, and what is no directory becomes none.
    """
    # An empty directory may wait for a submodule, which goes into no other.
    folders = [
        Path(folder).relative_to(root)
        for folder, names, files in os.walk(root)
        if _within(names) and (names or files)
    ]
    wanted = [str(folder / name) for folder in folders for name in _BESIDE]
    wanted += _AT_THE_TOP
    wanted += [f"{folder}/{name}" for folder in built_in for name in _IN_A_BUILD]
    if (root / ".git").is_dir():
        wanted.append(".git/by-hand")
    return {name: what for name in wanted if (what := _write(root, name)) is not None}


def _within(names: list[str]) -> bool:
    names[:] = [name for name in names if name not in _NOT_WITHIN]
    return True


def _write(root: Path, name: str) -> str | None:
    path = root / name
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        return None
    if os.path.lexists(path):
        return None
    path.write_text(f"written by hand: {name}\n", "utf-8")
    path.chmod(0o640)
    owner = root.stat()
    for one in (path, *made):
        os.chown(one, owner.st_uid, owner.st_gid)
    return _look(path)


def _look(path: Path) -> str:
    try:
        seen = path.lstat()
    except OSError:
        return "gone"
    if not stat.S_ISREG(seen.st_mode):
        return f"{seen.st_mode:o}"
    return f"{seen.st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def harmed(root: Path, planted: Planted, told: Collection[str] = ()) -> list[str]:
    """Return the files that are not as they were; not those that are `told` of, or lie below."""
    return [
        name for name, what in planted.items()
        if _look(root / name) != what and not lies_below(name, told)
    ]  # fmt: skip


def lies_below(name: str, places: Collection[str]) -> bool:
    """Tell whether a path is one of some places, or below one."""
    return name in places or any(str(parent) in places for parent in Path(name).parents)
