"""The builds of all traps side by side, and what is asked of each case.

Knows no single trap.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import pytest

from support.trap_build import Trial

needs_tools = pytest.mark.skipif(
    not all(
        shutil.which(tool)
        for tool in ("gcc", "g++", "clang", "clang++", "ninja", "ccache", "llvm-profdata")
    ),
    reason="needs both compilers, llvm-profdata, ninja and ccache",
)
"""Without these tools no trap can be shown."""


@dataclass(frozen=True, slots=True)
class Trials:
    """First build, from the cache, in a second checkout, and after the inputs changed."""

    first: Trial
    again: Trial
    elsewhere: Trial
    changed: Trial


def check_remote(trials: Trials, *names: str, changes: bool = False, moves: bool = True) -> None:
    """The cases are compiled remotely and come from the cache; in all builds they equal ninja's.

    `changes`: after the inputs changed they are compiled again. `moves`: a second checkout might
    use the same results; otherwise it must compile for itself.
    """
    for name in names:
        assert trials.first.place(name).startswith("w"), (name, trials.first.place(name))
        assert trials.again.place(name) == "cache", (name, trials.again.place(name))
        assert trials.changed.place(name).startswith("w" if changes else "cache"), name
        assert moves or trials.elsewhere.place(name).startswith("w"), name
        for trial in (trials.first, trials.again, trials.elsewhere, trials.changed):
            trial.check_remote(name)


def check_local(trials: Trials, name: str, reason: str, *, same_bytes: bool = True) -> None:
    """The case runs here in every build, for that reason."""
    for trial in (trials.first, trials.again, trials.elsewhere, trials.changed):
        trial.check_local(name, reason, same_bytes=same_bytes)


def check_whole(trial: Trial) -> None:
    """The whole build directory holds what ninja's does: no file more, none less."""
    assert trial.cluster.status == trial.ninja.status == 1  # some cases fail on purpose
    assert sorted(trial.cluster.files) == sorted(trial.ninja.files)
