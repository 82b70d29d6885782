"""Which files a person means: patterns of paths, as build tools have them: `*`, `?`, `[…]`, `**`.

Knows nothing of files; paths are relative and written with slashes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

_TOKEN: Final = re.compile(r"\*\*/|\*\*|\*|\?|\[[!^]?\]?[^\]/]*\]|.", re.DOTALL)
_WILD: Final = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def translate(pattern: str) -> str:
    """Return the regular expression of one pattern, for a full match.

    `**/` stands for any number of directories; a pattern that ends in a slash, for all below it.
    """
    if pattern.endswith("/"):
        pattern += "**"
    return "".join(_wild(token) for token in _TOKEN.findall(pattern))


def matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return the question whether a path matches one of the patterns."""
    expression = "|".join(f"(?:{translate(pattern)})" for pattern in patterns)
    if not expression:
        return lambda path: False
    compiled = re.compile(expression, re.DOTALL)
    return lambda path: compiled.fullmatch(path) is not None


def is_inside(path: str) -> bool:
    """Tell whether a relative path stays below its directory, whatever stands there."""
    return (
        bool(path)
        and not path.startswith("/")
        and "\0" not in path
        and "\\" not in path
        and all(part not in ("", ".", "..") for part in path.split("/"))
    )


def _wild(token: str) -> str:
    if token in _WILD:
        return _WILD[token]
    if token.startswith("[") and len(token) > 2:
        inner = token[1:-1].replace("\\", "\\\\").replace("[", "\\[").replace("&", "\\&")
        return "[^/" + inner[1:] + "]" if inner[0] in "!^" else "[" + inner + "]"
    return re.escape(token)
