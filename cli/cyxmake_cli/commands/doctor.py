"""`cyxmake doctor`: does everything work that builds rest on?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cyxmake_cli.commands.options import Common, with_options
from cyxmake_common.errors import ExitStatus

if TYPE_CHECKING:
    from cyxmake_cli.commands.doctor_checks import Check

_MARKS = {"good": "good   ", "warning": "WARNING", "bad": "BAD    ", "skipped": "-      "}


@click.command("doctor", epilog="Examples: cyxmake doctor   |   cyxmake doctor -C project --json")
@with_options("directory", "verbose", "as_json", "no_ai")
@click.option("--offline", is_flag=True, help="Do not connect to the cluster.")
def command(common: Common, offline: bool) -> ExitStatus:
    """Check tools, settings, compilers, paths, clock, cache, models, coordinator, workers.

    Compilers compile and what they made is run; a configured cluster is asked, and compiles too.
    What is bad comes with its remedy; the status is then 1.
    """
    from cyxmake_cli.commands.doctor_checks import local_checks, model_checks
    from cyxmake_cli.commands.doctor_cluster import cluster_checks

    screen = common.screen()
    found: list[Check] = []

    def tell(check: Check) -> None:
        found.append(check)
        if common.as_json or (check.state == "good" and not common.verbose and not check.told):
            return
        screen.say(f"{_MARKS[check.state]} {check.name}: {check.detail}")
        if check.fix:
            screen.say(f"          next: {check.fix}")

    directory = common.directory.absolute()
    for check in local_checks(directory):
        tell(check)
    if not common.no_ai:
        for check in model_checks(directory, offline=offline):
            tell(check)
    if not offline:
        for check in cluster_checks(directory):
            tell(check)
    bad = sum(check.state == "bad" for check in found)
    status = ExitStatus.BUILD_FAILED if bad else ExitStatus.OK
    screen.document({
        "version": 1, "command": "doctor", "exit_code": int(status),
        "checks": [{"name": c.name, "state": c.state, "detail": c.detail, "fix": c.fix}
                   for c in found],
    })  # fmt: skip
    if not common.as_json:
        screen.say(f"{len(found)} checks, {bad} bad" if bad else f"{len(found)} checks, none bad")
    return status
