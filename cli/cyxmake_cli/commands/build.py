"""`cyxmake build`: build a project with its own build system."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cyxmake_cli.commands.options import Common, with_options, with_wanted
from cyxmake_common.errors import ExitStatus

if TYPE_CHECKING:
    from cyxmake_cli.commands.local_build import Wanted


@click.command(
    "build",
    epilog="Examples: cyxmake build   |   cyxmake build -C project --type release app -j8",
)
@with_options("directory", "verbose", "quiet", "dry_run", "colours", "as_json", "yes", "no_ai")
@with_wanted("build")
@click.option("--clean-first", is_flag=True, help="First remove what earlier builds made.")
@click.option(
    "--auto-fix",
    is_flag=True,
    help="When it fails, try to repair it: `cyxmake auto`. So does --yes.",
)
def command(
    common: Common,
    wanted: Wanted,
    clean_first: bool,
    auto_fix: bool,
) -> ExitStatus:
    """Build TARGETS of a project (default: all of it), configured first where that is needed.

    Knows CMake, Meson, autotools, Bazel, SCons, Cargo, Go, Maven, Gradle, pnpm, Yarn, npm, Python
    packages, ninja and make. Compiles go to the cluster when one is configured (`cyxmake login`),
    as with `cyxmake dbuild`.
    """
    from cyxmake_cli.commands.local_build import prepare

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
