"""`cyxmake create`: a new project from a description."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cyxmake_cli.commands.options import Common, with_options
from cyxmake_cli.creation.model import Kind, Language, Licence
from cyxmake_common.errors import ExitStatus, ProjectError, UsageError

if TYPE_CHECKING:
    from cyxmake_cli.building.screen import Screen
    from cyxmake_cli.creation.make import Plan
    from cyxmake_cli.creation.model import Spec


def _one_of(values: type[StrEnum]) -> click.Choice[str]:
    return click.Choice([one.value for one in values], case_sensitive=False)


@click.command(
    "create",
    epilog='Examples: cyxmake create "a small C++ command line tool that counts words, MIT"   |   '
    'cyxmake create "a REST API" --language go --name notes --dry-run   |   '
    "cyxmake create --undo --dir notes",
)
@click.argument("description", required=False)
@with_options("verbose", "quiet", "dry_run", "colours", "as_json", "yes")
@click.option("--name", help="Name of the project (default: from the description).")
@click.option("--language", type=_one_of(Language), help="Instead of the one it says.")
@click.option("--kind", type=_one_of(Kind), help="Instead of the one it says.")
@click.option("--license", "licence", type=_one_of(Licence), help="Instead of the one it says.")
@click.option("--dir", "place", type=click.Path(path_type=Path),
              help="Where it is made (default: ./NAME).")  # fmt: skip
@click.option("--git/--no-git", "with_git", default=None,
              help="Make a repository with a first commit (default: if git is here and the place "
              "is in none).")  # fmt: skip
@click.option("--no-build", is_flag=True, help="Do not build and test it at once.")
@click.option("--undo", "undone", is_flag=True,
              help="Remove what `create` made in --dir and nobody has changed.")  # fmt: skip
@click.option("--list", "listed", is_flag=True, help="Show which kinds each language has.")
def command(
    common: Common,
    description: str | None,
    name: str | None,
    language: str | None,
    kind: str | None,
    licence: str | None,
    place: Path | None,
    with_git: bool | None,
    no_build: bool,
    undone: bool,
    listed: bool,
) -> ExitStatus:
    """Make a new project from a DESCRIPTION in plain words, build it and run its tests.

    The words say language, kind and licence; options count more. What is made is a working start:
    build file, sources, a test, README, .gitignore, licence. Nothing is ever overwritten.
    """
    from cyxmake_cli.creation.offers import Chosen, decide
    from cyxmake_cli.creation.understand import understand

    screen = common.screen()
    if listed:
        return _list(screen)
    if undone:
        return _undo(common, screen, place)
    if not description or not description.strip():
        raise UsageError("nothing is said of what is to be made", next_step="see create --help")
    chosen = Chosen(
        name,
        Language(language) if language else None,
        Kind(kind) if kind else None,
        Licence(licence) if licence else None,
    )
    spec = decide(description, understand(description), chosen)
    plan = _plan(spec, place, with_git)
    if not no_build:
        _need_tools(spec)
    _show(spec, plan, screen)
    home = os.path.expanduser("~")  # noqa: PTH111 - may not exist
    from cyxmake_cli.creation import make

    make.check_place(plan.place, home)
    gate = common.gate(screen, str(plan.place))
    allowed = gate.permit(plan.act())
    document: dict[str, Any] = {
        "version": 1, "command": "create", "project": spec.as_json(),
        "directory": str(plan.place), "files": list(plan.files), "dry_run": common.dry_run,
        "problems": [], "build": None, "test": None,
    }  # fmt: skip
    if not allowed:
        screen.document(document)
        return ExitStatus.OK if common.dry_run else ExitStatus.DENIED
    make.write(plan)
    problems = [make.lock(plan)]
    status = ExitStatus.OK if no_build else _try(common, screen, plan, document)
    # Only now is it known which layers the project needs: they are part of the first commit.
    problems.append(make.commit(plan) if plan.repository else "")
    document["problems"] = [problem for problem in problems if problem]
    for problem in document["problems"]:
        screen.say(f"cyxmake: {problem}")
    if status is ExitStatus.OK:
        screen.say(f"cyxmake: {plan.place} is made; what to change is in its README.md")
    screen.document(document)
    return status


def _plan(spec: Spec, place: Path | None, with_git: bool | None) -> Plan:
    from cyxmake_cli.creation.make import Plan, wants_repository
    from cyxmake_cli.creation.offers import MAKINGS
    from cyxmake_cli.creation.render import render
    from cyxmake_cli.git import git

    target = Path(os.path.abspath(place or spec.name))  # noqa: PTH100 - symlinks stay as spelled
    author = (git(Path.cwd(), "config", "user.name") or b"").decode("utf-8", "replace").strip()
    files = render(spec, author or f"the authors of {spec.name}", datetime.now(UTC).year)
    why_not = wants_repository(target)
    if with_git and why_not == "git is not here":
        raise ProjectError("git is not here", next_step="install it, or leave out --git")
    making = MAKINGS[spec.language]
    repository = with_git if with_git is not None else not why_not
    return Plan(target, files, making.locks, making.lock, repository)


def _need_tools(spec: Spec) -> None:
    from cyxmake_cli.creation.offers import MAKINGS
    from cyxmake_cli.systems.detect import missing_tools
    from cyxmake_cli.systems.table import SYSTEMS

    system = SYSTEMS[MAKINGS[spec.language].system]
    if missing := missing_tools(system, Path.cwd()):
        names = " and ".join(" or ".join(group) for group in missing)
        raise ProjectError(
            f"{system.title} needs {names}, and none is installed",
            next_step="install it (`cyxmake doctor` says how), or make it with --no-build",
        )


def _show(spec: Spec, plan: Plan, screen: Screen) -> None:
    screen.note(
        f"cyxmake: {spec.name}: {spec.language.value} {spec.kind.value}, "
        f"licence {spec.licence.value}, in {plan.place}"
    )
    for assumed in spec.assumed:
        screen.note(f"  assumed: {assumed}")


def _try(common: Common, screen: Screen, plan: Plan, document: dict[str, Any]) -> ExitStatus:
    """Build and test what was made, as `cyxmake auto` and `cyxmake test` do."""
    from dataclasses import replace

    from cyxmake_cli.commands.auto import build_until_it_works
    from cyxmake_cli.commands.local_build import Wanted, prepare
    from cyxmake_cli.systems.model import Verb

    there = replace(common, directory=plan.place)
    prepared = replace(prepare(there, Wanted(Verb.BUILD, local_only=True)), screen=screen)
    # What it needs and is not here is got as `auto` gets it: asked about, and not installed.
    status, document["build"] = build_until_it_works(prepared)
    if status is ExitStatus.OK:
        prepared = replace(prepare(there, Wanted(Verb.TEST, local_only=True)), screen=screen)
        report = prepared.run()
        status, document["test"] = report.status, report.as_json()
    if status is not ExitStatus.OK:
        verb = "test" if document["test"] else "build"
        screen.say(f"cyxmake: {plan.place} is made, but its {verb} does not succeed here")
    return status


def _undo(common: Common, screen: Screen, place: Path | None) -> ExitStatus:
    from cyxmake_cli.commands.clean import clean
    from cyxmake_cli.creation.make import check_made, undo

    target = Path(os.path.abspath(place or Path()))  # noqa: PTH100 - symlinks stay as spelled
    gate = common.gate(screen, str(target))
    check_made(target)
    project = _opened(target)
    done = undo(target, gate, lambda: clean(project, gate, screen, asked=True) if project else None)
    if done is None:
        return ExitStatus.OK if common.dry_run else ExitStatus.DENIED
    removed, kept = done
    screen.say(f"cyxmake: removed {len(removed)} files of {target}")
    for path, reason in kept:
        screen.say(f"  stays: {path} ({reason})")
    stays = [{"file": path, "reason": reason} for path, reason in kept]
    screen.document({"version": 1, "command": "create", "undone": removed, "kept": stays})
    return ExitStatus.OK


def _opened(target: Path) -> Any:
    from cyxmake_cli.building.project import open_project

    try:
        return open_project(target)
    except ProjectError:
        return None


def _list(screen: Screen) -> ExitStatus:
    from cyxmake_cli.creation.offers import OFFERED

    offered = {one.value: [k.value for k in Kind if (one, k) in OFFERED] for one in Language}
    screen.document({"version": 1, "command": "create", "offered": offered})
    if not screen.look.as_json:
        for language, kinds in offered.items():
            screen.say(f"  {language:<11} {', '.join(kinds)}")
    return ExitStatus.OK
