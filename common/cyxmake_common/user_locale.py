"""Takes back what the interpreter did to the environment before any of our code ran.

Knows nothing of what is run in that environment.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

_COERCED: Final = frozenset(("C.UTF-8", "C.utf8", "UTF-8"))
"""What an interpreter sets LC_CTYPE to: https://peps.python.org/pep-0538/."""


def restore_locale() -> None:
    """Give LC_CTYPE the value that this program was started with.

    An interpreter that finds itself in the locale C, or in one that is not installed, sets LC_CTYPE
    to one with UTF-8, and so for every program that it starts: a compiler then puts other quotes
    around names, and a text tool takes other bytes for letters, than below ninja or make.
    """
    if os.environ.get("LC_CTYPE") not in _COERCED:
        return
    try:
        begun = Path("/proc/self/environ").read_bytes()
    except OSError:
        _restore_blindly()
        return
    before = dict(entry.partition(b"=")[::2] for entry in begun.split(b"\0"))
    if b"LC_CTYPE" in before:
        os.environ["LC_CTYPE"] = os.fsdecode(before[b"LC_CTYPE"])
    else:
        del os.environ["LC_CTYPE"]


def _restore_blindly() -> None:
    """Without a record of the beginning: UTF-8 mode that nobody asked for tells of the locale C."""
    if sys.flags.utf8_mode and "PYTHONUTF8" not in os.environ:
        os.environ["LC_CTYPE"] = "C"
