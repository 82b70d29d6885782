r"""Reads the depfiles that gcc and clang write: which targets depend on which files.

Knows no files and no graph. Names are escaped as these compilers do it for make: `\ `, `\#` and
`$$`; a backslash at the end of a line joins it to the next.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_JOINED: Final = re.compile(rb"\\\r?\n")
# An odd number of backslashes makes a blank part of the name; after an even number the name ends.
_WORD: Final = re.compile(rb"(?:(?:\\\\)*\\[ \t]|\\+|[^ \t\\])+")
_ESCAPED: Final = re.compile(rb"(\\+)([ \t])|\\(\\*#)|\\(:)(?=.)|\$(\$)")


class DepfileError(ValueError):
    """The bytes are not a depfile."""


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Targets and prerequisites in the order written, each once.

    A target without prerequisites is not among the targets: it is a header's phony rule, from -MP.
    """

    targets: tuple[str, ...]
    prerequisites: tuple[str, ...]


def parse_depfile(data: bytes) -> Dependencies:
    """Read a depfile; raises DepfileError."""
    targets: dict[bytes, None] = {}
    prerequisites: dict[bytes, None] = {}
    for line in _JOINED.sub(b" ", data).splitlines():
        if not line.strip():
            continue
        left, right = _split_rule(line)
        if right:
            targets.update(dict.fromkeys(left))
            prerequisites.update(dict.fromkeys(right))
    return Dependencies(_texts(targets), _texts(prerequisites))


def _split_rule(line: bytes) -> tuple[list[bytes], list[bytes]]:
    """Cut one rule into its targets and its prerequisites."""
    plain = b"\\" not in line and b"$" not in line
    words = line.split() if plain else _WORD.findall(line)
    for position, word in enumerate(words):
        # A colon ends the targets only at the end of a word: `c:/x` and `a:b` are names.
        if word.endswith(b":") and not word.endswith(b"\\:"):
            left = words[:position] + ([word[:-1]] if word != b":" else [])
            right = words[position + 1 :]
            return (left, right) if plain else (_unescape(left), _unescape(right))
    raise DepfileError(f"no rule: {line[:80]!r}")


def _unescape(words: list[bytes]) -> list[bytes]:
    return [_ESCAPED.sub(_plain, word) for word in words]


def _plain(match: re.Match[bytes]) -> bytes:
    if match[1] is not None:
        return match[1][: len(match[1]) // 2] + match[2]
    return match[3] or match[4] or match[5]


def _texts(names: dict[bytes, None]) -> tuple[str, ...]:
    return tuple(name.decode("utf-8", "surrogateescape") for name in names)
