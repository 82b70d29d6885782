"""Takes a fix back: the places, the settings that hung on it, and the recipe that named it.

Knows the journal, no build system: configuring again is left to the next build.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cyxmake_cli.building.own_folder import OwnFolder
from cyxmake_cli.building.perform import configure_again
from cyxmake_cli.layers.record import LayerRecord
from cyxmake_cli.recovery.fixes import (
    AddFlags,
    AddOptions,
    Alias,
    ObtainPackages,
    RunTool,
    SetVariables,
)
from cyxmake_cli.recovery.journal import Journal, State, Transaction
from cyxmake_cli.recovery.recipe import write_recipe

CONFIGURES: Final = (AddFlags, AddOptions, Alias, ObtainPackages, RunTool, SetVariables)
"""Fixes that may change what configuring finds."""


def take_back(journal: Journal, source: Path, found: Transaction, why: str) -> list[str]:
    """Undo a transaction; returns the places that somebody changed since. Raises CyxError."""
    if isinstance(found.fix, ObtainPackages):
        LayerRecord(source).remove(found.fix.packages)
    left = journal.undo(found, why)
    if isinstance(found.fix, CONFIGURES):
        configure_again(OwnFolder(source), found.build)
    if found.state is State.KEPT:
        keep_recipe(journal, source)
    return left


def keep_recipe(journal: Journal, source: Path) -> None:
    """Write down what is kept, for the next checkout; raises ConfigError."""
    kept = [t for t in journal.all() if t.state is State.KEPT]
    write_recipe(OwnFolder(source), ((t.fix, t.cause) for t in kept))
