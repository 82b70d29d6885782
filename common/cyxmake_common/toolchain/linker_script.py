"""Finds the files that a linker script, or a thin archive, names.

Knows no files: bytes in, names out. A script that says more than it is read for is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from cyxmake_common.toolchain.local import LocalOnly

THIN: Final = b"!<thin>\n"
_HEADER_BYTES: Final = 60
_COMMENT: Final = re.compile(r"/\*.*?\*/", re.DOTALL)
_LIST: Final = re.compile(r"\b(?:INPUT|GROUP)\s*\(")
_INCLUDE: Final = re.compile(r"\bINCLUDE\s+\"?([^\s\";]+)")
_WORD: Final = re.compile(r"\"([^\"]*)\"|([^\s,()\"]+)|(\()|(\))")
_REFUSED: Final = re.compile(r"\b(SEARCH_DIR|STARTUP|OUTPUT|INSERT|PLUGIN)\b\s*\(?")
_DIGITS: Final = re.compile(rb"/(\d+)(?::\d+)?\Z")


@dataclass(frozen=True, slots=True)
class ScriptNames:
    """What a script names: files and `-l` names that it links, scripts that it includes."""

    inputs: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()


def script_names(data: bytes) -> ScriptNames | LocalOnly:
    """Read a linker script."""
    if b"\0" in data:
        return LocalOnly("an input is of a kind that is not known")
    text = _COMMENT.sub(" ", data.decode("utf-8", "surrogateescape"))
    if refused := _REFUSED.search(text):
        return LocalOnly(f"a linker script uses {refused[1]}")
    inputs: dict[str, None] = {}
    for start in _LIST.finditer(text):
        depth = 1
        for word in _WORD.finditer(text, start.end()):
            if word[3] or word[4]:
                depth += 1 if word[3] else -1
                if depth == 0:
                    break
                continue
            name = word[1] if word[1] is not None else word[2]
            if name != "AS_NEEDED":
                inputs[name] = None
    return ScriptNames(tuple(inputs), tuple(dict.fromkeys(_INCLUDE.findall(text))))


def thin_members(data: bytes) -> tuple[str, ...] | LocalOnly:
    """Return the paths that a thin archive names, relative to its folder."""
    position, names, found = len(THIN), b"", dict[str, None]()
    while position + _HEADER_BYTES <= len(data):
        header = data[position : position + _HEADER_BYTES]
        position += _HEADER_BYTES
        name, size = header[:16].rstrip(b" "), header[48:58].strip()
        if header[58:] != b"`\n" or not size.isdigit():
            return LocalOnly("a thin archive is damaged")
        if name in (b"/", b"//", b"/SYM64/"):
            if name == b"//":
                names = data[position : position + int(size)]
            position += int(size) + int(size) % 2
            continue
        if place := _DIGITS.match(name):
            name = names[int(place[1]) :].partition(b"\n")[0]
        found[name.removesuffix(b"/").decode("utf-8", "surrogateescape")] = None
    if position != len(data):
        return LocalOnly("a thin archive is damaged")
    return tuple(found)
