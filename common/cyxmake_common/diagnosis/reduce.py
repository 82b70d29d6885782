"""Reduces a log to what people, and later models, need to read: errors with their surroundings.

Knows no rule beyond what looks like an error; takes secrets and home directories out. What comes
out is at most a few kilobytes, whatever went in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from cyxmake_common.diagnosis.text import comparable_lines

_BEFORE: Final = 3
_AFTER: Final = 5
_TAIL: Final = 8
_LONGEST: Final = 400

_TROUBLE: Final = re.compile(
    r"\b(?i:error|fatal|failed|failure|exception|panic(?:ked)?|traceback|undefined|unresolved|"
    r"cannot|can't|could not|unable to|not found|no such file|missing|denied|killed|aborted|"
    r"segmentation fault|out of memory|no space left|timed out|refused|conflict|invalid|"
    r"unsupported|unrecognized|mismatch|incompatible)\b|\*\*\*"
)
_NOISE: Final = re.compile(
    r"^\s*(?:\[\s*\d+(?:%|/\d+)\]|checking (?:for|whether|if|how)\b|-- (?:Found|Check|Performing|"
    r"Looking for|Detecting|The \w+ compiler)|Compiling \S+ v|Downloaded? |Downloading|Collecting |"
    r"Requirement already|npm (?:WARN|warn|http|notice)|(?:CC|CXX|LD|AR|GEN|CCLD|CXXLD)\s|"
    r"make(?:\[\d+\])?: (?:Entering|Leaving|Nothing|\*\*\* Waiting)|libtool: (?:compile|link):|"
    r"Get:\d+|Hit:\d+|Unpacking|Setting up|Selecting|Preparing to)"
)
_QUIET: Final = re.compile(
    r"\b0 (?:errors?|failed|failures?)\b|-Werror|-W(?:no-)?error|error\.[ch]\b"
)

_KEY: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_SECRETS: Final = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(\b[a-z][a-z0-9+.-]*://)[^/\s:@]+:[^/\s@]+@", r"\1[secret]@"),
        (r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|npm_|pypi-|sk-|AKIA|ASIA|AIza|dop_v1_|"
         r"hf_|cyx1\.)[A-Za-z0-9_\-]{10,}", "[secret]"),
        (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+", "[secret]"),
        (r"(?i)\b((?:authorization|x-api-key|private-token|cookie)\s*[:=]\s*"
         r"(?:bearer |basic |token )?)[^\s'\"]+", r"\1[secret]"),
        (r"(?i)((?:(?:passw(?:or)?d|passwd|secret|token|api[_-]?key|access[_-]?key|"
         r"credentials?|private[_-]?key)[\w.-]*)\s*[=:]\s*)(['\"]?)(?!\[secret\])[^\s'\"]{4,}\2",
         r"\1[secret]"),
        (r"(?i)(--(?:password|token|secret|api-key)[ =])\S+", r"\1[secret]"),
        (r"(?<![\w/])(?:/home/|/Users/)[^/\s:'\"]+", "~"),
        (r"(?i)\b[A-Z]:\\Users\\[^\\\s:'\"]+", "~"),
        (r"(?<![\w/.])/root(?=/)", "~"),
        (r"\b[\w.+-]+@(?:[\w-]+\.)+[A-Za-z]{2,}\b(?![:\w])", "[address]"),
    )
)  # fmt: skip


def redact(text: str) -> str:
    """Take secrets, addresses of people and names of home directories out of a text."""
    text = _KEY.sub(lambda match: "[key]" + "\n" * match[0].count("\n"), text)
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def reduce_log(text: str, evidence: Iterable[int] = (), limit: int = 4000) -> str:
    """Return what matters of a log, at most `limit` characters: first errors first, the end last.

    `evidence` are line numbers, from 1, that must stay, as a diagnosis names them.
    """
    lines = [line[:_LONGEST] for line in comparable_lines(redact(text))]
    weights: dict[int, int] = {}
    for number in evidence:
        _keep(weights, number - 1, 3, len(lines))
    for index, line in enumerate(lines):
        if _TROUBLE.search(line) and not _NOISE.match(line) and not _QUIET.search(line):
            _keep(weights, index, 2, len(lines))
    for index in range(max(0, len(lines) - _TAIL), len(lines)):
        weights.setdefault(index, 1)
    chosen: set[int] = set()
    size = 0
    seen: set[str] = set()
    for index in sorted(weights, key=lambda i: (-weights[i], i)):
        line = lines[index]
        if line.strip() and line in seen and weights[index] < 3:
            continue
        cost = len(line) + 1 + len("[...]\n") * (index - 1 not in chosen)
        if size + cost > limit:
            break
        seen.add(line)
        chosen.add(index)
        size += cost
    return _joined(lines, sorted(chosen))


def _keep(weights: dict[int, int], index: int, weight: int, count: int) -> None:
    for near in range(max(0, index - _BEFORE), min(count, index + _AFTER + 1)):
        weights[near] = max(weights.get(near, 0), weight if near == index else 1)


def _joined(lines: list[str], chosen: list[int]) -> str:
    out: list[str] = []
    last = -1
    for index in chosen:
        if index > last + 1:
            out.append("[...]")
        out.append(lines[index])
        last = index
    return "\n".join(out)
