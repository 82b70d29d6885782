"""`cyxmake replay`: run an action that failed again, exactly as it was."""

from __future__ import annotations

import asyncio
import shlex
import sys
from typing import TYPE_CHECKING

import click

from cyxmake_cli import config
from cyxmake_common.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from cyxmake_cli.replay.bundle import Bundle, Ending
    from cyxmake_cli.replay.running import Kept


@click.command("replay", epilog="Example: cyxmake replay 3f9a2c   |   cyxmake replay --list")
@click.argument("name", metavar="ID", required=False)
@click.option("--list", "listed", is_flag=True, help="Show the failed actions that are kept.")
@click.option("--clear", is_flag=True, help="Remove all of them.")
@click.option("--sandbox", is_flag=True, help="In the sandbox that workers use (default).")
@click.option("--local", is_flag=True, help="With this machine's own tools.")
@click.option("--worker", metavar="NAME", help="On one worker of the cluster.")
@click.option("--shell", is_flag=True, help="Open a shell there instead of running the command.")
def command(
    name: str | None,
    listed: bool,
    clear: bool,
    sandbox: bool,
    local: bool,
    worker: str | None,
    shell: bool,
) -> None:
    """Run a failed action of a build again: same command, same inputs, whatever changed since.

    ID is what the build that failed has named, or the beginning of it. The inputs are laid out in a
    directory of their own: nothing of the project is touched. --shell opens a shell among them, at
    the project's own paths, and prints the command; it sees this machine's tools.

    Ends with 0 when the action ends as it did before, with 1 when it ends in another way.
    """
    from cyxmake_cli.replay.running import Kept
    from cyxmake_cli.replay.store import ReplayStore

    if sandbox + local + (worker is not None) > 1:
        raise UsageError("--sandbox, --local and --worker exclude each other")
    store = ReplayStore(config.state_directory() / "replay")
    if clear:
        store.clear()
        return
    if listed:
        _list(store.all())
        return
    if name is None:
        raise UsageError("which one?", next_step="cyxmake replay --list")
    kept = Kept(store.find(name), store)
    if shell:
        if sandbox or worker is not None:
            raise UsageError("a shell needs this machine's tools: leave --sandbox or --worker out")
        sys.exit(asyncio.run(_shell(kept)))
    ended = asyncio.run(_run(kept, local, worker))
    sys.exit(_tell(kept.bundle, ended))


def _list(bundles: list[Bundle]) -> None:
    if not bundles:
        click.echo("no failed action is kept")
    for bundle in bundles:
        click.echo(
            f"{bundle.id}  {bundle.time}  {bundle.target}: {bundle.line} "
            f"({bundle.ending}, {bundle.ending.where})"
        )


async def _run(kept: Kept, local: bool, worker: str | None) -> Ending:
    from cyxmake_cli.cluster.session import client_token
    from cyxmake_cli.replay import running

    cache = config.cache_directory()
    if worker is not None:
        token = client_token(None)
        if token is None:
            raise UsageError("no cluster is configured", next_step="cyxmake login TOKEN")
        return await running.on_worker(kept, worker, token, cache)
    with running.scratch(cache / "replays") as place:
        run = running.in_place if local else running.in_sandbox
        return await run(kept, place)


async def _shell(kept: Kept) -> int:
    from cyxmake_cli.replay import running

    bundle = kept.bundle
    click.echo(f"# in {bundle.directory}; it ended with {bundle.ending}: {bundle.line}")
    click.echo(shlex.join(bundle.arguments))
    with running.scratch(config.cache_directory() / "replays") as place:
        return await running.shell(kept, place)


def _tell(bundle: Bundle, ended: Ending) -> ExitStatus:
    from cyxmake_common.diagnosis.cause import first_cause

    sys.stdout.buffer.write(ended.output)
    sys.stdout.flush()
    cause = first_cause(ended.output, ended.exit_code) if ended.exit_code else None
    fingerprint = cause.fingerprint if cause is not None else ""
    before = bundle.ending
    same = (ended.kind, ended.cause, ended.exit_code) == (
        before.kind,
        before.cause,
        before.exit_code,
    ) and (not bundle.fingerprint or fingerprint == bundle.fingerprint)
    verdict = "the same as" if same else f"not as ({before}: {bundle.line})"
    withheld = f"; without the variables {', '.join(bundle.withheld)}" if bundle.withheld else ""
    click.echo(f"{ended}, {ended.where}{withheld}: {verdict} on {bundle.time}, {before.where}")
    return ExitStatus.OK if same else ExitStatus.BUILD_FAILED
