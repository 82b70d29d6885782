"""Reads server-sent events, the form in which all providers stream.

Knows no provider: lines in, the data of each event out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def events(lines: Iterable[str]) -> Iterator[str]:
    """Yield the data of each event; comments, names and ids are left out."""
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield "\n".join(data)
                data = []
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
    if data:  # some servers leave out the last empty line
        yield "\n".join(data)
