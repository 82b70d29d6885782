"""What agents share: values by key, each with a version that says whether somebody was quicker.

Knows nothing of what the values mean. Nothing here waits, so that each call is whole by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from cyxmake_cli.agents.errors import Conflict

_MOST_BYTES: Final = 1 << 20
_MOST_KEYS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A value, how often it was written, and by whom last."""

    value: Any
    version: int
    by: str


class Memory:
    """The shared state of the agents of one project."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def __repr__(self) -> str:
        return f"<Memory {len(self._entries)} keys>"

    def get(self, key: str) -> Entry | None:
        """Return what is known under a key."""
        return self._entries.get(key)

    def put(self, key: str, value: Any, by: str, expected: int | None = None) -> Entry:
        """Write a value; raises Conflict when `expected` is not its version (0: not there yet)."""
        before = self._entries.get(key)
        version = before.version if before else 0
        if expected is not None and expected != version:
            whom = before.by if before else "nobody"
            raise Conflict(f"{key} has version {version} by {whom}, not {expected}")
        if len(json.dumps(value)) > _MOST_BYTES or (
            before is None and len(self._entries) >= _MOST_KEYS
        ):
            raise Conflict(f"{key}: the shared state has no room for it")
        entry = self._entries[key] = Entry(value, version + 1, by)
        return entry

    def items(self) -> Iterator[tuple[str, Entry]]:
        """Yield everything."""
        yield from sorted(self._entries.items())
