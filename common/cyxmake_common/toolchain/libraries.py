"""Finds the shared libraries that programs load, by reading their ELF headers.

Runs nothing: `ldd` would execute the program. Follows the dynamic loader's order as far as it
depends on files: RPATH, RUNPATH, the directories of ld.so.conf, the loader's own directories.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from elftools.elf.dynamic import DynamicTag
    from elftools.elf.elffile import ELFFile

_DEFAULT: Final = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")
_CACHE: Final = "/etc/ld.so.cache"
_CONFIG: Final = "/etc/ld.so.conf"


@dataclass(frozen=True, slots=True)
class Program:
    """What the loader reads from one ELF file; `machine` keeps other processors' libraries out.

    `inherited` is the part of `search` that also holds for the libraries it loads (RPATH).
    """

    machine: tuple[str, int]
    interpreter: str | None
    needed: tuple[str, ...]
    search: tuple[str, ...]
    inherited: tuple[str, ...] = ()


def is_elf(path: str) -> bool:
    """Tell whether a file is a program or library for this kind of system."""
    try:
        with Path(path).open("rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def read_program(path: str) -> Program:
    """Read one ELF file; raises OSError, and ValueError when it is damaged."""
    # Loaded here because a warm build captures nothing and should not wait for it.
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with Path(path).open("rb") as file:
            return _read(ELFFile(file), str(Path(path).resolve().parent))
    except ELFError as error:
        raise ValueError(f"{path} is no ELF file: {error}") from error


def _read(elf: ELFFile, origin: str) -> Program:
    from elftools.elf.dynamic import DynamicSegment
    from elftools.elf.segments import InterpSegment

    interpreter: str | None = None
    needed: list[str] = []
    run_path: list[str] = []
    old_path: list[str] = []
    for segment in elf.iter_segments():
        if isinstance(segment, InterpSegment):
            interpreter = str(segment.get_interp_name())
        elif isinstance(segment, DynamicSegment):
            for tag in segment.iter_tags():
                if tag.entry.d_tag == "DT_NEEDED":
                    needed.append(_text(tag, "needed"))
                elif tag.entry.d_tag == "DT_RUNPATH":
                    run_path += _text(tag, "runpath").split(":")
                elif tag.entry.d_tag == "DT_RPATH":
                    old_path += _text(tag, "rpath").split(":")
    search = tuple(
        entry.replace("$ORIGIN", origin).replace("${ORIGIN}", origin)
        for entry in (run_path or old_path)
        if entry
    )
    machine = (str(elf["e_machine"]), int(elf.elfclass))
    return Program(machine, interpreter, tuple(needed), search, () if run_path else search)


def _text(tag: DynamicTag, name: str) -> str:
    """Return a tag's string; the library sets these attributes as it reads."""
    return str(getattr(tag, name))


def libraries_of(
    programs: Iterable[str], library_path: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    """Return every file the loader needs for the programs, and the libraries not found.

    Its cache file is among them only when a library is found through nothing else, since it
    changes with every package that is installed. `library_path` is the caller's LD_LIBRARY_PATH:
    a library that is found there counts as not found, for no worker gets that variable.
    """
    configured = configured_directories()
    found: dict[str, None] = {}
    missing: dict[str, None] = {}
    todo: list[tuple[str, tuple[str, ...]]] = [(program, ()) for program in programs]
    seen: set[str] = set()
    while todo:
        path, inherited = todo.pop()
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        program = read_program(path)
        if program.interpreter:
            found[program.interpreter] = None
        for name in program.needed:
            library, by_cache = _find(name, program, (*program.search, *inherited), configured)
            if library is None or any(is_elf(f"{folder}/{name}") for folder in library_path):
                missing[name] = None
                continue
            if by_cache:
                found[_CACHE] = None
            for variant in (library, *_variants(library)):
                found[variant] = None
                todo.append((variant, (*inherited, *program.inherited)))
    return list(found), list(missing)


def _find(
    name: str, program: Program, own: Sequence[str], configured: list[str]
) -> tuple[str | None, bool]:
    if "/" in name:
        return (name if is_elf(name) else None), False
    builtin = _builtin_directories(program)
    for directory in (*own, *configured, *builtin):
        path = f"{directory}/{name}"
        if is_elf(path) and read_program(path).machine == program.machine:
            return path, directory not in own and directory not in builtin
    return None, False


def _variants(library: str) -> list[str]:
    """Return builds of a library for newer processors, which the loader would prefer there."""
    folder, _, name = library.rpartition("/")
    return sorted(glob.glob(f"{glob.escape(folder)}/glibc-hwcaps/*/{glob.escape(name)}"))  # noqa: PTH207


def _builtin_directories(program: Program) -> tuple[str, ...]:
    """Return where the loader looks by itself: its own folder, and the usual ones."""
    own: list[str] = []
    if program.interpreter:
        own.append(os.path.dirname(os.path.realpath(program.interpreter)))  # noqa: PTH120
    multiarch = sorted(glob.glob("/lib/*-linux-*")) + sorted(glob.glob("/usr/lib/*-linux-*"))  # noqa: PTH207
    return (*own, *multiarch, *_DEFAULT)


def configured_directories() -> list[str]:
    """Return the directories of ld.so.conf, in its order."""
    result: list[str] = []
    _read_config(_CONFIG, result, 0)
    return result


def _read_config(path: str, result: list[str], depth: int) -> None:
    if depth > 8:
        return
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        words = line.split("#", 1)[0].split()
        if len(words) == 2 and words[0] == "include":
            pattern = os.path.join(os.path.dirname(path), words[1])  # noqa: PTH118, PTH120
            for match in sorted(glob.glob(pattern)):  # noqa: PTH207
                _read_config(match, result, depth + 1)
        elif len(words) == 1 and words[0].startswith("/"):
            result.append(words[0].rstrip("/"))
