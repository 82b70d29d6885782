"""Places that every machine has for itself: what stands there cannot be had on a worker.

Knows no files. A worker's sandbox brings its own `/dev` and `/proc`, over whatever an input root
has there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from cyxmake_common.toolchain.local import LocalOnly

_OWN: Final = ("/dev/", "/proc/")


def refuse_own_places(places: Iterable[str]) -> LocalOnly | None:
    """Say which of some absolute paths without dots is in such a place, if one is."""
    for place in places:
        if place.startswith(_OWN):
            return LocalOnly(f"{place} is where each machine has its own files")
    return None
