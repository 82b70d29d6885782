"""What every build begins with: the settings of fixes in force, and a word on interrupted ones.

Knows the journal and the build systems, no diagnosis and no engine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Final

from cyxmake_cli.building.own_folder import OwnFolder
from cyxmake_cli.building.perform import Task
from cyxmake_cli.building.project import LocalProject
from cyxmake_cli.layers.environment import environment
from cyxmake_cli.layers.use import ProjectLayers
from cyxmake_cli.recovery.apply import raise_open_files
from cyxmake_cli.recovery.fixes import How, RaiseLimit, Variable
from cyxmake_cli.recovery.journal import FOLDER, Journal, State, Transaction
from cyxmake_cli.recovery.overlay import (
    MAKE_FRAGMENT,
    Overlay,
    in_force,
    make_fragment,
    overlay_of,
    task_with,
    variables_for,
)
from cyxmake_cli.safety.gate import Gate
from cyxmake_cli.systems.model import SystemName
from cyxmake_common.errors import CyxError

_ASKED: Final = (Variable("GCC_EXTRA_DIAGNOSTIC_OUTPUT", "fixits-v1"),)
"""In the form of clang's parseable fix-its."""


@contextmanager
def fixes_in_force(
    project: LocalProject, task: Task, gate: Gate, also: Collection[int] = ()
) -> Iterator[Task]:
    """Build with the fixes that were kept, and with those that are being tried right now."""
    found = [t for t in Journal(project.own).all() if t.state is State.KEPT or t.id in also]
    overlay = overlay_of((t.fix, t.variables) for t in found if t.active)
    # A tool of a layer counts as here before anything is planned.
    layers = ProjectLayers(project.source)
    ready = layers.ready(gate) if layers.record.path.exists() else ()
    programs = environment(ready).programs
    overlay += Overlay(tuple(Variable("PATH", p, How.BEFORE) for p in reversed(programs)))
    if overlay == Overlay():
        yield task
        return
    if any(isinstance(t.fix, RaiseLimit) for t in found):
        with suppress(CyxError, OSError, ImportError):
            raise_open_files()
    system = project.spec.name
    makefiles: tuple[str, ...] = ()
    if system is SystemName.MAKE and (overlay.compile or overlay.link):
        fragment = project.own.write_bytes(
            f"{FOLDER}/{MAKE_FRAGMENT}", make_fragment(overlay).encode()
        )
        names = ("GNUmakefile", "makefile", "Makefile")
        own = next((n for n in names if (project.build / n).exists()), names[-1])
        makefiles = (own, str(fragment))
    with in_force(variables_for(overlay, system), str(project.source)):
        yield task_with(overlay, task, system, makefiles, os.environ)


def asking_for_fixits(project: LocalProject) -> AbstractContextManager[None]:
    """Have gcc say what it would write; only here, for such a compile goes to no worker."""
    return in_force(_ASKED, str(project.source))


def tell_of_interrupted(own: OwnFolder, say: Callable[[str], None]) -> list[Transaction]:
    """Say which fixes were interrupted, and how to take them back; returns them."""
    found = Journal(own).interrupted()
    for transaction in found:
        say(
            f"cyxmake: fix {transaction.id} was interrupted; `cyxmake undo` puts back what stood"
            " there before"
        )
    return found
