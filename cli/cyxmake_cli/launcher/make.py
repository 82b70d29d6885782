"""Runs `make` with stand-ins first in PATH: the compilers that it calls by name come to the agent.

Knows no Makefiles. What make and its tools say goes straight to the terminal; where the agent or
the cluster cannot be had, make does the build alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_cli import config
from cyxmake_cli.cluster.path_maps import adds_options
from cyxmake_cli.cluster.session import client_token
from cyxmake_cli.launcher import builds, masquerade
from cyxmake_cli.launcher.builds import NO_FIGURES, AgentBuild, AgentFigures
from cyxmake_cli.launcher.home import BUILD, DISABLE, NO_START, Home
from cyxmake_cli.launcher.stub import stub
from cyxmake_cli.settings import ROOT_VARIABLE, Settings, as_environment
from cyxmake_common.errors import CyxError, ExitStatus, ProjectError

_MOST_JOBS: Final = 1_000
_STOP_SECONDS: Final = 10.0
_OBJECTS: Final = (".o", ".lo")


@dataclass(frozen=True, slots=True)
class MakeRun:
    """What to make: `targets`, options among them, in `directory`, of the project at `root`."""

    directory: Path
    root: Path
    settings: Settings
    targets: tuple[str, ...] = ()
    quiet: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """How make ended, and what became of the compiles that came by."""

    status: ExitStatus
    figures: AgentFigures


def make(run: MakeRun, note: Callable[[str], None]) -> Made:
    """Run make to its end; `note` tells a person what is special. Raises ProjectError."""
    # GNU make is what Makefiles mean; elsewhere than on Linux it may be installed beside another.
    program = (sys.platform != "linux" and shutil.which("gmake")) or shutil.which("make")
    if program is None:
        raise ProjectError("make is not installed", next_step="install GNU make")
    home = Home.of_user()
    environ = {**os.environ, **as_environment(run.settings)}
    build = None
    if run.settings.cluster.enabled and not run.dry_run:
        build = _prepare(run, home, environ, note)
    if build is None:
        _stay_here(run, home, environ, note)
    start = time.time()
    status = _run([program, *_arguments(run, build)], run.directory, environ)
    if build is None:
        return Made(status, NO_FIGURES)
    figures = builds.end(home, build, environ)
    if figures is None:
        note("warning: the launcher's agent has ended; its figures are lost")
        return Made(status, NO_FIGURES)
    asked = figures["hits"] + figures["remote"] + figures["local"]
    if not asked and not build.problem and _has_new_objects(run.directory, start):
        note("note: no compile came by: does the Makefile name its compiler by a path?")
    return Made(status, figures)


def _prepare(
    run: MakeRun, home: Home, environ: dict[str, str], note: Callable[[str], None]
) -> AgentBuild | None:
    """Have stand-ins and agent, and change the environment for them; None: make goes alone."""
    token = client_token(run.settings.cluster.coordinator)
    if token is not None:
        environ[config.TOKEN_VARIABLE] = token.text()
    try:
        path = _with_stand_ins(home, environ)
        build = builds.begin(home, environ)
    except CyxError as error:
        note(f"warning: {error}; building locally")
        return None
    if build.problem:
        note(f"warning: {build.problem}; building locally")
    environ["PATH"] = path
    environ[BUILD] = build.id
    environ[ROOT_VARIABLE] = str(run.root)
    environ.pop(DISABLE, None)
    return build


def _stay_here(
    run: MakeRun, home: Home, environ: dict[str, str], note: Callable[[str], None]
) -> None:
    """Change the environment for a build without agent: what is compiled must be the same."""
    if not adds_options(run.settings) or run.dry_run:
        environ[DISABLE] = "1"
        return
    try:
        environ["PATH"] = _with_stand_ins(home, environ)
    except CyxError as error:
        note(f"warning: {error}; paths are not remapped")
        environ[DISABLE] = "1"
        return
    environ[ROOT_VARIABLE] = str(run.root)
    environ[NO_START] = "1"
    environ.pop(DISABLE, None)


def _with_stand_ins(home: Home, environ: Mapping[str, str]) -> str:
    """Have stand-ins; returns a PATH with them. Raises CyxError."""
    path = environ.get("PATH", os.defpath)
    masquerade.install(home.masquerade, stub(home), masquerade.compiler_names(path))
    return f"{home.masquerade}{os.pathsep}{path}"


def _arguments(run: MakeRun, build: AgentBuild | None) -> list[str]:
    cpus = os.cpu_count() or 1
    # Links and what else is no compile run here, beside the compiles that wait for the cluster.
    slots = build.slots if build is not None else 0
    jobs = run.settings.build.jobs or min(_MOST_JOBS, slots + cpus)
    arguments = [f"-j{jobs}"]
    for wanted, option in (
        (run.settings.build.keep_going != 1, "-k"),
        (run.quiet, "-s"),
        (run.dry_run, "-n"),
    ):
        if wanted:
            arguments.append(option)
    return [*arguments, *run.targets]


def _run(argv: list[str], directory: Path, environ: dict[str, str]) -> ExitStatus:
    sys.stdout.flush()
    process = subprocess.Popen(argv, cwd=directory, env=environ)
    try:
        return ExitStatus.OK if process.wait() == 0 else ExitStatus.BUILD_FAILED
    except KeyboardInterrupt:
        # On a terminal make has heard of it too; it removes what is half-made.
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.kill()
            process.wait()
        return ExitStatus.CANCELLED


def _has_new_objects(directory: Path, since: float) -> bool:
    for folder, _, names in os.walk(directory):
        for name in names:
            if name.endswith(_OBJECTS) and (Path(folder) / name).stat().st_mtime >= since:
                return True
    return False
