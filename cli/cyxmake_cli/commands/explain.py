"""`cyxmake explain`: why did this rebuild, run here, miss the cache?"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from cyxmake_common.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cyxmake_cli.analysis.detectors import Project
    from cyxmake_cli.cluster.history import History, UnitRecord


_TAIL: Final = 15
"""Lines of output shown where no cause is known."""


@click.command(
    "explain", epilog="Examples: cyxmake explain failure   |   explain miss src/main.c.o"
)
@click.argument(
    "question",
    type=click.Choice(["failure", "miss", "rebuild", "placement", "strategy", "causes"]),
)
@click.argument("path", default="")
@click.option(
    "-C", "directory", type=click.Path(path_type=Path), default=Path(),
    help="The project (default: the current directory).",
)  # fmt: skip
@click.option(
    "--build-dir", type=click.Path(path_type=Path),
    help="Where the project builds (default: its build.ninja, else `build`).",
)  # fmt: skip
def command(question: str, path: str, directory: Path, build_dir: Path | None) -> None:
    """Say why the last build failed, an output was compiled anew (miss), or ran where it did.

    PATH is an output, or a part of its name; `miss` and `placement` speak of the last build,
    `rebuild` of the next.
    `strategy` says of each target of the next build how --strategy hybrid would do it, and why.
    `causes` says what actions on the cluster fail for, what most of them fail for first.
    """
    if question == "causes":
        _causes()
        return
    if question == "failure":
        _failure(directory)
        return
    if not path and question != "strategy":
        raise UsageError(f"`explain {question}` needs an output", next_step="name one, as main.o")
    from cyxmake_cli.analysis.detectors import detect
    from cyxmake_cli.settings import load

    flags = {"build.directory": None if build_dir is None else str(build_dir)}
    settings = load(directory, flags=flags).settings
    named = settings.build.directory
    if question == "strategy":
        from cyxmake_cli.explain_strategy import explain

        for line in explain(directory, settings):
            click.echo(line)
        return
    project = detect(directory, None if named is None else Path(named))
    if question == "rebuild":
        _rebuild(project.build, path)
    else:
        _last_build(project, path, placement=question == "placement")


def _causes() -> None:
    from cyxmake_cli.commands.status import cause_line, cluster_status

    status = cluster_status()
    if status is None:
        raise UsageError(
            "no cluster is configured", next_step="cyxmake login TOKEN; or look at the last build"
        )
    for cause in status.causes:
        click.echo(f"{cause.category} {cause.fingerprint}: {cause_line(cause)}")
    if not status.causes:
        click.echo("nothing fails on the cluster, as far as it remembers")


def _failure(directory: Path) -> None:
    """Say how the last build that is remembered ended, the cause of its failure, and its end."""
    from cyxmake_cli import config
    from cyxmake_cli.building.history import builds
    from cyxmake_cli.building.own_folder import OwnFolder
    from cyxmake_cli.knowledge.advice import advice

    found = builds(OwnFolder(directory.absolute()))
    if not found:
        raise UsageError("nothing has been built here yet", next_step="run `cyxmake build`")
    last = found[-1]
    command, status = last.facts.get("command", "build"), last.facts.get("status", "?")
    if status == "ok":
        click.echo(f"the last {command} ({last.id}) did not fail")
        return
    click.echo(f"the last {command} ({last.id}) ended with: {str(status).replace('_', ' ')}")
    try:
        output = last.log.read_bytes()
    except OSError:
        output = b""
    code = int(last.facts.get("exit_code") or 1)
    cause = advice(output, code, directory.absolute(), config.cache_directory())
    click.echo(f"cause: {cause}" if cause else "no cause is certain; the end of its output:")
    lines = output.decode("utf-8", "replace").splitlines()
    for line in () if cause else lines[-_TAIL:]:
        click.echo(f"  {line}")
    click.echo("all of its output: cyxmake logs")


def _rebuild(build: Path, path: str) -> None:
    from cyxmake_cli.ninja.disk import RealDisk
    from cyxmake_cli.ninja.session import BuildGraph, Options

    graph = BuildGraph.load(RealDisk(str(build)), Options(dry_run=True, explain=True))
    graph.plan()
    edges = [edge for edge in graph.wanted() if any(path in str(n.path) for n in edge.outputs)]
    if not edges:
        click.echo(f"{path}: up to date, or nothing that is built by default")
    for edge in edges:
        click.echo(str(edge.outputs[0].path))
        for reason in graph.explanations(edge):
            click.echo(f"  {reason}")


def _last_build(project: Project, path: str, *, placement: bool) -> None:
    from cyxmake_cli.cluster.history import NOT_BUILT_BEFORE
    from cyxmake_cli.cluster.lookup import HOLDS_PATH

    named = os.path.abspath(path)  # noqa: PTH100 - symlinks stay as they are spelled
    for history in _histories(project):
        root = history.root
        tail = named[len(root) :] if named.startswith(root + "/") else path
        found = {n: record for n, record in history.units().items() if path in n or tail in n}
        if found:
            break
    if not found:
        raise UsageError(
            f"no build of this project here made anything named {path}",
            next_step="run `cyxmake dbuild` first, or name an output such as main.c.o",
        )
    for name, record in sorted(found.items()):
        place = f"on {record.worker}" if record.place == "remote" else record.place
        click.echo(f"{name.replace('{root}/', '')}: {place or 'not finished'}")
        if placement:
            for line in (*(record.why if record.place == "local" else ()), *_workers(record)):
                click.echo(f"  {line.replace('{root}/', '')}")
            continue
        if record.place == "cache":
            click.echo("  its inputs were those of a stored result")
        for reason in record.why:
            click.echo(f"  {reason.replace('{root}/', '')}")
            if reason.startswith(HOLDS_PATH):
                click.echo(
                    "  debug information, `__FILE__`, a warning or a macro of the command line"
                    " does; `cache.remap_paths` takes it out of the first two"
                )
        if record.why == [NOT_BUILT_BEFORE]:
            _nearest(history, name, json.loads(record.preimage))


def _workers(record: UnitRecord) -> Iterator[str]:
    """Say of the cluster's other workers why they could not, or how they could, run a unit."""
    from cyxmake_cli import config
    from cyxmake_cli.commands.status import cluster_status
    from cyxmake_cli.explain_workers import placements
    from cyxmake_common.errors import CyxError
    from cyxmake_common.toolchain.identity import ToolchainStore

    fields = json.loads(record.preimage)
    if record.place == "cache":
        return
    if "platform" not in fields:
        if record.place == "remote":
            yield "what a worker would need is not known: the build asked no cache"
        return
    try:
        status = cluster_status()
    except CyxError as error:
        yield f"which workers could run it is not known: {error}"
        return
    if status is None:
        return
    required = tuple((name, value) for name, value in fields["platform"])
    store = ToolchainStore(config.cache_directory() / "toolchains")
    toolchain = store.captured(fields["toolchain"])
    if toolchain is not None:
        required += toolchain.elsewhere(fields["arguments"], fields["environment"])
    yield from placements(status.workers, required, fields["toolchain"], record.worker)


def _histories(project: Project) -> Iterator[History]:
    """Yield what may know of the last build: of `dbuild`, then of make with the launcher."""
    from cyxmake_cli import config
    from cyxmake_cli.build import shared_root
    from cyxmake_cli.cluster.history import History
    from cyxmake_cli.launcher import builds
    from cyxmake_cli.launcher.home import Home
    from cyxmake_cli.launcher.rooms import project_root

    kept, root = config.cache_directory() / "history", shared_root(project)
    builds.save(Home.of_user())
    yield History(kept, root, str(project.source))
    real = os.path.realpath(project.build)
    for place in dict.fromkeys((root, os.path.realpath(root), project_root(real, os.environ))):
        yield History(kept, place, place)


def _nearest(history: History, name: str, fields: dict[str, Any]) -> None:
    """Say where else this user has built the same unit, and why that was no hit."""
    from cyxmake_cli.cluster.stored import nearest

    found = nearest(history, name, fields)
    if found is None:
        return
    root, reasons = found
    if not reasons:
        click.echo(f"  the key is that of {root}, whose result is no longer stored")
    for reason in reasons:
        click.echo(f"  against {root}: {reason.replace('{root}/', '')}")
