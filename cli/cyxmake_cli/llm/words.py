"""Makes what a model writes fit to be shown: no control characters, no commands, no addresses.

Knows no model. Its words may repeat what a log or a README told it to say; nobody runs them, but
people copy what they read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

LEFT_OUT: Final = "(a line that holds a command or an address was left out)"
_LONGEST: Final = 400

_UNSAFE: Final = re.compile(
    r"(?i)\b[a-z][a-z0-9+.-]*://|\bwww\.|\b(?:\d{1,3}\.){3}\d{1,3}\b"
    r"|\b(?:sudo|doas|iex|invoke-\w+|powershell|ncat|netcat|mkfs|rm|rmdir|reboot|shutdown|pkill"
    r"|crontab)\s+[-/\w.~$\"'*]|\b(?:curl|wget|ssh|scp)\s+(?:-|[\"']?[\w@-]+[:./@])"
    r"|\b(?:eval|base64|xargs)\s+[-$(\"'`]|\bchmod\s+(?:[ugoa]*[+=-]|\d)|\bchown\s+\S+\s+[/~.]"
    r"|\bdd\s+\w+=|\bkill(?:all)?\s+-?\d|\b(?:del|format)\s+(?:/|[A-Za-z]:)"
    r"|\bgit\s+(?:push|reset|clean|checkout|config|rm|clone|pull|restore|stash)\b"
    r"|\|\s*(?:ba|z|da)?sh\b|`[^`]*\s[^`]*`|\$\(|&&|\|\||;\s*\w+\s+-|>\s*/"
    r"|\b(?:apt(?:-get)?|dnf|yum|apk|pacman|brew|choco|pip3?|npm|npx|yarn|cargo|gem|go|snap|conda)"
    r"\s+(?:-\S+\s+)*(?:install|add|get|i|-S|run|exec)\b"
)


def printable(text: str) -> str:
    """Return a text without what a terminal would obey."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def safe_line(line: str) -> str:
    """Return one line as it may be shown."""
    line = printable(line)[:_LONGEST]
    return LEFT_OUT if _UNSAFE.search(line) else line


def safe_summary(text: str) -> str:
    """Return a short text as one line, or nothing where it holds what is not to be shown."""
    line = " ".join(printable(text).split())[:_LONGEST]
    return "" if _UNSAFE.search(line) else line


class SafeLines:
    """Takes text piece by piece, and tells it line by line as it may be shown."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._held = ""

    def __repr__(self) -> str:
        return f"<SafeLines held={len(self._held)}>"

    def __call__(self, piece: str) -> None:
        """Take a piece."""
        *lines, self._held = (self._held + piece).split("\n")
        for line in lines:
            self._tell(safe_line(line))

    def end(self) -> None:
        """Tell what is left."""
        if self._held.strip():
            self._tell(safe_line(self._held))
        self._held = ""
