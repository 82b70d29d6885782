"""What an unknown line is near to: lines that are understood.

Knows no meaning; it compares letters and words.
"""

from __future__ import annotations

import difflib
import re
from typing import Final

from cyxmake_cli.repl.intents.model import Known, Unknown

EXAMPLES: Final = (
    "build in release mode", "build from scratch", "build on the cluster", "build with 8 jobs",
    "build the target app", "run the tests", "clean up", "install it into ~/.local",
    "fix the build", "analyse this repository", "set the number of jobs to 8",
    "clear the cache", "start a coordinator", "drain the worker NAME",
    "why did it fail?", "what would clean delete?", "how many workers are there?",
    "is the cluster up?", "what depends on FILE?", "why was FILE recompiled?",
    "how do I build in debug mode?", "what have I built so far?", "show the log",
    "how big is the cache?", "does everything work here?", "which tools are there?",
)  # fmt: skip
"""Lines that are understood, shown to whom was not."""

_FEW: Final = 3
_EMPTY: Final = frozenset(
    [
        "a",
        "an",
        "the",
        "it",
        "is",
        "to",
        "in",
        "of",
        "do",
        "did",
        "i",
        "you",
        "me",
        "my",
        "what",
        "how",
        "why",
        "which",
        "and",
        "for",
        "with",
        "on",
    ]
)


def unknown(text: str, known: Known, *, question: bool = False) -> Unknown:
    """Return the refusal of a line, with lines near to it that are understood."""
    words = set(re.findall(r"\w+", text.lower())) - _EMPTY

    def score(example: str) -> float:
        shared = len(words & (set(re.findall(r"\w+", example.lower())) - _EMPTY))
        return shared + difflib.SequenceMatcher(None, text.lower(), example.lower()).ratio()

    ranked = sorted((e for e in EXAMPLES if e.endswith("?") or not question), key=score)[::-1]
    what = "no answer is known to that" if question else "it is not clear what is to be done"
    return Unknown(what, tuple(ranked[:_FEW]))
