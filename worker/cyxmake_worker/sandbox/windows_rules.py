"""Which compiles give the same bytes on Windows as on the client's system, and what to mend.

Knows no files and no processes. The list of options is what was seen to be exact; debug information
holds the working directory, coverage and profiles hold paths, assembly has other ends of lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

DEPFILE: Final = ".cyxmake-read.d"
"""The depfile of our own, in the working directory, where a command writes none."""

_COMPILERS: Final = ("cc", "c++", "clang")
_SOURCES: Final = (".c", ".cc", ".cpp", ".cxx", ".c++")
_WITH_VALUE: Final = frozenset(
    ("-o", "-I", "-D", "-U", "-x", "-target", "-isystem", "-iquote", "-idirafter", "-include",
     "-MF", "-MT", "-MQ")
)  # fmt: skip
_PLAIN: Final = frozenset(
    ("-c", "-g0", "-nostdinc", "-nostdinc++", "-w", "-ansi", "-pedantic", "-pedantic-errors",
     "-pthread", "-MD", "-MP")
)  # fmt: skip
_STARTS: Final = (
    "-I", "-D", "-U", "-O", "-W", "-std=", "--target=", "-isystem", "-iquote", "-idirafter",
    "-m", "-MF", "-MT", "-MQ",
    "-fPIC", "-fpic", "-fPIE", "-fpie", "-fvisibility", "-fomit-frame-pointer",
    "-fstrict-aliasing", "-fwrapv", "-ffast-math", "-fsigned-char", "-funsigned-char",
    "-fexceptions", "-frtti", "-fcommon", "-ffunction-sections", "-fdata-sections",
    "-fstack-protector", "-fasynchronous-unwind-tables", "-funwind-tables", "-ffreestanding",
    "-fhosted", "-fbuiltin", "-fshort-enums", "-ftrapv", "-fno-",
)  # fmt: skip
_NEVER: Final = ("-Wp,", "-Wa,", "-Wl,", "-mllvm", "-MMD", "-fno-integrated-as", "-isystem-after")
_BACKSLASH: Final = re.compile(rb"\\(?![\n #$\\])")


def refusal(arguments: Sequence[str]) -> str:
    """Return why a command line is not run on Windows, empty if it is exact there.

    The words are the tool's, its mode (`cc`, `clang`), then the command's own.
    """
    if len(arguments) < 2 or arguments[1] not in _COMPILERS:
        return "only compiles by a tool that is proven there run on Windows"
    words, options, sources = iter(arguments[2:]), set(), []
    for word in words:
        if word in _WITH_VALUE:
            if next(words, None) is None:
                return f"{word} has no value"
        elif word.startswith("@"):
            return "response files are read differently on Windows"
        elif not word.startswith("-"):
            sources.append(word)
        elif word.startswith(_NEVER) or not (word in _PLAIN or word.startswith(_STARTS)):
            return f"{word} is not proven on Windows"
        options.add(word)
    if "-c" not in options:
        return "only compiles run on Windows"
    if len(sources) != 1 or not sources[0].endswith(_SOURCES):
        return "only one source in C or C++ is compiled on Windows"
    if "-MD" in options and not _depfile(arguments):
        return "a depfile without -MF is not looked for on Windows"
    if arguments[1] != "clang" and "-g0" not in options:
        return "debug information holds the place: without -g0 zig writes it"
    return ""


def with_depfile(arguments: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Return a command that was not refused so that it tells what it reads, and where."""
    if "-MD" in arguments:
        return tuple(arguments), _depfile(arguments)
    tool, mode, *rest = arguments
    return (tool, mode, "-MD", "-MF", DEPFILE, *rest), DEPFILE


def _depfile(arguments: Sequence[str]) -> str:
    for word, value in pairwise(arguments):
        if word == "-MF":
            return value
    joined = [word[3:] for word in arguments if word.startswith("-MF") and len(word) > 3]
    return joined[-1] if joined else ""


def mended_depfile(data: bytes) -> bytes:
    """Return a depfile with the ends of lines and the separators that the client's compiler has."""
    return _BACKSLASH.sub(b"/", data.replace(b"\r\n", b"\n"))


def mended_text(data: bytes) -> bytes:
    """Return messages with the ends of lines that the client's compiler has."""
    return data.replace(b"\r\n", b"\n")


def shows_drive(data: bytes, letter: str) -> bool:
    """Tell whether bytes hold a path on our drive, which the client does not have."""
    low, high = letter.lower().encode(), letter.upper().encode()
    return any(drive + after in data for drive in (low, high) for after in (b":\\", b":/"))
