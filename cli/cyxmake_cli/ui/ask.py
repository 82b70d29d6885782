"""Asks a person on the terminal whether something may be done.

Knows nothing of what is done afterwards. Without a terminal nobody is there to answer.
"""

from __future__ import annotations

import sys

import click

from cyxmake_cli.safety.gate import Answer
from cyxmake_cli.safety.permissions import Act, Judgement, Risk


class TerminalAsker:
    """Asks on stderr, reads from stdin: what a command prints on stdout stays what it was."""

    def ask(self, act: Act, judgement: Judgement) -> Answer | None:
        """Return the answer; None when stdin is no terminal."""
        if not sys.stdin.isatty():
            return None
        always = "/always" if judgement.risk is Risk.ASK else ""
        why = f" ({judgement.reason})" if judgement.reason else ""
        warning = "DANGEROUS: " if judgement.risk is Risk.DANGEROUS else ""
        while True:
            click.echo(f"{warning}{act.summary}?{why} [y/N{always}/view] ", nl=False, err=True)
            line = sys.stdin.readline()
            if not line:
                return Answer.NO
            word = line.strip().lower() or "n"
            for answer, name in (
                (Answer.YES, "yes"), (Answer.NO, "no"), (Answer.ALWAYS, "always"),
                (Answer.VIEW, "view"),
            ):  # fmt: skip
                if name.startswith(word) and (answer is not Answer.ALWAYS or always):
                    return answer
