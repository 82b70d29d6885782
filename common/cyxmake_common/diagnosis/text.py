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
    r"|\d+\.\d{1,3} (?=\S|\s+\S|$)"  # their summary of the step that failed
    r"|\[\d{2}:\d{2}:\d{2}\]\s"
    r"|\[\d{4}-\d\d-\d\dT[\d:.]+Z\] "
    r"|\d+>(?!=)\s*(?:\d+>)?"  # parallel projects of MSBuild
    r"|\| (?=\S)"  # bitbake's log of a task
    r"|[A-Za-z][\w.-]* +\| "  # services of a composed run
    r")"
)
_RUNNER_BEGINS: Final = frozenset("0123456789#=[")
_QUOTES: Final = str.maketrans("‘’´“”\u00a0", "'''\"\" ")
_LOGGED: Final = re.compile(r"^configure:\d+: error:")
_LISTED: Final = re.compile(r"^Error\s*:?\s+((?:LNK|MSB|RC|C|CS)\d{4})[:\s]+")
_ECHOED: Final = re.compile(r"The command '.*' returned a non-zero code")
_GUILLEMETS: Final = re.compile(r"[«»]\s?([^«»]*?)\s?[«»]")
_LONGEST_LINE: Final = 2000
_MOST: Final = 2_000_000
_WHOLE: Final = 500_000
"""A log up to this size is read from end to end."""
_HEAD: Final = 50_000
_MIDDLE: Final = 250_000
_AROUND: Final = 400
"""How much on both sides of a complaint belongs to it."""
_COMPLAINTS: Final = ("rror", "RROR", "atal:", "FATAL", "***", "FAILED", "No space", "illed")


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
    return [_comparable(line) for line in kept.replace("ERROR:  ", "ERROR: ").split("\n")]


def essential_lines(text: str) -> tuple[list[str], list[int]]:
    """Return the lines of a log that may tell causes, comparable, and their numbers, from 1.

    Of a very long log these are its begin, its end and, between them, what stands around
    complaints, the first ones first: who builds for an hour meets the cause anywhere.
    """
    if len(text) <= _WHOLE:
        lines = comparable_lines(text)
        return lines, list(range(1, len(lines) + 1))
    kept: list[str] = []
    numbers: list[int] = []
    number, at = 1, 0
    for start, end in _essential_parts(text):
        number += text.count("\n", at, start)
        at = start
        lines = comparable_lines(text[start:end])
        kept.extend(lines)
        numbers.extend(range(number, number + len(lines)))
    return kept, numbers


def _essential_parts(text: str) -> list[tuple[int, int]]:
    """Return begin and end of whole lines that are worth reading, in order and apart."""
    tail = text.rfind("\n", 0, len(text) - (_WHOLE - _HEAD - _MIDDLE)) + 1
    parts = [(0, max(0, text.rfind("\n", 0, _HEAD)))]
    left = _MIDDLE
    for place in _complaints(text, parts[0][1], tail):
        begin, end = parts[-1]
        if place + _AROUND <= end:
            continue
        start = text.rfind("\n", 0, max(0, place - _AROUND)) + 1
        stop = text.find("\n", place + _AROUND, tail)
        stop = tail - 1 if stop < 0 else stop
        if start <= end:
            left -= stop - end
            parts[-1] = (begin, stop)
        else:
            left -= stop - start
            parts.append((start, stop))
        if left <= 0:
            break
    begin, end = parts[-1]
    return [*parts, (max(tail, end + 1), len(text))]


def _complaints(text: str, start: int, end: int) -> list[int]:
    """Return where complaints may stand between two places, in order."""
    found: list[int] = []
    for word in _COMPLAINTS:
        at, number = text.find(word, start, end), 0
        while at >= 0 and number < _MIDDLE // _AROUND:
            found.append(at)
            number += 1
            at = text.find(word, at + _AROUND, end)
    return sorted(found)


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
    if line.startswith(("configure:", "Error")):
        line = _LOGGED.sub("configure: error:", line)  # as its own log has it
        line = _LISTED.sub(r"error \1: ", line)  # as an IDE lists it
    if line[:1] in _RUNNER_BEGINS or "| " in line:
        return _RUNNER.sub("", line)
    return line
