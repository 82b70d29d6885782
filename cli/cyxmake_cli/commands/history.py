"""`cyxmake history`: the builds of a project."""

from __future__ import annotations

import click

from cyxmake_cli.commands.options import Common, with_options


@click.command("history", epilog="Examples: cyxmake history   |   cyxmake history -n 3 --json")
@with_options("directory", "as_json")
@click.option("-n", "--last", type=click.IntRange(1), default=20, show_default=True,
              help="How many are shown.")  # fmt: skip
def command(common: Common, last: int) -> None:
    """Show the last builds and tests of a project: when, what, how long, how they ended."""
    from cyxmake_cli.building.history import builds
    from cyxmake_cli.building.own_folder import OwnFolder

    found = builds(OwnFolder(common.directory.absolute()))[-last:]
    screen = common.screen()
    screen.document({"version": 1, "command": "history", "builds": [b.facts for b in found]})
    if common.as_json:
        return
    if not found:
        screen.say("nothing has been built here yet: `cyxmake build`")
    for build in found:
        facts = build.facts
        with_ = f"with {facts['system']}" if "system" in facts else "done"
        where = " on the cluster" if facts.get("where") == "cluster" else ""
        screen.say(
            f"{build.id}  {facts.get('status', '?'):<12} {facts.get('command', '?')} "
            f"{with_}{where}, {float(facts.get('seconds', 0)):.1f} s"
        )
