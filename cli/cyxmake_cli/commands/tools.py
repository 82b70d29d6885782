"""`cyxmake tools`: the programs of this machine that builds use."""

from __future__ import annotations

from dataclasses import asdict

import click

from cyxmake_cli.commands.options import Common, with_options
from cyxmake_common.errors import ExitStatus, UsageError


@click.command("tools", epilog="Examples: cyxmake tools   |   cyxmake tools cmake ninja --json")
@click.argument("names", nargs=-1)
@with_options("as_json")
@click.option("--missing", is_flag=True, help="Show also what is not here, and how to get it.")
def command(common: Common, names: tuple[str, ...], missing: bool) -> ExitStatus:
    """Show where tools are, which version, and what that version can.

    With NAMES only those; the status is then 1 when one of them is not here.
    """
    from cyxmake_cli.tools.discovery import Discovery
    from cyxmake_cli.tools.installing import available, ways_to_get
    from cyxmake_cli.tools.known import known_tools

    known = known_tools()
    if unknown := [name for name in names if name not in known]:
        raise UsageError(
            f"no tool is called {unknown[0]!r}", next_step=f"one of {', '.join(sorted(known))}"
        )
    found = Discovery().find(names or known)
    here = {tool.name for tool in found}
    absent = [name for name in names or known if name not in here]
    managers = available() if absent else ()
    screen = common.screen()
    screen.document({
        "version": 1, "command": "tools", "tools": [asdict(tool) for tool in found],
        "missing": [{"name": n, "packages": dict(ways_to_get(n, managers))} for n in absent],
    })  # fmt: skip
    if not common.as_json:
        for tool in found:
            can = f"  ({', '.join(tool.can)})" if tool.can else ""
            screen.say(f"{tool.name:<14} {tool.version or '-':<12} {tool.path}{can}")
        for name in absent if missing or names else ():
            ways = [f"{manager}: {package}" for manager, package in ways_to_get(name, managers)]
            screen.say(f"{name:<14} not here     {'; '.join(ways)}")
    return ExitStatus.BUILD_FAILED if names and absent else ExitStatus.OK
