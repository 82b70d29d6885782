"""When Python's collector may stop everything to walk all objects: between builds, not in them.

Knows nothing of what the objects are. With a thousand workers a full collection takes a tenth of a
second, in which nothing is dispatched, and left to itself it comes every few seconds of a build.
What is young is collected as ever, in a millisecond, and most of our garbage is in no cycle anyway.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Final

from cyxmake_common.clock import monotonic

_YOUNG: Final = 10_000
_YOUNG_ROUNDS: Final = 5
_NEVER: Final = 1 << 30
_LOOK_SECONDS: Final = 30.0
_LONGEST_SECONDS: Final = 900.0


def settle() -> None:
    """Collect what the start left, take what stays out of all later walks, and walk less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _YOUNG_ROUNDS, _NEVER)


async def collect_between_builds(idle: Callable[[], bool]) -> None:
    """Walk everything when nothing is under way, and now and then anyway, until cancelled."""
    collected, worked = monotonic(), False
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        resting = idle()
        if (worked and resting) or monotonic() - collected > _LONGEST_SECONDS:
            gc.collect()
            collected = monotonic()
        worked = not resting
