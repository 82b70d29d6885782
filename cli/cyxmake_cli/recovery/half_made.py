"""Outputs that a failed rule of make left half made: they go, or make would take them for done.

Only files that a build of ours made, as it left them, which make itself names as failed; ninja and
`.DELETE_ON_ERROR` do the same.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from cyxmake_cli.building.journal import Journal as BuildJournal
from cyxmake_cli.building.journal import look
from cyxmake_cli.building.project import LocalProject
from cyxmake_cli.systems.model import SystemName

_FAILED: Final = re.compile(
    r"^make(?:\[\d+\])?: \*\*\* \[(?:[^\]\n]*?:\d+: )?([^\]\n]+)\] Error \d", re.M
)
_ENTERED: Final = re.compile(r"^make(?:\[\d+\])?: Entering directory '([^'\n]+)'", re.MULTILINE)


def remove_half_made(project: LocalProject, log: str) -> list[str]:
    """Remove what failed rules left; returns the paths."""
    if project.spec.name not in (SystemName.MAKE, SystemName.AUTOTOOLS):
        return []
    places = [str(project.build), *_ENTERED.findall(log)]
    made = BuildJournal.load(project.own).files
    removed = []
    for target in dict.fromkeys(_FAILED.findall(log)):
        for place in dict.fromkeys(places):
            path = os.path.normpath(os.path.join(place, target))  # noqa: PTH118 - pure text
            if path in made and look(path) == made[path]:
                with suppress(OSError):
                    Path(path).unlink()
                    removed.append(path)
    return removed
