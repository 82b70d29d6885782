"""`cyxmake repl`: slash commands and plain English, one after the other."""

from __future__ import annotations

import click


@click.command("repl", epilog="Examples: cyxmake repl   |   cyxmake repl --yes < script")
@click.option("-y", "--yes", is_flag=True, help="Say yes to everything that is no danger.")
@click.option("--no-ai", is_flag=True, help="Ask no language model.")
@click.pass_context
def command(context: click.Context, yes: bool = False, no_ai: bool = False) -> int:
    """Hold a conversation: commands with a slash, plain English without; `cyxmake` does the same.

    Lines come from the terminal, or from standard input: then without prompts, and the status is
    that of the last command that failed.
    """
    from cyxmake_cli import config
    from cyxmake_cli.commands import conversation
    from cyxmake_cli.repl.lines import can_edit, open_lines
    from cyxmake_cli.repl.loop import Parts, Repl
    from cyxmake_cli.repl.running import run_command
    from cyxmake_cli.repl.slash import SlashTable

    root = context.find_root().command
    table = SlashTable(conversation.commands(root))
    completer = None
    if can_edit():
        from cyxmake_cli.repl.completer import TableCompleter

        completer = TableCompleter(root, table, conversation.targets)
    parts = Parts(
        open_lines(config.state_directory() / "repl-history", completer),
        table,
        conversation.speech(root, yes=yes, no_ai=no_ai),
        run_command,
        lambda: conversation.facts(root),
    )
    return Repl(parts, conversation.before()).run()
