"""`cyxmake permissions`: what is asked about, what is always allowed, what is never done."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.group("permissions", epilog="Examples: cyxmake permissions show   |   permissions forget")
def command() -> None:
    """Show the rules that everything that acts goes by, and take back answers "always"."""


@command.command("show", epilog="Example: cyxmake permissions show --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(as_json: bool) -> None:
    """Show how each kind of act is judged, and what was answered with "always"."""
    from cyxmake_cli.safety.answers import Answers
    from cyxmake_cli.safety.permissions import RISKS

    answers = Answers().all()
    if as_json:
        kinds = {kind.value: risk.name.lower() for kind, risk in RISKS.items()}
        click.echo(json.dumps({"version": 1, "kinds": kinds, "always": answers}, indent=2))
        return
    for kind, risk in RISKS.items():
        click.echo(f"  {kind.value:<16} {risk.name.lower()}")
    click.echo("An act outside of the project is dangerous or blocked, whatever its kind.")
    for project, keys in answers.items():
        click.echo(f"always allowed in {project}: {', '.join(keys)}")


@command.command("forget", epilog="Example: cyxmake permissions forget -C project clean")
@click.option("-C", "directory", type=click.Path(path_type=Path), default=Path(),
              help="The project (default: the current directory).")  # fmt: skip
@click.argument("key", required=False)
def forget(directory: Path, key: str | None) -> None:
    """Ask again in a project: about KEY, or about everything."""
    from cyxmake_cli.safety.answers import Answers

    project = str(directory.absolute())
    found = Answers().forget(project, key)
    click.echo("forgotten" if found else f"nothing is always allowed in {project}")
