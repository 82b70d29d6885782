"""Expands `@file` arguments as gcc and clang do.

Knows no files: a reader is passed in. The command is run in its original form with the files
shipped; the expansion only tells what it means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from cyxmake_common.toolchain.local import LocalOnly

Reader = Callable[[str], bytes | None]
"""Returns a file's bytes by its path as spelled, or None when it can't be read."""

_MAX_DEPTH: Final = 20
_WORD: Final = re.compile(r"""(?:[^\s"'\\]+|\\.|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")+""", re.DOTALL)
_PART: Final = re.compile(
    r"""([^\s"'\\]+)|\\(.)|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""", re.DOTALL
)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_LEFT_OVER: Final = re.compile(r"\S")


def no_files(path: str) -> bytes | None:
    """Read nothing: for commands that are known to have no response files."""
    del path
    return None


def expand(argv: Sequence[str], read: Reader) -> tuple[list[str], list[str]] | LocalOnly:
    """Return the arguments with response files replaced, and the paths of those files."""
    if not any(argument.startswith("@") for argument in argv):
        return list(argv), []
    words: list[str] = []
    files: list[str] = []
    problem = _expand_into(argv, read, words, files, 0)
    return problem or (words, files)


def _expand_into(
    argv: Sequence[str], read: Reader, words: list[str], files: list[str], depth: int
) -> LocalOnly | None:
    if depth > _MAX_DEPTH:
        return LocalOnly("response files are nested too deeply")
    for argument in argv:
        if len(argument) < 2 or argument[0] != "@":
            words.append(argument)
            continue
        data = read(argument[1:])
        if data is None:
            return LocalOnly(f"response file {argument[1:]} can't be read")
        files.append(argument[1:])
        inner = split_response(data)
        if isinstance(inner, LocalOnly):
            return inner
        if problem := _expand_into(inner, read, words, files, depth + 1):
            return problem
    return None


def split_response(data: bytes) -> list[str] | LocalOnly:
    """Return the words of a response file: blanks, both quotes, backslash before any character."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")) or b"\0" in data:
        return LocalOnly("a response file is not plain text")
    text = data.decode("utf-8", "surrogateescape")
    words = [_unquote(match[0]) for match in _WORD.finditer(text)]
    if _LEFT_OVER.search(_WORD.sub("", text)):
        return LocalOnly("a response file has an unclosed quote")
    return words


def _unquote(word: str) -> str:
    if not any(character in word for character in "\\\"'"):
        return word
    return "".join(
        part[1] or part[2] or _ESCAPE.sub(r"\1", part[3] or part[4] or "")
        for part in _PART.finditer(word)
    )
