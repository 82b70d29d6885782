"""The commands of a CMake or Meson file: names, words and lines. A reader, not an interpreter.

Knows nothing of what they mean. Variables are filled in only as far as the same file sets them to
plain words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

_CMAKE_TOKEN: Final = re.compile(
    r"""\#\[(=*)\[.*?\]\1\] | \#[^\n]* | \[(=*)\[(.*?)\]\2\] | "((?:[^"\\]|\\.)*)" | [()]
        | [^\s()"\#]+ | \n""",
    re.DOTALL | re.VERBOSE,
)
_VARIABLE: Final = re.compile(r"\$\{([\w.+-]+)\}")
_MESON_CALL: Final = re.compile(r"\b(\w+)\s*\(")
_MESON_TOKEN: Final = re.compile(
    r"""\#[^\n]* | '''(.*?)''' | '((?:[^'\\\n]|\\.)*)' | (\w+)\s*: | [()\[\]] | \w+""",
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its name in lower case, its words, and by keyword those of Meson."""

    name: str
    words: tuple[str, ...]
    line: int
    named: Mapping[str, str]


def cmake_commands(text: str, variables: dict[str, str] | None = None) -> Iterator[Command]:
    """Yield the commands of a CMake file; `variables` are those of the files before, and grow."""
    known = {} if variables is None else variables
    name, line, depth = "", 0, 0
    words: list[str] = []
    number, last = 1, ("", 0)
    for match in _CMAKE_TOKEN.finditer(text):
        piece = match[0]
        here = number
        number += piece.count("\n")
        if piece == "\n" or piece.startswith("#"):
            continue
        if piece == "(":
            depth += 1
            if depth == 1:
                name, line, words = last[0].lower(), last[1], []
            continue
        if piece == ")":
            depth = max(0, depth - 1)
            if depth == 0 and name:
                if name == "set" and len(words) == 2:
                    known[words[0]] = words[1]
                elif name == "project" and words:
                    known["PROJECT_NAME"] = known["CMAKE_PROJECT_NAME"] = words[0]
                yield Command(name, tuple(words), line, {})
                name = ""
            continue
        if depth == 0:
            last = (piece, here)
            continue
        quoted = match[3] if match[3] is not None else match[4]
        word = piece if quoted is None else quoted
        words.append(_VARIABLE.sub(lambda m: known.get(m[1], m[0]), word))


def meson_calls(text: str, names: frozenset[str]) -> Iterator[Command]:
    """Yield the calls of some functions in a Meson file: strings in order, and keyword strings."""
    for call in _MESON_CALL.finditer(text):
        name = call[1]
        start = text.rfind("\n", 0, call.start()) + 1
        if name not in names or "#" in text[start : call.start()]:
            continue
        words: list[str] = []
        named: dict[str, str] = {}
        keyword, depth = "", 1
        for match in _MESON_TOKEN.finditer(text, call.end()):
            piece = match[0]
            if piece in "([":
                depth += 1
            elif piece in ")]":
                depth -= 1
                if depth == 0:
                    break
            elif match[3]:
                keyword = match[3]
            elif piece.startswith("#"):
                continue
            else:
                string = match[1] if match[1] is not None else match[2]
                if keyword:
                    named.setdefault(keyword, piece if string is None else string)
                elif string is not None:
                    words.append(string)
        yield Command(name, tuple(words), text.count("\n", 0, call.start()) + 1, named)
