"""`cyxmake clean`: remove what builds made, and nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from cyxmake_cli.commands.options import BUILD_DIR, SYSTEM, Common, with_options

if TYPE_CHECKING:
    from cyxmake_cli.building.project import LocalProject
    from cyxmake_cli.building.screen import Screen
    from cyxmake_cli.safety.gate import Gate

_SHOWN = 20


@click.command("clean", epilog="Examples: cyxmake clean --dry-run   |   cyxmake clean --yes")
@with_options("directory", "verbose", "quiet", "dry_run", "colours", "as_json", "yes")
@BUILD_DIR
@SYSTEM
def command(common: Common, build_dir: str | None, system: str | None) -> None:
    """Remove what `cyxmake build` made in a project, after asking.

    A file goes only if it was not there before a build, is as the build left it, and is not under
    version control. Everything else stays, and is named with the reason.
    """
    from cyxmake_cli.building.project import open_project
    from cyxmake_cli.settings import load

    flags = {"build.directory": build_dir, "build.system": system}
    named = load(common.directory, flags=flags).settings.build
    project = open_project(common.directory, named.directory, named.system)
    screen = common.screen()
    gate = common.gate(screen, str(project.source), str(project.build))
    screen.document(clean(project, gate, screen, asked=False))


def clean(project: LocalProject, gate: Gate, screen: Screen, *, asked: bool) -> dict[str, Any]:
    """Clean a project; `asked`: its owner has said so already. Returns the JSON document."""
    from cyxmake_cli.building.cleaning import plan_clean, remove
    from cyxmake_cli.building.journal import Journal
    from cyxmake_cli.git import tracked_files
    from cyxmake_cli.safety.permissions import Act, ActKind

    journal = Journal.load(project.own)
    build = os.path.relpath(project.build, project.source)
    plan = plan_clean(
        journal,
        (str(project.source), str(project.build)),
        tracked_files(project.source),
        (*project.spec.made, *(() if build == "." else (build,))),
    )
    found: dict[str, Any] = {"version": 1, "command": "clean", "removed": 0, "files": plan.files,
                             "kept": [{"file": f, "reason": r} for f, r in plan.kept]}  # fmt: skip
    for path, reason in plan.kept[:_SHOWN]:
        screen.note(f"stays: {os.path.relpath(path, project.source)} ({reason})")
    if not plan.files and not plan.folders:
        screen.note(f"cyxmake: no build made anything that is still here in {project.source}")
        return found
    shown = [os.path.relpath(path, project.source) for path in plan.files[:_SHOWN]]
    if len(plan.files) > _SHOWN:
        shown.append(f"... and {len(plan.files) - _SHOWN} more")
    act = Act(
        ActKind.WRITE_OWN if asked else ActKind.CLEAN,
        f"remove {len(plan.files)} files that builds made in {project.source}",
        removes=plan.files,
        detail=tuple(shown),
    )
    if not gate.permit(act):
        return found
    files, folders = remove(plan, journal)
    journal.save()
    screen.note(f"cyxmake: removed {files} files and {folders} empty folders")
    return found | {"removed": files}
