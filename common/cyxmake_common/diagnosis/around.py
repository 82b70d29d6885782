"""Facts that stand around a match: the place that an error is at, the host that was asked.

Knows no rule; fills in only what the rule itself did not read.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from cyxmake_common.diagnosis.model import Category, Facts

_PATH: Final = r"(?:[A-Za-z]:[\\/])?[^\s:*?\"'<>|()\[\],;`]+"
_PLACE: Final = re.compile(
    rf"\s*(?:\[ERROR\] |e: (?:file://)?|CMake Error at |(?:In file included from .*: )?)"
    rf"(?P<file>{_PATH}\.\w[\w+]*)(?::(?P<line>\d+)(?::\d+)?:? |\((?P<line2>\d+)(?:,\d+)*\) ?: "
    rf"|:(?P<line3>\d+) \(\w+\):)"
)
_NAME: Final = r"[A-Za-z0-9][\w-]*(?:\.[\w-]+)+"
_HOST: Final = re.compile(
    rf"\b(?:https?|git|ssh|ftp)://(?:[^\s/@]+@)?(?P<host>[A-Za-z0-9][\w.-]*)|\bhost='(?P<host2>{_NAME})'"
    rf"|\b[Cc]onnect to (?P<host3>{_NAME})\b|\b(?P<host4>{_NAME})\[\d+: |\bgit@(?P<host5>{_NAME}):"
)
_NEAR: Final = 8


def completed(category: Category, facts: Facts, lines: list[str], first: int, last: int) -> Facts:
    """Return the facts with the place of the error, what is not there and the host asked."""
    if facts.file is None and facts.line is None and first < len(lines):
        place = _PLACE.match(lines[first])
        if place is not None:
            line = place["line"] or place["line2"] or place["line3"]
            facts = replace(facts, file=place["file"], line=int(line))
    if category is Category.MISSING_INPUT and facts.path is None and facts.line is None:
        facts = replace(facts, path=facts.file)
    if category is Category.NETWORK_FAILURE and facts.host is None:
        facts = replace(facts, host=_host(lines, first, last))
    return facts


def _host(lines: list[str], first: int, last: int) -> str | None:
    """Look in the match, then before it, nearest first, then behind it."""
    before = range(first - 1, max(-1, first - _NEAR - 1), -1)
    behind = range(last + 1, min(len(lines), last + _NEAR // 2))
    for number in (*range(first, min(len(lines), last + 1)), *before, *behind):
        if found := _HOST.search(lines[number]):
            return found[found.lastgroup or 0]
    return None
