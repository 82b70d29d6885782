"""Installs packages through the gate: names are checked to exist first, and a person is asked.

Knows the table of package managers, and whether one is here.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from cyxmake_cli.safety.gate import Gate
from cyxmake_cli.safety.permissions import Act, ActKind
from cyxmake_cli.tools.known import known_tools
from cyxmake_cli.tools.packages import MANAGERS, PackageManager, argvs, checked, says_it_exists
from cyxmake_common.errors import ProjectError
from cyxmake_common.execution.process import ProcessRequest, ProcessResult, run_process

Runner = Callable[[tuple[str, ...], Path], ProcessResult]


def available(which: Callable[[str], str | None] = shutil.which) -> tuple[PackageManager, ...]:
    """Return the package managers of this machine, its system's own first."""
    return tuple(m for m in MANAGERS.values() if sys.platform in m.platforms and which(m.program))


def package_of(tool: str, manager: str) -> str:
    """Return how a manager calls the package of a tool."""
    known = known_tools().get(tool)
    return known.packages.get(manager, tool) if known else tool


def ways_to_get(tool: str, managers: Iterable[PackageManager]) -> tuple[tuple[str, str], ...]:
    """Return managers of this machine with the package that brings a tool, the best first."""
    known = known_tools().get(tool)
    named = known.packages if known else {}
    found = [(m.name, named.get(m.name, tool)) for m in managers if m.system or m.name in named]
    return tuple(sorted(found, key=lambda way: way[0] not in named))


def run_here(argv: tuple[str, ...], cwd: Path) -> ProcessResult:
    """Run a command of a package manager to its end."""
    environ = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return asyncio.run(
            run_process(ProcessRequest(argv, cwd=cwd, environment=environ, timeout=600, merge=True))
        )
    except OSError as error:
        raise ProjectError(f"{argv[0]} cannot be run: {error.strerror}") from error


def exists(manager: PackageManager, name: str, cwd: Path, run: Runner = run_here) -> bool:
    """Ask a manager whether it knows a package; raises CyxError."""
    done = run(argvs(manager.exists, (checked(name),))[0], cwd)
    return says_it_exists(manager, name, done.stdout.decode("utf-8", "replace"), done.exit_code)


def install(
    manager: PackageManager,
    names: Sequence[str],
    gate: Gate | None,
    cwd: Path,
    run: Runner = run_here,
) -> bool:
    """Install packages; False: not allowed. Raises CyxError for what is not there, or fails.

    Without a gate it was allowed before.
    """
    wanted = tuple(map(checked, names))
    if missing := [name for name in wanted if not exists(manager, name, cwd, run)]:
        raise ProjectError(
            f"{manager.name} knows no package {', '.join(missing)}",
            next_step="update its list of packages, or look for another name",
        )
    return _act(
        ActKind.INSTALL_PACKAGE, "install", manager, manager.install, wanted, gate, cwd, run
    )


def remove(
    manager: PackageManager,
    names: Sequence[str],
    gate: Gate,
    cwd: Path,
    run: Runner = run_here,
) -> bool:
    """Remove packages; False: not allowed. Raises CyxError where that fails, or cannot be done."""
    if manager.remove is None:
        raise ProjectError(f"{manager.name} has no way to remove a package")
    wanted = tuple(map(checked, names))
    return _act(ActKind.REMOVE_PACKAGE, "remove", manager, manager.remove, wanted, gate, cwd, run)


def _act(
    kind: ActKind,
    verb: str,
    manager: PackageManager,
    words: tuple[str, ...],
    names: tuple[str, ...],
    gate: Gate | None,
    cwd: Path,
    run: Runner,
) -> bool:
    what = f"{verb} {', '.join(names)} with {manager.name}"
    for argv in argvs(_as_root(manager, words), names):
        act = Act(kind, what, argv, detail=(" ".join(argv),))
        if gate is not None and not gate.permit(act):
            return False
        done = run(argv, cwd)
        if not done.succeeded:
            said = done.stdout.decode("utf-8", "replace").strip().splitlines()[-3:]
            raise ProjectError(
                f"{manager.name} could not {verb} {', '.join(names)}: {' / '.join(said)}",
                next_step=f"run `{' '.join(argv)}` yourself",
            )
    return True


def _as_root(manager: PackageManager, words: tuple[str, ...]) -> tuple[str, ...]:
    needs = manager.system and hasattr(os, "geteuid") and os.geteuid() != 0
    return ("sudo", "-n", *words) if needs else words
