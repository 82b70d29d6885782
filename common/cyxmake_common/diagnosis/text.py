"""Makes lines of output comparable: no colours or prefixes of runners, plain quotes, English.

Line for line, so that line numbers stay those of the original.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import Final, cast

_ESCAPES: Final = re.compile(
    r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\]8;[^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\([AB]"
)
_RUNNER: Final = re.compile(
    r"^(?:"
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?Z?\s(?:##\[\w+\])?"  # CI services
    r"|#\d+\s+(?:\d+\.\d+\s)"  # image builds
    r"|=> => # "
    r"|\[\d{2}:\d{2}:\d{2}\]\s"
    r")"
)
_QUOTES: Final = str.maketrans("‘’´“”\u00a0", "'''\"\" ")
_REMARK: Final = re.compile(
    r"\s*(?:-- |checking |\+ |\$ |#\d+ |Step \d+/\d+ :|\[(?:INFO|WARNING|WARN|DEBUG)\]"
    r"|(?:\S+: ){0,2}(?:[Ww]arning|WARNING|[Nn]ote|NOTE|INFO|DEBUG|hint|help)\b[: ])"
)
_ECHOED: Final = re.compile(r"The command '.*' returned a non-zero code")
_GUILLEMETS: Final = re.compile(r"[«»]\s?([^«»]*?)\s?[«»]")
_LONGEST_LINE: Final = 2000
_MOST: Final = 2_000_000


def comparable_lines(text: str) -> list[str]:
    """Return the lines of a log without what only decorates them."""
    kept = text[-_MOST:]
    foreign = not kept.isascii()
    for phrase, english in _in_english():
        if phrase in kept:
            kept = kept.replace(phrase, english)
            foreign = True
    if foreign:
        kept = kept.replace(" : ", ": ").replace("\u00a0: ", ": ")
    return [_comparable(line) for line in kept.split("\n")]


def is_remark(line: str) -> bool:
    """Tell whether a line is no complaint: a check's progress, a warning, an echoed command."""
    return _REMARK.match(line) is not None


def first_line_kept(text: str) -> int:
    """Return the number of the first line that `comparable_lines` keeps."""
    return 1 + text.count("\n", 0, max(0, len(text) - _MOST))


@lru_cache(maxsize=1)
def _in_english() -> list[tuple[str, str]]:
    text = files(__package__).joinpath("phrases.toml").read_text("utf-8")
    phrases = cast("dict[str, str]", tomllib.loads(text)["phrases"])
    return sorted(phrases.items(), key=lambda pair: -len(pair[0]))


def _comparable(line: str) -> str:
    if "\x1b" in line:
        line = _ESCAPES.sub("", line)
    line = line.rstrip("\r \t")
    if "\r" in line:  # a progress bar drew over itself: what stood there last counts
        line = line.rsplit("\r", 1)[1]
    line = line[:_LONGEST_LINE].translate(_QUOTES)
    if "«" in line or "»" in line:
        line = _GUILLEMETS.sub(r"'\1'", line)
    if "returned a non-zero code" in line:  # the words are the command's, not a tool's
        line = _ECHOED.sub("The command returned a non-zero code", line)
    return _RUNNER.sub("", line)
