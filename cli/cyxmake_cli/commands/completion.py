"""`cyxmake completion`: have the shell complete commands, options and paths."""

from __future__ import annotations

import click

from cyxmake_cli.completion import SHELLS, script


@click.command(
    "completion",
    epilog='Examples: eval "$(cyxmake completion bash)"   |   cyxmake completion fish | source',
)
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print the script that teaches SHELL to complete `cyxmake`.

    bash and zsh evaluate it, fish sources it, PowerShell gets it through Invoke-Expression; in the
    shell's start-up file it holds for good.
    """
    click.echo(script(shell))
