"""What happened to one operation, execution or worker, in order, for people.

Knows nothing of what it records; lines are put together only when someone asks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_LIMIT: Final = 32
_KEPT_FIRST: Final = 2

Entry = tuple[float, str, str]
"""When, what, and the thing it happened with (or nothing)."""


class Story:
    """A bounded list of transitions: its first lines are kept, the oldest of the rest fall out."""

    __slots__ = ("_entries", "_left_out")

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._left_out = 0

    def __repr__(self) -> str:
        last = self._entries[-1][1] if self._entries else "nothing yet"
        return f"<Story {len(self._entries)} entries, last: {last}>"

    def note(self, now: float, what: str, thing: str = "") -> None:
        """Add a transition."""
        if len(self._entries) >= _LIMIT:
            del self._entries[_KEPT_FIRST]
            self._left_out += 1
        self._entries.append((now, what, thing))

    def lines(self, *others: Story) -> tuple[str, ...]:
        """Return one line per transition of this and other stories, by time.

        At one moment this story's beginning comes before the others, its end after them.
        """
        return tuple(_render(entry) for entry in sorted(self._merged(others), key=lambda e: e[0]))

    def _merged(self, others: Iterable[Story]) -> Iterable[Entry]:
        yield from self._entries[:1]
        for story in (*others, self):
            yield from story._entries[1 if story is self else 0 :]
            if story._left_out:
                when = story._entries[_KEPT_FIRST][0]
                yield when, f"(before this, {story._left_out} lines are left out)", ""


def _render(entry: Entry) -> str:
    now, what, thing = entry
    return f"{now:.3f} {what} {thing}".rstrip()
