"""Answers one line of plain English: looks things up, says them, carries out plans after asking.

Knows no words (see intents) and no command. What only reads is run at once; whatever else a line
is taken for is a plan, and the person is asked.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import replace

import click

from cyxmake_cli.repl.context import Context, Facts
from cyxmake_cli.repl.intents.model import (
    Known,
    Look,
    Meaning,
    Nothing,
    Plan,
    Tell,
    Unclear,
    Unknown,
)
from cyxmake_cli.repl.intents.read import read
from cyxmake_cli.repl.plans import Plans, read_answer
from cyxmake_cli.repl.running import Run
from cyxmake_common.errors import ExitStatus

Guess = Callable[[str, Known], Plan | Look | None]
"""Says what a line may mean that the rules do not know; only commands that exist."""


class Speech:
    """Answers lines of plain English."""

    def __init__(
        self,
        plans: Plans,
        run: Run,
        facts: Callable[[], Facts],
        guess: Guess | None = None,
    ) -> None:
        self._plans = plans
        self._run = run
        self._facts = facts
        self._guess = guess

    def __repr__(self) -> str:
        return f"<Speech guess={self._guess is not None}>"

    def answer(self, line: str, context: Context) -> tuple[int, Context]:
        """Do what a line means; returns a status and the conversation after it."""
        known = context.known(self._facts())
        meaning = read(line, known)
        if isinstance(meaning, Unknown) and self._guess is not None:
            guessed = self._guess(line, known)
            if guessed is not None:
                meaning = Unclear("is this what is meant", (guessed,))
        return self._respond(meaning, context)

    def _respond(self, meaning: Meaning, context: Context) -> tuple[int, Context]:
        match meaning:
            case Plan():
                return self._carry_out(meaning, context)
            case Look(commands):
                status = 0
                for argv in commands:
                    click.echo(f"> cyxmake {shlex.join(argv)}", err=True)
                    status = self._run(argv) or status
                return status, context
            case Tell(text, commands):
                click.echo(text + (":" if commands else ""))
                for argv in commands:
                    click.echo(f"  cyxmake {shlex.join(argv)}")
                return 0, context
            case Nothing(text):
                click.echo(text)
                return 0, context
            case Unclear(text, choices):
                return self._ask(text, choices, context)
            case Unknown(text, near):
                click.echo(f"error: {text}", err=True)
                for line in near:
                    click.echo(f"  understood would be: {line}", err=True)
                return int(ExitStatus.USAGE), context

    def _carry_out(self, plan: Plan, context: Context) -> tuple[int, Context]:
        done = self._plans.carry_out(plan)
        for argv, status in done.ran:
            context = context.after(argv, status)
        return done.status, replace(context, undo=done.undo) if done.ran else context

    def _ask(
        self, text: str, choices: tuple[Plan | Look | Tell, ...], context: Context
    ) -> tuple[int, Context]:
        """Ask what is meant; without a terminal the choices are shown, and nothing is done."""
        click.echo(f"{text}?" if not text.endswith("?") else text, err=True)
        for number, choice in enumerate(choices, 1):
            click.echo(f"  {number}. {_described(choice)}", err=True)
        if not choices or not sys.stdin.isatty():
            return int(ExitStatus.USAGE), context
        answer = read_answer(f"[1-{len(choices)}, or nothing] ").strip()
        if not answer.isdigit() or not 1 <= int(answer) <= len(choices):
            click.echo("nothing is done")
            return 0, context
        return self._respond(choices[int(answer) - 1], context)


def _described(meaning: Plan | Look | Tell) -> str:
    match meaning:
        case Plan(steps):
            return " ; ".join(f"cyxmake {shlex.join(step.argv)}" for step in steps)
        case Look(commands):
            return " ; ".join(f"cyxmake {shlex.join(argv)}" for argv in commands)
        case Tell(text, commands):
            named = ", ".join(f"cyxmake {shlex.join(argv)}" for argv in commands)
            return f"only asked: {text} {named}".rstrip()
