"""`cyxmake undo`: take back what recovery changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cyxmake_cli.commands.options import Common, with_options
from cyxmake_common.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from cyxmake_cli.recovery.journal import Journal, Transaction


@click.command(
    "undo", epilog="Examples: cyxmake undo   |   cyxmake undo 3   |   cyxmake undo --list"
)
@click.argument("ids", nargs=-1, type=int, metavar="[ID]...")
@with_options("directory", "dry_run", "as_json", "yes")
@click.option("--list", "list_", is_flag=True, help="Show every fix, and how it ended.")
@click.option("--all", "all_", is_flag=True, help="Everything that is in force.")
def command(common: Common, ids: tuple[int, ...], list_: bool, all_: bool) -> ExitStatus:
    """Put back what stood there before fixes: those of the last run, those with an ID, or all.

    Files come back byte for byte, with their modes and times. What somebody changed after a fix
    stays, and is named. An interrupted fix is taken back in the same way.
    """
    from cyxmake_cli.building.own_folder import OwnFolder
    from cyxmake_cli.recovery.fixes import as_json, summary_of
    from cyxmake_cli.recovery.journal import Journal

    screen = common.screen()
    source = common.directory.absolute()
    journal = Journal(OwnFolder(source))
    known = journal.all()
    if list_:
        for t in known:
            why = f" ({t.why})" if t.why else ""
            screen.say(f"{t.id:>4}  {t.state.value:<8} {t.cause}: {summary_of(t.fix)}{why}")
        rows = [
            {"id": t.id, "time": t.time, "state": t.state.value, "cause": t.cause, "why": t.why,
             "fix": as_json(t.fix)}
            for t in known
        ]  # fmt: skip
        screen.document(_document(fixes=rows))
        return ExitStatus.OK
    chosen = _chosen(known, ids, all_)
    if not chosen:
        screen.note("cyxmake: no fix is in force here")
        screen.document(_document())
        return ExitStatus.OK
    return _undo(common, journal, chosen)


def _document(**found: Any) -> dict[str, Any]:
    return {"version": 1, "command": "undo", "undone": [], "left": [], "fixes": []} | found


def _chosen(known: list[Transaction], ids: tuple[int, ...], all_: bool) -> list[Transaction]:
    active = [t for t in known if t.active]
    if all_ or not active:
        return active
    if not ids:
        return [t for t in active if t.run == active[-1].run]
    found = [t for t in active if t.id in ids]
    if missing := set(ids) - {t.id for t in found}:
        raise UsageError(
            f"no fix in force has the id {', '.join(map(str, sorted(missing)))}",
            next_step="see `cyxmake undo --list`",
        )
    places = {b.path for t in found for b in t.before if not b.volatile}
    later = [
        t for t in active
        if t not in found and t.id > min(ids) and places & {b.path for b in t.before}
    ]  # fmt: skip
    if later:
        raise UsageError(
            f"fix {later[-1].id} came later and changed the same place",
            next_step=f"cyxmake undo {' '.join(str(t.id) for t in (*found, *later))}",
        )
    return found


def _undo(common: Common, journal: Journal, chosen: list[Transaction]) -> ExitStatus:
    from cyxmake_cli.recovery.fixes import after_undo, summary_of
    from cyxmake_cli.recovery.undoing import take_back
    from cyxmake_cli.safety.permissions import Act, ActKind

    screen = common.screen()
    source = common.directory.absolute()
    gate = common.gate(screen, str(source))
    words = [f"{t.id}: {summary_of(t.fix)}" for t in reversed(chosen)]
    # Whoever types `undo` has said so: it is asked about only where a rule says so.
    act = Act(ActKind.WRITE_OWN, f"take back {len(chosen)} fixes", detail=tuple(words))
    if not gate.permit(act):
        return ExitStatus.OK if common.dry_run else ExitStatus.DENIED
    left: list[str] = []
    with journal.at_work():
        for found in reversed(chosen):
            kept = take_back(journal, source, found, "asked for")
            left += kept
            if kept:
                screen.say(
                    f"cyxmake: fix {found.id}: changed after the fix, and left as it is:"
                    f" {', '.join(kept)}; what stood there before is in"
                    f" {journal.folder_of(found)}"
                )
            else:
                said = after_undo(found.fix) or f"is taken back: {summary_of(found.fix)}"
                screen.note(f"cyxmake: fix {found.id}: {said}")
    done = [t.id for t in reversed(chosen)]
    screen.document(_document(undone=done, left=left))
    return ExitStatus.BUILD_FAILED if left else ExitStatus.OK
