"""`cyxmake build`: build a project with its own build system."""

from __future__ import annotations

import click

from cyxmake_cli.commands.options import (
    BUILD_DIR,
    CLUSTER,
    JOBS,
    OPTION,
    SYSTEM,
    TYPE,
    Common,
    with_options,
)
from cyxmake_common.errors import ExitStatus


@click.command(
    "build",
    epilog="Examples: cyxmake build   |   cyxmake build -C project --type release app -j8",
)
@click.argument("targets", nargs=-1)
@with_options("directory", "verbose", "quiet", "dry_run", "colours", "as_json", "yes", "no_ai")
@TYPE
@BUILD_DIR
@JOBS
@SYSTEM
@OPTION
@CLUSTER
@click.option("--clean-first", is_flag=True, help="First remove what earlier builds made.")
@click.option(
    "--auto-fix",
    is_flag=True,
    help="When it fails, try to repair it: `cyxmake auto`. So does --yes.",
)
def command(
    common: Common,
    targets: tuple[str, ...],
    type_: str | None,
    build_dir: str | None,
    jobs: int | None,
    system: str | None,
    options: tuple[str, ...],
    local_only: bool | None,
    clean_first: bool,
    auto_fix: bool,
) -> ExitStatus:
    """Build TARGETS of a project (default: all of it), configured first where that is needed.

    Knows CMake, Meson, autotools, Bazel, SCons, Cargo, Go, Maven, Gradle, pnpm, Yarn, npm, Python
    packages, ninja and make. Compiles go to the cluster when one is configured (`cyxmake login`),
    as with `cyxmake dbuild`.
    """
    from cyxmake_cli.commands.local_build import Wanted, prepare
    from cyxmake_cli.systems.model import Verb

    wanted = Wanted(
        Verb.BUILD, targets, type_, build_dir, jobs, system, options, local_only=local_only
    )
    prepared = prepare(common, wanted)
    if clean_first:
        from cyxmake_cli.commands.clean import clean

        clean(prepared.project, prepared.gate, prepared.screen, asked=True)
    if auto_fix or common.yes:
        from cyxmake_cli.commands.auto import run

        return run(prepared)
    report = prepared.run()
    if report.status is ExitStatus.BUILD_FAILED:
        from cyxmake_cli.commands.auto import tell_what_would_help

        tell_what_would_help(prepared, report)
    if not common.dry_run:
        prepared.screen.document(report.as_json())
    return report.status
