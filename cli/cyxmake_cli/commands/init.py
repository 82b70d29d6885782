"""`cyxmake init`: find out what a repository is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cyxmake_cli.commands.options import Common, with_options
from cyxmake_common.errors import ExitStatus, ProjectError

if TYPE_CHECKING:
    from cyxmake_cli.analysis.model import Analysis
    from cyxmake_cli.building.screen import Screen

_SHOWN = 8


@click.command("init", epilog="Examples: cyxmake init   |   cyxmake init -C project --json --check")
@with_options("directory", "dry_run", "as_json")
@click.option("--plan", is_flag=True, help="Also write .cyxmake/plan.json, for you to change.")
@click.option("--check", is_flag=True,
              help="Only say whether the analysis still holds; status 1 if not.")  # fmt: skip
def command(common: Common, plan: bool, check: bool) -> ExitStatus:
    """Analyse a repository and write .cyxmake/cache.json.

    Name, languages, build systems with their evidence, targets, dependencies (installed or
    missing), versions asked for, commands of README and CI, the state of git.
    """
    from cyxmake_cli.analysis.analyse import CACHE, analyse, as_json, what_changed
    from cyxmake_cli.analysis.files import files_of
    from cyxmake_cli.building.own_folder import OwnFolder

    root = common.directory.absolute()
    if not root.is_dir():
        raise ProjectError(f"{root} is not a directory", next_step="name a project with -C")
    screen, own = common.screen(), OwnFolder(root)
    files = files_of(root)
    if check:
        changed = what_changed(own.read(CACHE), files)
        screen.document({"version": 1, "command": "init", "current": not changed,
                         "changes": changed.lines()})  # fmt: skip
        for line in changed.lines():
            screen.say(line)
        if not changed:
            screen.say("the analysis still holds")
        return ExitStatus.BUILD_FAILED if changed else ExitStatus.OK
    analysis = analyse(root, files)
    found = as_json(analysis)
    if not common.dry_run:
        own.write(CACHE, found)
        if plan:
            _write_plan(root, screen)
    screen.document({key: value for key, value in found.items() if key != "fingerprint"})
    if not common.as_json:
        _show(analysis, screen)
    return ExitStatus.OK


def _write_plan(root: Any, screen: Screen) -> None:
    from cyxmake_cli.building.project import PLAN, as_plan, open_project

    project = open_project(root)
    if project.overridden:
        screen.say(f"{project.own.path / PLAN} stays as it is")
        return
    screen.say(f"wrote {project.own.write(PLAN, as_plan(project))}")


def _show(found: Analysis, screen: Screen) -> None:
    version = f" {found.project_version}" if found.project_version else ""
    screen.say(f"{found.name}{version}: {found.files} files, {found.bytes / 1e6:.1f} MB")
    spoken = ", ".join(f"{one.name} {one.files}" for one in found.languages[:_SHOWN])
    screen.say(f"  languages     {spoken or 'none'}")
    for part in found.components[:_SHOWN]:
        where = part.evidence[0] if part.evidence else {"file": "?", "line": 0}
        others = f"; also {', '.join(part.others)}" if part.others else ""
        screen.say(f"  builds with   {part.system} in {part.directory} "
                   f"({where['file']}:{where['line']}, {part.confidence:.0%}){others}")  # fmt: skip
    if not found.components:
        screen.say("  builds with   nothing that is known")
    screen.say(f"  targets       {_names([t.name for t in found.targets])}")
    needed = [d for d in found.dependencies if d.kind in ("run", "build")]
    missing = [d.name for d in needed if d.installed is False]
    screen.say(f"  dependencies  {_names([d.name for d in needed])}")
    if missing:
        screen.say(f"  missing here  {_names(missing)}")
    if found.versions:
        asked = ", ".join(f"{v.tool} {v.version}" for v in found.versions[:_SHOWN])
        screen.say(f"  asks for      {asked}")
    if found.git:
        state = f"{found.git['changed']} changed, {found.git['untracked']} untracked"
        screen.say(f"  git           {found.git['branch'] or 'no branch'}, {state}")


def _names(names: list[str]) -> str:
    names = list(dict.fromkeys(names))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more if names else "none"
