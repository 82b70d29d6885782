"""When Python's collector may stop everything to walk through objects: rarely while builds run.

Knows nothing of what the objects are. What operations leave is in no cycle and is freed as they
end: the collector finds nothing in it, and yet, left to itself, walks through what lives a hundred
times a minute, for some milliseconds each, and every few seconds through all that a thousand
workers are, for a tenth of a second, in which nothing is dispatched. What connections leave when
they end has cycles; a minute's worth of that can wait.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Final

_YOUNG: Final = 0
_LOOK_SECONDS: Final = 60.0
_LOOKS_AT_MOST: Final = 15
"""After so many looks everything is walked through in the middle of a build, too."""


def settle() -> None:
    """Collect what the start left, take what stays out of all later walks, and have no others."""
    gc.collect()
    gc.freeze()
    gc.disable()


async def collect_between_builds(idle: Callable[[], bool]) -> None:
    """Collect what is new once a minute, and everything after a build, until cancelled."""
    looks = 0
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        looks += 1
        if looks >= _LOOKS_AT_MOST or (looks > 1 and idle()):
            gc.collect()
            looks = 0
        else:
            gc.collect(_YOUNG)
