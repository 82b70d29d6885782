"""Tells quickly whether any installed package may bring a plug-in of some kind.

Knows neither packages nor plug-ins: it looks for a word in files. Asking Python's own metadata
costs the command line more than everything else it does before a command begins.
"""

from __future__ import annotations

import os
import sys

_SUFFIXES = (".dist-info", ".egg-info")


def may_be_present(group: str) -> bool:
    """Tell whether an `entry_points.txt` on the path names a group; when in doubt, it may."""
    wanted = f"[{group}]".encode()
    for place in sys.path:
        if os.path.isfile(place):  # noqa: PTH113 - an archive: only Python itself reads those
            return True
        try:
            with os.scandir(place or ".") as entries:
                found = [entry.path for entry in entries if entry.name.endswith(_SUFFIXES)]
        except OSError:
            continue
        for folder in found:
            try:
                with open(f"{folder}/entry_points.txt", "rb") as file:  # noqa: PTH123 - quicker
                    if wanted in file.read():
                        return True
            except OSError:
                continue
    return False
