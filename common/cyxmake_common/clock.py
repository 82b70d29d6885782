"""The only place that reads the real clock.

Cores never import this module: time reaches them as a value inside an event.
"""

from __future__ import annotations

import time


def wall() -> float:
    """Return the wall clock in seconds since the epoch; for people and for expiry dates."""
    return time.time()


def monotonic() -> float:
    """Return the monotonic clock in seconds; for durations and deadlines."""
    return time.monotonic()
