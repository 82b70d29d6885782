"""Counts what came of a build's edges: one tally for the screen and for the summary file.

Knows nothing of terminals; time comes in as a value.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TypedDict


class Races(TypedDict):
    """What ran in two places at once: who won, and the seconds of what lost."""

    won_here: int
    won_there: int
    regret_seconds: float


class CauseCount(TypedDict):
    """Why edges failed, and how many: `first` is the first output of the first of them."""

    fingerprint: str
    line: str
    count: int
    first: str


class Summary(TypedDict):
    """The machine-readable summary (`dbuild --summary FILE`); names stay in later versions."""

    wall: float
    actions: int
    cache_hits: int
    remote: int
    local: int
    local_reasons: dict[str, int]
    failed: int
    healed: int
    bytes_up: int
    bytes_down: int
    workers: dict[str, int]
    compile_seconds: float
    speedup: float
    exit_code: int
    races: Races
    causes: list[CauseCount]


@dataclass
class Tally:
    """Running counts; `total` is how many edges the plan wanted to run at its start."""

    total: int = 0
    done: int = 0
    running: int = 0
    cache_hits: int = 0
    remote: int = 0
    local: int = 0
    failed: int = 0
    healed: int = 0
    """Compiles that were sent twice, because the include scan had missed a file."""
    bytes_up: int = 0
    bytes_down: int = 0
    seconds: float = 0.0
    won_here: int = 0
    won_there: int = 0
    regret: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    workers: Counter[str] = field(default_factory=Counter)
    causes: list[CauseCount] = field(default_factory=list)

    def eta(self, elapsed: float) -> float | None:
        """Return the seconds left at the rate so far, or None before anything is known."""
        if not self.done or elapsed <= 0:
            return None
        return (self.total - self.done) * elapsed / self.done

    def summary(self, wall: float, exit_code: int) -> Summary:
        """Return the figures of a build that took `wall` seconds."""
        return Summary(
            wall=round(wall, 3),
            actions=self.done,
            cache_hits=self.cache_hits,
            remote=self.remote,
            local=self.local,
            local_reasons=dict(self.reasons.most_common()),
            failed=self.failed,
            healed=self.healed,
            bytes_up=self.bytes_up,
            bytes_down=self.bytes_down,
            workers=dict(self.workers.most_common()),
            compile_seconds=round(self.seconds, 3),
            speedup=round(self.seconds / wall, 2) if wall > 0 else 0.0,
            exit_code=exit_code,
            races=Races(
                won_here=self.won_here,
                won_there=self.won_there,
                regret_seconds=round(self.regret, 3),
            ),
            causes=self.causes,
        )


def render(summary: Summary) -> list[str]:
    """Return the lines that end a build on the screen."""
    lines = [
        f"{summary['actions']} actions in {summary['wall']:.1f} s: "
        f"{summary['cache_hits']} from the cache, {summary['remote']} remote, "
        f"{summary['local']} local" + (f", {summary['failed']} failed" if summary["failed"] else "")
    ]
    if summary["local_reasons"]:
        reasons = ", ".join(f"{text} ({n})" for text, n in summary["local_reasons"].items())
        lines.append(f"local because: {reasons}")
    if summary["healed"]:
        lines.append(f"sent twice, for a file that the include scan missed: {summary['healed']}")
    races = summary["races"]
    if races["won_here"] or races["won_there"]:
        lines.append(
            f"begun in two places: {races['won_here']} were done here first, "
            f"{races['won_there']} in the cluster; "
            f"{races['regret_seconds']:.1f} s of work were for nothing"
        )
    if summary["bytes_up"] or summary["bytes_down"]:
        up, down = _size(summary["bytes_up"]), _size(summary["bytes_down"])
        lines.append(f"sent {up}, received {down}")
    if summary["speedup"] > 1:
        lines.append(
            f"the commands take {summary['compile_seconds']:.1f} s one after another: "
            f"{summary['speedup']:.1f} x as fast"
        )
    return lines


def _size(count: float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
