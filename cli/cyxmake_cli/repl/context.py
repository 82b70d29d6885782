"""What the conversation is about: what was run last, how it ended, what would take it back.

Knows no files and runs nothing; whoever runs a command says so.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from cyxmake_cli.repl.intents.model import Argv, Known, dry_run, reads_only

_SECRET: Final = frozenset(("login",))


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known beside the conversation: the commands there are, and the project's targets."""

    commands: frozenset[str]
    targets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Context:
    """The conversation so far; `undo` takes back the last plan, the last step first."""

    last: Argv = ()
    status: int = 0
    undo: tuple[Argv, ...] = ()

    def after(self, argv: Argv, status: int) -> Context:
        """Return the context after a command; one that only reads changes nothing in it.

        Nor does one that is given a secret: nothing shows or repeats that.
        """
        if dry_run(argv):
            return replace(self, last=argv)  # "do it for real" is about that
        if reads_only(argv) or argv[0] in _SECRET:
            return self
        return replace(self, last=argv, status=status, undo=())

    def known(self, facts: Facts) -> Known:
        """Return what the reader of plain English may rely on."""
        return Known(facts.commands, self.last, facts.targets, self.undo)

    def lines(self, facts: Facts) -> Iterator[str]:
        """Yield the context for a person."""
        if self.last:
            end = "done" if not self.status else f"status {self.status}"
            yield f"last command: cyxmake {shlex.join(self.last)} ({end})"
        else:
            yield "last command: none yet"
        for argv in self.undo:
            yield f"taken back by: cyxmake {shlex.join(argv)}"
        if facts.targets:
            yield f"targets: {' '.join(sorted(facts.targets))}"
