"""Cuts Windows command lines and response files into words, by the rules of CommandLineToArgvW.

Knows no compiler and no file. Where programs disagree about a quote, it gives no answer but the
reason why the command must run here.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from typing import Final

from cyxmake_common.toolchain.local import LocalOnly
from cyxmake_common.toolchain.response import Reader

_BLANKS: Final = " \t\r\n"
_PROGRAM: Final = re.compile(r'(?:"([^"]+)"|([^\s"]+))(?=[ \t]|\Z)')
_TOKEN: Final = re.compile(r'(?P<slashes>\\*)(?P<quote>")|\\+|[^\\"]', re.DOTALL)
_MAX_DEPTH: Final = 20


def split_command(text: str) -> list[str] | LocalOnly:
    """Return the words of a whole command line; in the program's name no backslash escapes."""
    match = _PROGRAM.match(text)
    if match is None:
        return LocalOnly("the program of the command line is quoted in an unusual way")
    rest = split_words(text[match.end() :])
    return rest if isinstance(rest, LocalOnly) else [match[1] or match[2], *rest]


def split_words(text: str) -> list[str] | LocalOnly:
    r"""Return words: `\"` is a quote, 2N backslashes before a quote are N, others themselves."""
    words: list[str] = []
    word: str | None = None
    quoted = False
    for match in _TOKEN.finditer(text):
        token = match[0]
        if match["quote"] is not None:
            slashes = len(match["slashes"])
            word = (word or "") + "\\" * (slashes // 2)
            if slashes % 2:
                word += '"'
            elif quoted and text[match.end() : match.end() + 1] == '"':
                return LocalOnly(
                    "a quote is doubled within quotes, which programs read differently"
                )
            else:
                quoted = not quoted
        elif quoted or token not in _BLANKS:
            word = (word or "") + token
        elif word is not None:
            words.append(word)
            word = None
    if quoted:
        return LocalOnly("a quote is not closed")
    return words if word is None else [*words, word]


def expand_windows(
    argv: Sequence[str], read: Reader, *, nested: bool
) -> tuple[list[str], list[str]] | LocalOnly:
    """Return the words with `@file` replaced, and those files; `nested`: files may name others."""
    words: list[str] = []
    files: list[str] = []
    problem = _expand_into(argv, read, words, files, _MAX_DEPTH if nested else 1)
    return problem or (words, files)


def _expand_into(
    argv: Sequence[str], read: Reader, words: list[str], files: list[str], depth: int
) -> LocalOnly | None:
    for word in argv:
        if len(word) < 2 or word[0] != "@":
            words.append(word)
            continue
        if not depth:
            return LocalOnly("response files are nested too deeply")
        data = read(word[1:])
        if data is None:
            return LocalOnly(f"response file {word[1:]} can't be read")
        files.append(word[1:])
        text = decode_response(data)
        inner = text if isinstance(text, LocalOnly) else split_words(text)
        if isinstance(inner, LocalOnly):
            return inner
        if problem := _expand_into(inner, read, words, files, depth - 1):
            return problem
    return None


def decode_response(data: bytes) -> str | LocalOnly:
    """Return a response file's text: Unicode by its mark (as MSBuild writes it), or plain ASCII."""
    try:
        if data.startswith(codecs.BOM_UTF16_LE):
            return data[2:].decode("utf-16-le")
        if data.startswith(codecs.BOM_UTF8):
            return data[3:].decode("utf-8")
        text = data.decode("ascii")
    except UnicodeDecodeError:
        return LocalOnly("a response file is in a code page of its machine")
    return LocalOnly("a response file is not plain text") if "\0" in text else text
