"""What a coordinator at the log level `debug` wrote down, and what must never stand there.

Knows nothing of processes: a log file comes in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

_GIVEN_UP: Final = ("worker_given_up", "worker_went")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log; `at` in seconds since the epoch."""

    at: float
    event: str
    fields: dict[str, object]

    def is_(self, event: str, **fields: object) -> bool:
        """Tell whether this is an event with these fields."""
        return self.event == event and all(self.fields.get(k) == v for k, v in fields.items())


@dataclass(frozen=True, slots=True)
class Loss:
    """How long it took until a worker was given up, and until its actions had another one."""

    found: float
    moved: tuple[float, ...]


def read_journal(log: Path) -> list[Line]:
    """Return the lines of a log; what is no whole line of JSON is left out."""
    lines = []
    for text in log.read_text("utf-8", "replace").splitlines():
        if not text.startswith("{"):
            continue
        try:
            fields = json.loads(text)
        except ValueError:
            continue  # the line that is being written
        at = datetime.fromisoformat(fields.pop("timestamp")).timestamp()
        lines.append(Line(at, fields.pop("event"), fields))
    return lines


def wrongs(lines: Iterable[Line]) -> list[str]:
    """Return what breaks the promise that a finished action is done, once and for all."""
    found = []
    done: set[object] = set()
    counted: set[object] = set()
    for line in lines:
        action, lease = line.fields.get("action"), line.fields.get("lease")
        if line.event == "lease_assigned" and action in done:
            found.append(f"{action} is given to {line.fields['worker']} after its end")
        elif line.event == "action_ended" and line.fields["succeeded"]:
            if action in done:
                found.append(f"{action} has ended twice")
            done.add(action)
        elif line.event == "lease_finished" and line.fields["counts"]:
            if lease in counted:
                found.append(f"two results of the lease {lease} count")
            counted.add(lease)
        elif line.fields.get("level") in ("error", "critical"):
            found.append(f"{line.event}: {line.fields}")
    return found


def loss_of(lines: Iterable[Line], worker: str, since: float) -> Loss:
    """Return how quickly a fault of a worker at a moment was found and made good."""
    held: dict[object, object] = {}
    given_up: float | None = None
    waiting: set[object] = set()
    moved = []
    for line in lines:
        action, lease = line.fields.get("action"), line.fields.get("lease")
        if given_up is not None:
            if line.event == "lease_assigned" and action in waiting:
                moved.append(line.at - given_up)
            if line.event in ("lease_assigned", "action_ended"):
                waiting.discard(action)
        elif line.fields.get("worker") != worker:
            continue
        elif line.event == "lease_assigned":
            held[lease] = action
        elif line.event in ("lease_finished", "lease_refused", "lease_revoked"):
            held.pop(lease, None)
        elif line.event in _GIVEN_UP and line.at >= since:
            given_up, waiting = line.at, set(held.values())
    if given_up is None:
        raise AssertionError(f"the loss of {worker} was never found")
    if waiting:
        raise AssertionError(f"{len(waiting)} actions of {worker} went nowhere")
    return Loss(given_up - since, tuple(moved))
