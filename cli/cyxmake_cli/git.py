"""What version control knows of a project: its files, and the facts of its state.

Knows git only; without it, or outside of a repository, there is nothing to know.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from cyxmake_common.errors import ProjectError
from cyxmake_common.execution.process import ProcessRequest, run_process


def git(directory: Path, *arguments: str) -> bytes | None:
    """Return what a git command says; None: no git, no repository, or it failed."""
    program = shutil.which("git")
    if program is None:
        return None
    # No lock, no hooks, no monitor: a repository is asked, not trusted to run things.
    argv = (program, "--no-optional-locks", "-c", "core.fsmonitor=false", *arguments)
    environ = {**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = asyncio.run(
            run_process(ProcessRequest(argv, cwd=directory, environment=environ, timeout=20))
        )
    except OSError:
        return None
    return done.stdout if done.succeeded else None


def tracked_files(directory: Path) -> frozenset[str]:
    """Return the absolute paths of what git tracks below a directory, submodules included.

    Raises ProjectError when there is a repository that cannot be asked: then nothing is known.
    """
    found = git(directory, "ls-files", "-z", "--cached", "--recurse-submodules")
    if found is None:
        if in_repository(directory):
            raise ProjectError(
                f"git cannot tell which files of {directory} are under version control",
                next_step=f"see `git -C {directory} ls-files`",
            )
        return frozenset()
    names = (os.fsdecode(name) for name in found.split(b"\0") if name)
    return frozenset(os.path.join(directory, name) for name in names)  # noqa: PTH118 - as spelled


def in_repository(directory: Path) -> bool:
    """Tell whether a directory is part of a git repository's work tree."""
    return any((place / ".git").exists() for place in (directory, *directory.parents))
