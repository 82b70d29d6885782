"""Paths the way ninja spells them: canonical form, and quoting for a POSIX shell.

Knows nothing of the disk: symbolic links are not followed, `a/..` is simply dropped.
"""

from __future__ import annotations

import re
from typing import Final

_UNUSUAL: Final = re.compile(r"//|(?:^|/)\.{1,2}(?:/|$)|/$")
_SHELL_SAFE: Final = re.compile(r"[A-Za-z0-9_+\-./]*\Z")


def canonicalize(path: str) -> str:
    """Return the path without `.`, inner `..`, doubled and trailing slashes."""
    if _UNUSUAL.search(path) is None:
        return path
    root = "/" if path.startswith("/") else ""
    kept: list[str] = []
    poppable = 0
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part == "..":
            if poppable:
                kept.pop()
                poppable -= 1
                continue
        else:
            poppable += 1
        kept.append(part)
    return root + "/".join(kept) if kept else root or "."


def shell_quote(path: str) -> str:
    """Return the path quoted for `/bin/sh` exactly as ninja quotes `$in` and `$out`."""
    if _SHELL_SAFE.match(path):
        return path
    return "'" + path.replace("'", "'\\''") + "'"


def encode(text: str) -> bytes:
    """Return the bytes that a text read from a manifest or a log stood for."""
    return text.encode("utf-8", "surrogateescape")


def decode(data: bytes) -> str:
    """Return bytes as text; what is not UTF-8 survives a round trip through `encode`."""
    return data.decode("utf-8", "surrogateescape")
