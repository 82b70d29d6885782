"""The event loop that long-running programs run on.

Knows nothing of what they do.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """Run a program's main coroutine, on libuv's loop where there is one."""
    if sys.platform == "win32":
        return asyncio.run(main)
    import uvloop  # half the time per message of asyncio's own, most of it in TLS

    return uvloop.run(main)
