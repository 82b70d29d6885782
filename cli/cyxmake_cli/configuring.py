"""Configures a project for `dbuild`: its tool's output as it comes, a cause where it fails.

Knows nothing of what is built then, and repairs nothing.
"""

from __future__ import annotations

import asyncio
import shutil
import sys

from cyxmake_cli.analysis.detectors import BuildSystem, Project
from cyxmake_cli.config import cache_directory
from cyxmake_common.errors import ProjectError
from cyxmake_common.execution.process import ProcessRequest, run_process


def configure(project: Project) -> None:
    """Run what configures a project; raises ProjectError, with the cause where one is certain."""
    argv = project.configure_command or ()
    directory = None
    if project.system is BuildSystem.AUTOTOOLS:
        directory = project.build
        directory.mkdir(parents=True, exist_ok=True)
    elif shutil.which(argv[0]) is None:
        raise ProjectError(f"{argv[0]} is not installed", next_step=f"install {argv[0]}")
    sys.stdout.flush()
    try:
        done = asyncio.run(run_process(ProcessRequest(argv, cwd=directory, heard=_show)))
    except OSError as error:
        raise ProjectError(f"{argv[0]} cannot be run: {error.strerror}") from error
    if not done.succeeded:
        from cyxmake_cli.knowledge.advice import advice

        output = done.stdout + b"\n" + done.stderr
        cause = advice(output, done.exit_code, project.source, cache_directory())
        raise ProjectError(
            f"{project.system} could not configure {project.source}"
            f" ({cause or f'exit status {done.exit_code}'})",
            next_step="`cyxmake build -y` looks for what helps"
            if cause
            else "see its output above",
        )


def _show(stream: int, data: bytes) -> None:
    file = sys.stderr if stream else sys.stdout
    file.buffer.write(data)
    file.flush()
