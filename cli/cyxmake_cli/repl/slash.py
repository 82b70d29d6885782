"""Slash commands: those of the command line under their names and shorter ones, and a few of ours.

Knows no command by itself but the few that concern the conversation; which others there are, the
command table says. What is not in it is not offered.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cyxmake_cli.repl.intents.model import Argv


class Own(StrEnum):
    """Commands of the conversation itself."""

    HELP = "help"
    EXIT = "exit"
    CLEAR = "clear"
    CONTEXT = "context"
    MEMORY = "memory"


OWN: Final[dict[str, str]] = {
    Own.HELP: "Show the commands, or the help of one: /help build.",
    Own.EXIT: "Leave; Ctrl-D does the same.",
    Own.CLEAR: "Clear the screen.",
    Own.CONTEXT: "Show what the conversation refers to; `/context forget` forgets it.",
    Own.MEMORY: "Show what is remembered of the lines written here; `/memory forget` forgets it.",
}
"""Commands of the conversation, and their line in the help."""

_VERSION: Final = "version"
ALIASES: Final[dict[str, str]] = {
    "?": "help", "h": "help", "q": "exit", "quit": "exit", "bye": "exit", "cls": "clear",
    "v": _VERSION, "ver": _VERSION, "ctx": "context", "mem": "memory",
    "hist": "history", "i": "init", "b": "build", "c": "clean", "st": "status", "s": "status",
    "cfg": "config", "conf": "config", "t": "test", "db": "dbuild", "d": "dbuild",
    "coord": "coordinator", "w": "workers", "worker": "workers", "g": "graph",
    "perm": "permissions", "perms": "permissions", "why": "explain", "x": "explain",
    "log": "logs", "doc": "doctor", "u": "undo", "new": "create", "a": "agent", "agents": "agent",
    "fix": "auto", "f": "auto", "recover": "auto", "r": "auto",
    "model": "ai", "models": "ai", "m": "ai",
}  # fmt: skip
"""Other names; one whose command is not there is not offered, and a command's own name wins."""

_ALONE: Final = {"agent": "list", "ai": "list", "cache": "stats", "coordinator": "status",
                 "config": "show", "layer": "list", "permissions": "show",
                 "plugin": "list"}  # fmt: skip
"""What a command of several shows when nothing follows its name."""

_NOT_HERE: Final = frozenset(("repl", "say"))
_CLOSE: Final = 0.6


@dataclass(frozen=True, slots=True)
class Call:
    """A slash command: one of ours with its words, or the arguments of `cyxmake`."""

    own: Own | None
    argv: Argv


@dataclass(frozen=True, slots=True)
class Mistake:
    """A line that is no command, and why."""

    text: str


class SlashTable:
    """The commands that a line with a slash may name."""

    def __init__(self, commands: Mapping[str, str]) -> None:
        """`commands` are those of the command line, with their line in the help."""
        there = {name: text for name, text in commands.items() if name not in _NOT_HERE}
        self.commands: dict[str, str] = {
            **there, **OWN, _VERSION: "Show the version.",
        }  # fmt: skip
        self.aliases = {a: n for a, n in ALIASES.items() if n in self.commands and a not in there}

    def __repr__(self) -> str:
        return f"<SlashTable {len(self.commands)} commands>"

    def names(self) -> dict[str, str]:
        """Return every name that may follow the slash, with its line in the help."""
        short = {alias: f"= /{name}" for alias, name in self.aliases.items()}
        return dict(sorted({**short, **self.commands}.items()))

    def parse(self, line: str) -> Call | Mistake:
        """Return what a line, without its slash, calls."""
        try:
            words = shlex.split(line)
        except ValueError as error:
            return Mistake(f"{str(error).lower()}: quotes come in pairs")
        if not words:
            return Call(Own.HELP, ())
        name = words[0].lower()
        name = self.aliases.get(name, name)
        if name not in self.commands:
            return Mistake(self._unknown(words[0]))
        if name == _VERSION:
            return Call(None, ("--version",))
        if name in OWN:
            return Call(Own(name), tuple(words[1:]))
        if len(words) == 1 and name in _ALONE:
            words.append(_ALONE[name])
        return Call(None, (name, *words[1:]))

    def bare(self, line: str) -> Call | None:
        """Return the call of a line without a slash that is a command all the same.

        That is one with an option, or one of the conversation's own words by itself.
        """
        try:
            words = shlex.split(line)
        except ValueError:
            return None
        if len(words) == 1 and words[0].lower() in ("help", "exit", "quit", "bye", "clear"):
            call = self.parse(words[0])
            return call if isinstance(call, Call) else None
        is_command = bool(words) and words[0] in self.commands and words[0] not in OWN
        if is_command and any(word.startswith("-") for word in words[1:]):
            return Call(None, tuple(words))
        return None

    def _unknown(self, word: str) -> str:
        near = difflib.get_close_matches(word.lower(), [*self.commands, *self.aliases], 3, _CLOSE)
        names = ", ".join(f"/{name}" for name in dict.fromkeys(near))
        return f"there is no /{word}" + (f"; near: {names}" if names else "; /help lists them")
