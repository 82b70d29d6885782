"""Chooses among the packages that own a file of the right name.

Knows paths and package names only. The order: what lies where a compiler looks, in fewest
directories more than asked for, in a development package, of this system and not for another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from cyxmake_cli.knowledge.names import Name, NameKind

_FOREIGN: Final = re.compile(
    r"-(?:cross|arm64|armhf|armel|i386|amd64|mips\w*|riscv64|ppc64(?:el)?|powerpc\w*|s390x|sparc64|"
    r"hppa|alpha|m68k|sh4|x32|hurd|loong64|arc|mingw-w64\w*)(?:-cross|-dev|$)|-cross$|klibc|dietlibc|"
    r"^mingw|^gcc-arm-none|^avr-|^libnewlib|^picolibc|^musl|emscripten|^android-|^google-android|"
    r"^kali-|-dbg$|-dbgsym$|^linux-headers|^linux-libc-dev-|uclibc|^binutils-\w+-|^gcc-\d+-\w+-linux"
)
_ASIDE: Final = re.compile(
    r"doc|example|/share/(?!pkgconfig|cmake|perl5|aclocal|nodejs)|/games?/|src-|-source|/gcc/|"
    r"/debug/|/test"
)


@dataclass(frozen=True, slots=True)
class Owned:
    """A file in an index, and the package that has it."""

    path: str
    package: str


def base_names(name: Name) -> list[str]:
    """Return the file names, without directories, that a name may stand for."""
    text = name.text
    match name.kind:
        case NameKind.HEADER | NameKind.RUNTIME | NameKind.COMMAND:
            return [PurePosixPath(text).name]
        case NameKind.LIBRARY:
            stem = re.sub(r"\.(?:lib|dll|a)$", "", text)
            return [f"lib{stem}.so", f"lib{stem}.a"]
        case NameKind.PKG_CONFIG:
            return [f"{text}.pc"]
        case NameKind.CMAKE:
            return [f"{text}Config.cmake", f"{text.lower()}-config.cmake", f"{text}-config.cmake"]
        case NameKind.PYTHON:
            top = text.split(".")[0]
            return [f"{top}/__init__.py", f"{top}.py"]
        case NameKind.PERL:
            return [PurePosixPath(text.replace("::", "/")).name.removesuffix(".pm") + ".pm"]
        case _:
            return []


def best_packages(name: Name, owned: list[Owned]) -> list[str]:
    """Return the packages that have what a name stands for, best first."""
    ranked: dict[str, tuple[object, ...]] = {}
    for file in owned:
        if (score := _score(name, file)) is not None:
            ranked[file.package] = min(score, ranked.get(file.package, score))
    return sorted(ranked, key=lambda package: (ranked[package], package))


def _score(name: Name, file: Owned) -> tuple[int, int, int, int, int] | None:
    parts = file.path.split("/")
    if _FOREIGN.search(file.package) or not _fits(name, file.path):
        return None
    develops = name.kind in _FOR_DEVELOPMENT
    return (
        int(bool(_ASIDE.search(file.path))),
        _extra(name, parts),
        int(develops and not file.package.endswith("-dev")),
        len(re.findall(r"\d", file.package.removesuffix("-dev"))),
        len(file.package),
    )


_FOR_DEVELOPMENT: Final = {
    NameKind.HEADER, NameKind.LIBRARY, NameKind.PKG_CONFIG, NameKind.CMAKE,
}  # fmt: skip


def _fits(name: Name, path: str) -> bool:
    text = name.text
    match name.kind:
        case NameKind.HEADER:
            return path.endswith("/" + text) and "include/" in path
        case NameKind.COMMAND:
            return bool(re.fullmatch(r"(?:usr/)?s?bin/[^/]+|usr/games/[^/]+", path))
        case NameKind.LIBRARY | NameKind.RUNTIME:
            return bool(re.match(r"(?:usr/)?lib(?:32|64)?/", path))
        case NameKind.PYTHON:
            top = text.split(".")[0]
            return bool(
                re.fullmatch(
                    rf"usr/lib/python3[\w.]*(?:/dist-packages)?/{re.escape(top)}(?:/__init__)?\.py",
                    path,
                )
            )
        case NameKind.PERL:
            wanted = text.replace("::", "/").removesuffix(".pm") + ".pm"
            return "/perl" in path and path.endswith("/" + wanted)
        case _:
            return True


def _extra(name: Name, parts: list[str]) -> int:
    """Count the directories between where tools look and what was asked for."""
    if name.kind is NameKind.HEADER:
        after = parts[parts.index("include") + 1 :] if "include" in parts else parts
        own = [part for part in after if not re.fullmatch(r"[\w]+-linux-gnu\w*|c\+\+|\d+", part)]
        return max(0, len(own) - len(PurePosixPath(name.text).parts))
    if name.kind in (NameKind.LIBRARY, NameKind.RUNTIME):
        after = parts[parts.index("lib") + 1 :] if "lib" in parts else parts
        return len([part for part in after if not re.fullmatch(r"[\w]+-linux-gnu\w*", part)]) - 1
    if name.kind is NameKind.PERL:
        after = [
            part for part in parts[3:] if not re.fullmatch(r"perl5?|[\d.]+|[\w]+-linux-gnu", part)
        ]
        return len(after) - len(name.text.replace("::", "/").split("/"))
    return 0
