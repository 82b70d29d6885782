"""`cyxmake dbuild`: build a project, its compiles on the cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cyxmake_cli.building.own_folder import FOLDER as OWN_FOLDER
from cyxmake_cli.commands.options import Common
from cyxmake_cli.commands.recorded import recorded
from cyxmake_common.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from cyxmake_cli.building.screen import Screen
    from cyxmake_cli.safety.gate import Gate


@click.command(
    "dbuild",
    epilog="Examples: cyxmake dbuild   |   cyxmake dbuild -C project app test --jobs 32 --verbose",
)
@click.argument("targets", nargs=-1)
@click.option(
    "-C", "directory", type=click.Path(path_type=Path), default=Path(),
    help="The project (default: the current directory).",
)  # fmt: skip
@click.option(
    "--strategy", type=click.Choice(["compile-units", "targets", "whole-project", "hybrid"]),
    help="How the build is cut into actions (default: compile-units).",
)  # fmt: skip
@click.option(
    "--build-dir", type=click.Path(path_type=Path),
    help="Where the project builds (default: where its build.ninja or Makefile is, else `build`).",
)  # fmt: skip
@click.option("-j", "--jobs", type=click.IntRange(1, 10_000), help="Edges under way at a time.")
@click.option("-k", "--keep-going", type=click.IntRange(0),
              help="Stop after this many failures (default: 1); 0 never stops.")  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Show each command, and why it ran locally.")
@click.option("-q", "--quiet", is_flag=True, help="Show only what tools say, and failures.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would run, and run nothing.")
@click.option(
    "-d", "debug", multiple=True, type=click.Choice(["explain", "keepdepfile", "keeprsp"]),
    help="As ninja's -d: say why edges run; keep depfiles or response files.",
)  # fmt: skip
@click.option("--coordinator", help="Address of the coordinator, instead of the token's own.")
@click.option("--cache/--no-cache", default=None, help="Whether to use results of earlier builds.")
@click.option("--local/--cluster", "local_only", default=None, help="Use no cluster at all.")
@click.option(
    "--download", type=click.Choice(["all", "toplevel", "minimal"]),
    help="Outputs to bring home: all (default), those of the targets, or only what is read here.",
)  # fmt: skip
@click.option(
    "--place", type=click.Choice(["auto", "cluster"]),
    help="Run actions where they are done first (auto, the default), or always in the cluster.",
)  # fmt: skip
@click.option(
    "--remap-paths/--no-remap-paths", default=None,
    help="Name the project by a fixed path in debug information, so that checkouts share it.",
)  # fmt: skip
@click.option(
    "--no-ident/--ident", default=None,
    help="Leave the compiler's version text out of objects: then workers of other kinds fit, too.",
)  # fmt: skip
@click.option(
    "--summary", type=click.Path(path_type=Path), help="Write the build's figures here, as JSON."
)
@click.option(
    "--option", "options", multiple=True, metavar="OPT",
    help="Handed to cmake, meson or configure when the project is configured; may be repeated.",
)  # fmt: skip
@click.option(
    "--test", is_flag=True, help="whole-project: run the project's tests there, too.",
)  # fmt: skip
@click.option(
    "--artifacts", "patterns", multiple=True, metavar="GLOB",
    help="whole-project: what to bring home, below the project; may be repeated.",
)  # fmt: skip
@click.option(
    "--platform", metavar="CPU-OS",
    help="whole-project: where to build, as arm64-linux, or aarch64 (default: like this machine).",
)  # fmt: skip
@click.option(
    "--network/--no-network", default=None,
    help="whole-project: whether the build may fetch things (default: as the tool needs it).",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(0), default=0.0, metavar="SECONDS",
    help="whole-project: stop the build after this long (default: the worker's own limit).",
)  # fmt: skip
@click.option(
    "--overwrite", is_flag=True,
    help="whole-project: write over files that no such build has brought.",
)  # fmt: skip
@recorded
def command(
    targets: tuple[str, ...],
    directory: Path,
    strategy: str | None,
    build_dir: Path | None,
    jobs: int | None,
    keep_going: int | None,
    verbose: bool,
    quiet: bool,
    dry_run: bool,
    debug: tuple[str, ...],
    coordinator: str | None,
    cache: bool | None,
    local_only: bool | None,
    download: str | None,
    place: str | None,
    remap_paths: bool | None,
    no_ident: bool | None,
    summary: Path | None,
    options: tuple[str, ...],
    **whole_only: Any,
) -> ExitStatus:
    """Build TARGETS of a CMake, Meson, ninja, autotools or Make project, compiles on the cluster.

    With --strategy whole-project, a project of any known build system on one worker.

    The outputs are those of a local build, byte for byte; ninja and make find nothing to do after.
    Without a cluster (CYXMAKE_TOKEN, `cyxmake login`) the build brings its own. What no option says
    is looked up in the environment, the project's cyxmake.toml and your own (`cyxmake config`).
    """
    from cyxmake_cli.build import BuildRequest, build
    from cyxmake_cli.settings import Strategy, load

    flags = {
        "build.strategy": strategy,
        "build.jobs": jobs,
        "build.keep_going": keep_going,
        "build.download": download,
        "build.place": place,
        "build.directory": None if build_dir is None else str(build_dir),
        "cluster.coordinator": coordinator,
        "cluster.enabled": None if local_only is None else not local_only,
        "cache.enabled": cache,
        "cache.remap_paths": remap_paths,
        "build.no_ident": no_ident,
    }
    settings = load(directory, flags=flags).settings
    whole = settings.build.strategy is Strategy.WHOLE_PROJECT
    if settings.build.strategy is Strategy.HYBRID:
        from cyxmake_cli.explain_strategy import whole_project_reason

        reason = whole_project_reason(directory, elsewhere=whole_only["platform"] is not None)
        whole = bool(reason)
        if whole and not quiet:
            click.echo(f"cyxmake: built as a whole: {reason}")
    common = Common(directory, verbose=verbose, quiet=quiet)
    has_fixes = (directory / OWN_FOLDER / "recovery").is_dir()
    if whole:
        from cyxmake_cli.whole import WholeRequest, build_whole

        job = WholeRequest(
            settings,
            directory=directory,
            targets=targets,
            options=options,
            quiet=quiet,
            verbose=verbose,
            dry_run=dry_run,
            summary=summary,
            **whole_only,
        )
        if not has_fixes:
            return build_whole(job)
        from cyxmake_cli.recovery.on_cluster import build_whole_with_fixes

        return build_whole_with_fixes(job, *_judged(common))
    _refuse(whole_only)
    request = BuildRequest(
        settings,
        targets=targets,
        directory=directory,
        configure_options=options,
        verbose=verbose,
        quiet=quiet,
        dry_run=dry_run,
        debug=frozenset(debug),
        summary=summary,
    )
    if not has_fixes:
        return build(request)
    from cyxmake_cli.recovery.on_cluster import build_with_fixes

    return build_with_fixes(request, *_judged(common))


def _judged(common: Common) -> tuple[Gate, Screen]:
    """Return what judges and shows what is done for fixes."""
    screen = common.screen()
    return common.gate(screen, str(common.directory.absolute())), screen


def _refuse(whole_only: dict[str, Any]) -> None:
    """Refuse options that only mean something for a whole project; raises UsageError."""
    for name, value in whole_only.items():
        if value not in (None, False, (), 0.0):
            option = "artifacts" if name == "patterns" else name
            raise UsageError(
                f"--{option} is for whole projects", next_step="add --strategy whole-project"
            )
