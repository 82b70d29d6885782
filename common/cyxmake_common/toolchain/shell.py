"""Splits a ninja command string into the argument list that `/bin/sh -c` would run.

Knows no shell beyond words and quoting: whatever needs a real one is refused with the reason, so
that an accepted list is exactly what the shell would have passed on.
"""

from __future__ import annotations

import re
from typing import Final

from cyxmake_common.toolchain.local import LocalOnly

# Characters that mean themselves wherever they stand; most commands hold nothing else.
_SIMPLE: Final = re.compile(r"[\w\-+./,:@%^\] \t=]*\Z")
_BLANKS: Final = re.compile(r"[ \t]+")

# One piece of a word. Order matters: what is refused comes last, as "anything else".
_PIECE: Final = re.compile(
    r"""(?P<blank>[ \t]+)
    |(?P<plain>[^ \t\n\0"'\\|&;<>()$`*?\[\#~{]+)
    |'(?P<single>[^'\0]*)'
    |"(?P<double>(?:[^"\\$`\0]|\\[^\0])*)"
    |(?P<joined>\\\n)
    |\\(?P<escaped>[^\0])
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_DOUBLE_ESCAPE: Final = re.compile(r'\\(?:([$`"\\])|\n)')
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=", re.ASCII)
_RESERVED_WORDS: Final = (
    "! { } [[ case do done elif else esac fi for function if in select then time until while"
)
_RESERVED: Final = frozenset(_RESERVED_WORDS.split())
_REASONS: Final = {
    "|": "a pipe or list operator",
    "&": "a list operator or background job",
    ";": "a list of commands",
    "<": "a redirection",
    ">": "a redirection",
    "(": "a subshell",
    ")": "a subshell",
    "$": "an expansion",
    "`": "a command substitution",
    "*": "a file name pattern",
    "?": "a file name pattern",
    "[": "a file name pattern",
    "{": "a brace expansion or group",
    "\n": "several lines",
    "\0": "a NUL character",
    "'": "an unclosed quote",
    '"': "an unclosed quote or an expansion in quotes",
    "\\": "a trailing backslash",
}


def split_command(text: str) -> list[str] | LocalOnly:
    """Return the words of a command, or the reason why only a shell can run it."""
    if _SIMPLE.match(text) and text.isascii():
        words = _BLANKS.split(text.strip(" \t"))
        return _checked(words, words[0])
    return _split(text)


def split_chain(text: str) -> list[list[str]] | LocalOnly:
    """Return the commands of `a && b && c`, without those that are only `:`.

    The shell runs each one when all before it succeeded; anything else of a shell is refused.
    """
    commands: list[list[str]] = []
    for part in _parts(text):
        words = split_command(part)
        if isinstance(words, LocalOnly):
            return words
        if words != [":"]:
            commands.append(words)
    return commands


def _parts(text: str) -> list[str]:
    """Cut a text at every `&&` that no quote holds."""
    if "&&" not in text:
        return [text]
    parts: list[str] = []
    start, previous = 0, -2
    for match in _PIECE.finditer(text):
        if match.lastgroup != "other" or match[0] != "&":
            continue
        if match.start() == previous + 1:
            parts.append(text[start:previous])
            start, previous = match.end(), -2
        else:
            previous = match.start()
    return [*parts, text[start:]]


def _split(text: str) -> list[str] | LocalOnly:
    words: list[str] = []
    word: str | None = None
    first_as_written = ""
    for match in _PIECE.finditer(text):
        kind, piece = match.lastgroup, match[0]
        if kind == "blank":
            if word is not None:
                words.append(word)
            word = None
            continue
        if kind == "joined":
            # A backslash and a newline vanish, even in the middle of a word.
            continue
        if kind == "other":
            # A hash or a tilde means itself except where a word begins.
            if word is None or piece not in "#~":
                return LocalOnly(f"needs a shell: {_refusal(piece)}")
            word += piece
        else:
            word = (word or "") + _unquoted(match, kind)
        if not words:
            first_as_written += piece
    if word is not None:
        words.append(word)
    return _checked(words, first_as_written)


def _unquoted(match: re.Match[str], kind: str | None) -> str:
    if kind == "double":
        return _DOUBLE_ESCAPE.sub(lambda escape: escape[1] or "", match["double"])
    return match[kind] if kind else ""


def _refusal(character: str) -> str:
    if character == "#":
        return "a comment"
    if character == "~":
        return "a home directory"
    return _REASONS.get(character, f"the character {character!r}")


def _checked(words: list[str], first: str) -> list[str] | LocalOnly:
    """Refuse what is special about the first word: `first` is that word as it was written."""
    if not words or not words[0]:
        return LocalOnly("needs a shell: the command is empty")
    if _ASSIGNMENT.match(first):
        return LocalOnly("needs a shell: an assignment before the command")
    if first in _RESERVED:
        return LocalOnly(f"needs a shell: the reserved word {first!r}")
    return words
