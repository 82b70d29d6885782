"""Makes the files of unpacked packages right for where they stand: links, texts, programs.

Packages name their own files by where an installation would put them. What names a file that the
layer has is changed to name that one; what names anything else keeps meaning the system's. Knows
nothing of archives.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cyxmake_common.toolchain.libraries import is_elf, read_program

_MERGED: Final = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""Directories of the root that are links into `usr` on today's systems."""
_PROGRAMS: Final = ("usr/bin", "usr/sbin", "usr/games", "usr/local/bin")
_TEXTS: Final = (".pc", ".cmake", ".la", ".prl", ".pri")
_MOST_TEXT: Final = 4 << 20
_PATH: Final = re.compile(
    rb"(?:(?<![\w.}~@/+-])|(?<=-[IL]))/(?:usr|lib\w*|bin|sbin|etc)(?:/[\w.+@%~-]+)*(?!\w)"
)
_HIDDEN: Final = ".cyxmake-"


def relocate(tree: Path, final: str) -> None:
    """Change an unpacked tree that will stand at `final`; raises OSError."""
    _merge_usr(tree)
    present = frozenset(_names(tree))
    for name in sorted(present):
        path = tree / name
        if path.is_symlink():
            _fix_link(tree, name)
        elif path.is_file():
            _plain_mode(path)
            if _is_text(path, name):
                _fix_text(path, final, present)
    _wrap_programs(tree, final)


def names_of_files(tree: Path) -> list[str]:
    """Return the files of a tree, and links, named relative to it."""
    paths = ((name, tree / name) for name in _names(tree))
    return [name for name, path in paths if path.is_symlink() or not path.is_dir()]


def _names(tree: Path) -> Iterator[str]:
    """Yield everything below a tree: files, links, directories; links are not followed."""
    for folder, folders, files in os.walk(tree):
        below = os.path.relpath(folder, tree)
        for name in (*folders, *files):
            yield name if below == "." else f"{below}/{name}"


def _merge_usr(tree: Path) -> None:
    for name in _MERGED:
        old = tree / name
        if old.is_dir() and not old.is_symlink():
            _move_into(old, tree / "usr" / name)


def _move_into(old: Path, new: Path) -> None:
    new.mkdir(parents=True, exist_ok=True)
    for entry in sorted(old.iterdir()):
        target = new / entry.name
        if entry.is_dir() and not entry.is_symlink() and target.is_dir():
            _move_into(entry, target)
        elif target.is_symlink() or target.exists():
            entry.unlink()
        else:
            entry.rename(target)
    shutil.rmtree(old)


def _merged(path: str) -> str:
    """Return the name relative to a tree of an absolute path, links into `usr` followed."""
    name = os.path.normpath(path).lstrip("/")
    return f"usr/{name}" if name.partition("/")[0] in _MERGED else name


def _fix_link(tree: Path, name: str) -> None:
    """Let a link lead to the layer's file where it has one, else to the system's."""
    link = tree / name
    target = str(link.readlink())
    folder = "/" + name.rpartition("/")[0]
    place = _merged(os.path.join(folder, target))  # noqa: PTH118 - pure text
    if os.path.lexists(tree / place):
        right = os.path.relpath("/" + place, folder)
    elif os.path.lexists("/" + place):
        right = "/" + place
    else:
        return
    if right != target:
        link.unlink()
        link.symlink_to(right)


def _plain_mode(path: Path) -> None:
    """Drop rights that only an installation by root would mean."""
    mode = path.stat().st_mode
    wanted = (stat.S_IMODE(mode) & 0o777) | stat.S_IRUSR | stat.S_IWUSR
    if wanted != stat.S_IMODE(mode):
        path.chmod(wanted)


# ── texts ───────────────────────────────────────────────────────────────────────────────────────


def _is_text(path: Path, name: str) -> bool:
    """Tell whether a file is one of those that tools read paths from."""
    if path.stat().st_size > _MOST_TEXT:
        return False
    if name.endswith(_TEXTS):
        return True
    program = name.rpartition("/")[0] in _PROGRAMS
    script = ".so" in name or name.endswith(".a")  # a linker script in a library's place
    if not program and not script:
        return False
    with path.open("rb") as file:
        head = file.read(4)
    return head[:2] == b"#!" if program else head not in (b"\x7fELF", b"!<ar", b"!<th")


def _fix_text(path: Path, final: str, present: frozenset[str]) -> None:
    before = path.read_bytes()
    after = rewritten(before, final, present)
    if after != before:
        path.write_bytes(after)


def rewritten(text: bytes, final: str, present: frozenset[str]) -> bytes:
    """Return a text in which paths of files that a layer has (`present`) begin with `final`."""

    def change(match: re.Match[bytes]) -> bytes:
        found = match[0].decode("utf-8", "surrogateescape")
        bare = found.rstrip(".")  # the end of a sentence
        name = _merged(bare)
        if name not in present:
            return match[0]
        return f"{final}/{name}{found[len(bare) :]}".encode("utf-8", "surrogateescape")

    return _PATH.sub(change, text)


# ── programs ────────────────────────────────────────────────────────────────────────────────────


def _wrap_programs(tree: Path, final: str) -> None:
    """Let programs that load libraries of the layer find them, and no other program.

    A variable for the whole build would reach the compilers as well.
    """
    libraries = sorted(
        {name.rpartition("/")[0] for name in _names(tree) if re.search(r"/lib[^/]+\.so", name)}
    )
    search = [f"{final}/{folder}" for folder in libraries if folder.startswith("usr/lib")]
    for folder in _PROGRAMS:
        place = tree / folder
        if not search or not place.is_dir():
            continue
        for path in sorted(place.iterdir()):
            if not path.is_symlink() and is_elf(str(path)) and _needs(path, tree, libraries):
                hidden = path.with_name(f"{_HIDDEN}{path.name}")
                path.rename(hidden)
                path.write_text(_wrapper(f"{final}/{folder}/{hidden.name}", search), "utf-8")
                path.chmod(0o755)


def _needs(program: Path, tree: Path, libraries: list[str]) -> bool:
    try:
        needed = read_program(str(program)).needed
    except ValueError:
        return False
    return any(os.path.lexists(tree / folder / name) for name in needed for folder in libraries)


def _wrapper(program: str, search: list[str]) -> str:
    """Return a script that runs a program with the layer's libraries in front."""
    folders = shlex.quote(":".join(search))
    return (
        "#!/bin/sh\n"
        f"LD_LIBRARY_PATH={folders}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\n"
        "export LD_LIBRARY_PATH\n"
        f'exec {shlex.quote(program)} "$@"\n'
    )
