"""`cyxmake audit`: what was done, and who allowed it."""

from __future__ import annotations

from pathlib import Path

import click

from cyxmake_common.errors import UsageError


@click.command("audit", epilog="Examples: cyxmake audit   |   cyxmake audit --format csv -o a.csv")
@click.option("--format", "form", type=click.Choice(["text", "json", "csv"]), default="text",
              show_default=True, help="How it is written.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A file, instead of stdout.")
@click.option("--project", type=click.Path(path_type=Path), help="Only what was done in a project.")
@click.option("--denied", is_flag=True, help="Only what was refused or blocked.")
@click.option("-n", "--last", type=click.IntRange(1), help="How many, the newest.")
def command(
    form: str, output: Path | None, project: Path | None, denied: bool, last: int | None
) -> None:
    """Show or export the audit log: every act, its risk, what decided, and for which project."""
    from cyxmake_cli.safety.audit import AuditLog, export

    place = str(project.absolute()) if project else None
    found = [
        entry
        for entry in AuditLog().entries()
        if place in (None, entry.project)
        if not denied or entry.decision in ("refused", "blocked")
    ]
    text = export(found[-last:] if last else found, form)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}") from error
