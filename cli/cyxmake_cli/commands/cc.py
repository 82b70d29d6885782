"""`cyxmake cc`: one compile on the cluster."""

from __future__ import annotations

import click


@click.command(
    "cc",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="Example: cyxmake cc gcc -O2 -c a.c -o a.o",
)
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> int:
    """Run a compiler, on the cluster where that is sure to give the same.

    ARGUMENTS are the compiler and what it is called with. What is no plain compile runs here.
    `cyxmake launcher install` makes the same available to Make and its like, and quicker.
    """
    from cyxmake_cli.launcher.client import launch
    from cyxmake_cli.launcher.home import STUB_NAME

    return launch((STUB_NAME, *arguments))
