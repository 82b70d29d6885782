"""`cyxmake plugin`: what other packages bring."""

from __future__ import annotations

import json

import click

from cyxmake_common.errors import ExitStatus


@click.group("plugin", epilog="Examples: cyxmake plugin list   |   cyxmake plugin list --json")
def command() -> None:
    """Show plug-ins: packages that bring tools, rules, providers, hooks or commands.

    A plug-in is installed as any Python package, beside CyxMake (docs/PLUGINS.md).
    """


@command.command("list", epilog="Example: cyxmake plugin list --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(as_json: bool) -> ExitStatus:
    """Load every plug-in, and say which are left out and why; status 1 when one is."""
    from cyxmake_cli.plugins.load import Group, load

    found = [
        {"group": group.value, "name": plugin.name, "package": plugin.package,
         "problem": plugin.problem or _taken(group, plugin.name)}
        for group in Group
        for plugin in load(group)
    ]  # fmt: skip
    if as_json:
        click.echo(json.dumps({"version": 1, "plugins": found}, indent=2))
    for one in () if as_json else found:
        state = f"left out: {one['problem']}" if one["problem"] else "good"
        click.echo(f"{one['group']:<18} {one['name']:<20} {one['package']:<30} {state}")
    if not found and not as_json:
        click.echo("no plug-in is installed")
    broken = any(one["problem"] for one in found)
    return ExitStatus.BUILD_FAILED if broken else ExitStatus.OK


def _taken(group: str, name: str) -> str:
    """Say when a plug-in has a name of ours."""
    from cyxmake_cli.llm.services import SERVICES
    from cyxmake_cli.main import cyxmake
    from cyxmake_cli.plugins.load import Group
    from cyxmake_cli.tools.table import TOOLS

    ours = {
        Group.TOOL: TOOLS,
        Group.PROVIDER: SERVICES,
        Group.COMMAND: getattr(cyxmake, "summaries", {}),
    }
    return "the name is taken" if name in ours.get(Group(group), ()) else ""
