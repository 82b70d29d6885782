"""The conversation: reads a line, finds out what it means, runs it, and goes on in any case.

Knows no command. A line with a slash is one of the command table; any other is plain English.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import click

from cyxmake_cli.repl.context import Context, Facts
from cyxmake_cli.repl.intents.model import Argv
from cyxmake_cli.repl.lines import Lines, TerminalLines
from cyxmake_cli.repl.running import Run
from cyxmake_cli.repl.slash import OWN, Call, Mistake, Own, SlashTable
from cyxmake_cli.repl.speech import Speech
from cyxmake_common.errors import CyxError, ExitStatus

_GREETING = "CyxMake. /help lists the commands; plain English is understood, too. Ctrl-D leaves."


@dataclass(frozen=True, slots=True)
class Parts:
    """What a conversation is made of."""

    lines: Lines
    table: SlashTable
    speech: Speech
    run: Run
    facts: Callable[[], Facts]


class Repl:
    """One conversation."""

    def __init__(self, parts: Parts, context: Context) -> None:
        self._parts = parts
        self._context = context
        self._leaving = False
        self._failed = 0

    def __repr__(self) -> str:
        return f"<Repl {self._context}>"

    def run(self) -> int:
        """Go on until the person leaves; returns 0, for a script the last status that was not."""
        lines = self._parts.lines
        if lines.interactive:
            click.echo(_GREETING)
        while not self._leaving:
            try:
                entry = lines.read()
            except KeyboardInterrupt:
                continue
            if entry is None:
                break
            for line in entry.replace("\\\n", " ").splitlines():
                status = self._one(line.strip())
                self._failed = status or self._failed
                if self._leaving or (status == ExitStatus.CANCELLED and lines.interactive):
                    break
        return 0 if lines.interactive else self._failed

    def _one(self, line: str) -> int:
        """Do what a line says; no error ends the conversation."""
        if not line or line.startswith("#"):
            return 0
        try:
            status = self._line(line)
        except KeyboardInterrupt:
            click.echo(err=True)
            status = int(ExitStatus.CANCELLED)
        except CyxError as error:
            click.echo(_red(f"error: {error.message}"), err=True)
            if error.next_step:
                click.echo(f"  next: {error.next_step}", err=True)
            return int(error.exit_status)
        if status:
            click.echo(_red(f"[status {status}: {status_name(status)}]"), err=True)
        return status

    def _line(self, line: str) -> int:
        called = (
            self._parts.table.parse(line[1:])
            if line.startswith("/")
            else self._parts.table.bare(line)
        )
        match called:
            case Mistake(text):
                click.echo(_red(f"error: {text}"), err=True)
                return int(ExitStatus.USAGE)
            case Call(Own() as own, words):
                return self._own(own, words)
            case Call(None, argv):
                status = self._parts.run(argv)
                self._context = self._context.after(argv, status)
                return status
            case _:
                status, self._context = self._parts.speech.answer(line, self._context)
                return status

    def _own(self, own: Own, words: Argv) -> int:
        match own:
            case Own.EXIT:
                self._leaving = True
            case Own.CLEAR:
                click.clear()
            case Own.HELP if words:
                name = words[0].lstrip("/").lower()
                return self._help_on(name)
            case Own.HELP:
                self._help()
            case Own.CONTEXT:
                if words == ("forget",):
                    self._context = Context()
                for text in self._context.lines(self._parts.facts()):
                    click.echo(text)
            case Own.MEMORY:
                return self._memory(forget=words == ("forget",))
        return 0

    def _help(self) -> None:
        table = self._parts.table
        shorter: dict[str, list[str]] = {}
        for alias, name in table.aliases.items():
            shorter.setdefault(name, []).append(f"/{alias}")
        rows = [
            (" ".join((f"/{name}", *shorter.get(name, ()))), text)
            for name, text in sorted(table.commands.items())
        ]
        width = max(len(names) for names, _ in rows)
        for names, text in rows:
            click.echo(f"  {names:<{width}}  {text}")
        click.echo('\nWithout a slash, plain English: "build in release mode", "why did it fail?"')

    def _help_on(self, name: str) -> int:
        name = self._parts.table.aliases.get(name, name)
        if name in OWN:
            click.echo(f"/{name}: {OWN[name]}")
            return 0
        called = self._parts.table.parse(name)
        if isinstance(called, Mistake):
            click.echo(_red(f"error: {called.text}"), err=True)
            return int(ExitStatus.USAGE)
        return self._parts.run((*called.argv, "--help"))

    def _memory(self, *, forget: bool) -> int:
        lines = self._parts.lines
        if not isinstance(lines, TerminalLines):
            click.echo("lines are remembered only where they can be edited")
            return 0
        if forget:
            lines.forget()
            self._context = Context()
        click.echo(f"{lines.remembered()} lines are remembered in {lines.path}")
        return 0


def status_name(status: int) -> str:
    """Return what an exit status says, in words."""
    if status < 0:
        return f"ended by signal {-status}"
    try:
        return ExitStatus(status).name.lower().replace("_", " ")
    except ValueError:
        return "failed"


def _red(text: str) -> str:
    return text if os.environ.get("NO_COLOR") else click.style(text, fg="red")
