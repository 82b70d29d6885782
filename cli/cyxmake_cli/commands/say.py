"""`cyxmake say`: do what a sentence says; `cyxmake "a sentence"` is the same."""

from __future__ import annotations

import click


@click.command(
    "say",
    epilog='Examples: cyxmake "build in release mode"   |   cyxmake say "why did it fail?"',
)
@click.argument("sentence", nargs=-1, required=True)
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("-y", "--yes", is_flag=True, help="Say yes to everything that is no danger.")
@click.option("--no-ai", is_flag=True, help="Ask no language model.")
@click.pass_context
def command(
    context: click.Context, sentence: tuple[str, ...], dry_run: bool, yes: bool, no_ai: bool
) -> int:
    """Do what SENTENCE says in plain English, after showing the commands and asking.

    Questions are answered and start nothing. "again", "now test it" refer to the last build here.
    """
    from cyxmake_cli.commands import conversation

    root = context.find_root().command
    speech = conversation.speech(root, yes=yes, no_ai=no_ai, dry_run=dry_run)
    return speech.answer(" ".join(sentence), conversation.before())[0]
