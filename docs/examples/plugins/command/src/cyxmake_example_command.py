"""The command `cyxmake greet`."""

import click


@click.command("greet")
@click.argument("name", default="world")
def command(name: str) -> None:
    """Greet NAME."""
    click.echo(f"Hello, {name}!")
