"""`cyxmake auto`: build until it works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cyxmake_cli.commands.options import Common, with_options, with_wanted
from cyxmake_common.errors import ExitStatus

if TYPE_CHECKING:
    from cyxmake_cli.building.perform import Report
    from cyxmake_cli.commands.local_build import Prepared, Wanted


@click.command("auto", epilog="Examples: cyxmake auto   |   cyxmake auto -C project --yes")
@with_options("directory", "verbose", "quiet", "dry_run", "colours", "as_json", "yes", "no_ai")
@with_wanted("build")
def command(common: Common, wanted: Wanted) -> ExitStatus:
    """Build TARGETS until it works: find the cause of each failure, and try what may help.

    Every fix is asked about, checked by building again, and taken back when it did not help; what
    helped stays in force and is written down for the next checkout (docs/RECOVERY.md). The machine
    itself is never changed without a person's yes. `cyxmake undo` takes everything back.
    """
    from cyxmake_cli.commands.local_build import prepare

    return run(prepare(common, wanted))


def run(prepared: Prepared) -> ExitStatus:
    """Build what was prepared until it works, and print the document."""
    if prepared.gate.dry_run:
        return _show(prepared)
    status, document = build_until_it_works(prepared)
    prepared.screen.document(document)
    return status


def build_until_it_works(prepared: Prepared) -> tuple[ExitStatus, dict[str, Any]]:
    """Build what was prepared until it works; returns the JSON document of `auto`."""
    from cyxmake_cli import config
    from cyxmake_cli.commands.second_opinion import second_opinion
    from cyxmake_cli.recovery.memory import Memory
    from cyxmake_cli.recovery.resolving import Resolving
    from cyxmake_cli.recovery.run import Recovery

    screen = prepared.screen
    cache = config.cache_directory()
    resolving = Resolving(cache, prepared.project.source, screen.note)
    asked = second_opinion(prepared.ai, screen)
    recovery = Recovery(
        prepared.project,
        prepared.task,
        prepared.gate,
        screen,
        prepared.attempt,
        resolving,
        Memory(cache),
        asked,
    )
    try:
        outcome = recovery.run()
    finally:
        resolving.close()
        if asked is not None:
            asked.close()
    found = outcome.report.as_json() if outcome.report is not None else {}
    return outcome.status, found | {
        "status": outcome.status.name.lower(),
        "exit_code": int(outcome.status),
        "end": outcome.end.name.lower(),
        "repairs": outcome.as_json(),
    }


def _show(prepared: Prepared) -> ExitStatus:
    """Say what would be run and repaired; do nothing."""
    from cyxmake_cli.recovery.preview import last_failure, recipe_left

    screen = prepared.screen
    for words in recipe_left(prepared.project):
        screen.say(f"the recipe: would {words}")
    status = prepared.run().status
    if failure := last_failure(prepared.project):
        screen.say("should it fail as the last time:")
        for line in _would(prepared, *failure):
            screen.say(f"  {line}")
    return status


def tell_what_would_help(prepared: Prepared, report: Report) -> None:
    """After a failed build, say what would be tried; change nothing."""
    from cyxmake_cli.recovery.preview import recipe_left

    failed = report.failed
    if failed is not None:
        for line in _would(prepared, failed.stdout + b"\n" + failed.stderr, failed.exit_code)[:1]:
            prepared.screen.say(f"cyxmake: {line}")
    if left := recipe_left(prepared.project):
        prepared.screen.say(
            f"cyxmake: the project brings a recipe of {len(left)} fixes that are not in force;"
            " `cyxmake build -y` applies it"
        )


def _would(prepared: Prepared, output: bytes, status: int) -> list[str]:
    from cyxmake_cli import config
    from cyxmake_cli.recovery.memory import Memory
    from cyxmake_cli.recovery.preview import sentences, would_try
    from cyxmake_cli.recovery.resolving import Resolving

    cache = config.cache_directory()
    resolving = Resolving(cache, prepared.project.source, prepared.screen.note, fetch=False)
    try:
        found = would_try(prepared.project, output, status, resolving, Memory(cache))
    finally:
        resolving.close()
    return sentences(found)
