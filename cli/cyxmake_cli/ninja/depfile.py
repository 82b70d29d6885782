"""Reads what compilers say about headers: make-style depfiles and `/showIncludes` lines.

Knows nothing of graphs and files; takes bytes, returns canonical paths.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from cyxmake_cli.ninja.errors import DepfileError
from cyxmake_cli.ninja.paths import canonicalize, decode

_PLAIN: Final = rb"a-zA-Z0-9+?\"'&,/_:.~()}{%=@\[\]!\x80-\xff-"
_SIMPLE: Final = re.compile(rb"[" + _PLAIN + rb" \t\r\n]*\Z")
_TOKEN: Final = re.compile(
    rb"(?P<space>(?:\\\\)*\\ )"  # 2N+1 backslashes and a space: N backslashes, the space stays
    rb"|(?P<end>(?:\\\\)+) "  # 2N backslashes and a space: 2N backslashes, the name ends
    rb"|(?P<hash>\\+#)"
    rb"|(?P<stop>\\+:)(?P<after>[\0 \r\n\t]|\Z)"
    rb"|(?P<colon>\\+:)"
    rb"|(?P<dollar>\$\$)"
    rb"|(?P<text>\\+[^\0\r\n]|[" + _PLAIN + rb"]+)"
    rb"|(?P<continued>\\\r?\n)"
    rb"|(?P<newline>\r?\n)"
    rb"|(?P<other>[\s\S])"
)
_LINE_END: Final = re.compile(rb"\r\n?|\n")
_DEFAULT_PREFIX: Final = b"Note: including file: "
_SOURCE_SUFFIXES: Final = (b".c", b".cc", b".cxx", b".cpp", b".c++")


class Depfile(NamedTuple):
    """The targets and the prerequisites that a depfile names, without repeats."""

    outputs: list[str]
    inputs: list[str]


def parse_depfile(data: bytes) -> Depfile:
    """Read a make-style depfile as gcc and clang write it; raises DepfileError."""
    joined = data.replace(b"\\\n", b" ").replace(b"\\\r\n", b" ")
    return _sort(_simple_names(joined) if _SIMPLE.match(joined) else _names(data))


def _simple_names(data: bytes) -> list[tuple[bytes, bool]]:
    """Cut a depfile without escapes; the flag marks the last name of a line."""
    names: list[tuple[bytes, bool]] = []
    for line in data.split(b"\n"):
        names += [(word, False) for word in line.split()]
        names.append((b"", True))
    return names


def _names(data: bytes) -> list[tuple[bytes, bool]]:
    """Cut a depfile with escapes; the flag marks the last name of a line."""
    names: list[tuple[bytes, bool]] = []
    name = b""
    for match in _TOKEN.finditer(data):
        kind, text = match.lastgroup, match[0]
        if kind == "space":
            name += b"\\" * ((len(text) - 2) // 2) + b" "
        elif kind == "text":
            name += text
        elif kind == "dollar":
            name += b"$"
        elif kind in ("hash", "colon"):
            name += text[:-2] + text[-1:]
        else:
            if kind == "end":
                name += match["end"]
            elif kind == "after":
                name += match["stop"]
            names.append((name, kind == "newline" or text.endswith(b":\n")))
            name = b""
    names.append((name, True))
    return names


def _sort(names: list[tuple[bytes, bool]]) -> Depfile:
    outputs: dict[bytes, None] = {}
    inputs: dict[bytes, None] = {}
    have_target = poisoned = False
    targets = empty = True
    for raw, ends_line in names:
        name, is_dependency = raw, not targets
        if name:
            empty = False
        if name.endswith(b":"):
            name = name[:-1]
            targets, have_target = False, True
        if name:
            if name in inputs:
                poisoned = poisoned or not is_dependency
            elif not is_dependency:
                outputs[name] = None
            elif poisoned:
                raise DepfileError("inputs may not also have inputs")
            else:
                inputs[name] = None
        if ends_line:
            targets, poisoned = True, False
    if not have_target and not empty:
        raise DepfileError("expected ':' in depfile")
    return Depfile(_paths(outputs), _paths(inputs))


def _paths(names: dict[bytes, None]) -> list[str]:
    return list(map(_path, names))


@lru_cache(maxsize=65536)
def _path(name: bytes) -> str:
    """Return a canonical path; the same headers are named in one depfile after the other."""
    return canonicalize(decode(name))


def parse_show_includes(output: bytes, prefix: bytes = b"") -> tuple[list[str], bytes]:
    """Return the headers that MSVC's `/showIncludes` named, and the output without those lines."""
    prefix = prefix or _DEFAULT_PREFIX
    includes: set[str] = set()
    kept: list[bytes] = []
    seen = False
    for line in _lines(output):
        if line.startswith(prefix) and (path := line[len(prefix) :].lstrip(b" ")):
            seen = True
            header = canonicalize(decode(path))
            if not _is_system_header(header):
                includes.add(header)
        elif seen or not line.lower().endswith(_SOURCE_SUFFIXES):
            # The compiler first echoes the source's name, which nobody wants to see.
            kept.append(line + b"\n")
    return sorted(includes), b"".join(kept)


def _lines(output: bytes) -> list[bytes]:
    lines = _LINE_END.split(output)
    return lines[:-1] if lines[-1] == b"" else lines


def _is_system_header(path: str) -> bool:
    lowered = path.lower()
    return "program files" in lowered or "microsoft visual studio" in lowered
