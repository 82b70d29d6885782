"""What is to be built in a simulation: steps with durations and needs, drawn or recorded.

Knows nothing of workers or of time passing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from random import Random
from typing import Final

from cyxmake_common.errors import UsageError

_UPPER: Final = (0.04, 0.005)
"""Parts of a project's steps: libraries of its compiles, programs of these."""


@dataclass(frozen=True, slots=True)
class Step:
    """One action; `needs` are the positions of the steps that must have ended before it."""

    seconds: float
    needs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Build:
    """What one user builds from one moment on; steps come after those they need."""

    user: str
    steps: tuple[Step, ...]
    at: float = 0.0
    input_bytes: float = 0.0
    """What a worker that has nothing of it has to fetch."""

    def ranks(self) -> list[float]:
        """Return each step's upward rank: the longest way from its beginning to the end."""
        ranks = [step.seconds for step in self.steps]
        for position in range(len(self.steps) - 1, -1, -1):
            for need in self.steps[position].needs:
                ranks[need] = max(ranks[need], self.steps[need].seconds + ranks[position])
        return ranks


def work(builds: Sequence[Build]) -> float:
    """Return the seconds that all steps take on a machine of speed 1."""
    return sum(step.seconds for build in builds for step in build.steps)


def critical_path(builds: Sequence[Build]) -> float:
    """Return the end of the longest chain of steps, were there a machine for each."""
    return max(build.at + max(build.ranks(), default=0.0) for build in builds)


def project(random: Random, durations: Sequence[float], count: int) -> tuple[Step, ...]:
    """Return a project of so many steps: compiles, libraries, programs; durations are drawn.

    Putting a library or a program together takes as long as one of the shortest quarter.
    """
    steps: list[Step] = []
    short = sorted(durations)[: max(1, len(durations) // 4)]
    below = range(0)
    upper = [max(1, round(count * part)) for part in _UPPER]
    for size in (max(1, count - sum(upper)), *upper):
        first = len(steps)
        share = len(below) / size
        for number in range(size):
            needs = below[round(number * share) : round((number + 1) * share)]
            drawn = random.choice(short if below else durations)
            steps.append(Step(drawn, tuple(needs)))
        below = range(first, len(steps))
    return tuple(steps)


def flat(random: Random, durations: Sequence[float], count: int) -> tuple[Step, ...]:
    """Return so many steps that need nothing of each other."""
    return tuple(Step(random.choice(durations)) for _ in range(count))


def recorded_durations() -> list[float]:
    """Return the processor seconds of a real build's steps, as measured once: LevelDB, g++ -O2."""
    text = resources.files(__package__).joinpath("durations.json").read_text("utf-8")
    return [float(seconds) for seconds in json.loads(text)]


def lognormal(random: Random, median: float, spread: float) -> list[float]:
    """Return durations of that shape; `spread` is the deviation of their logarithm."""
    return [median * random.lognormvariate(0.0, spread) for _ in range(10_000)]


def read_recording(path: Path) -> tuple[Step, ...]:
    """Return the steps of a recorded build: a `.ninja_log`, or JSON; raises UsageError.

    JSON is a list of {"seconds": 1.5, "needs": [0, 1]}, steps after those that they need.
    """
    try:
        text = path.read_text("utf-8")
        steps = _from_ninja(text) if text.startswith("# ninja log") else _from_json(text)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is no recorded build: {error}",
            next_step="name a .ninja_log, or a JSON list of steps with their seconds",
        ) from error
    if not steps:
        raise UsageError(f"{path} holds no steps", next_step="name the log of a build that ran")
    return steps


def _from_ninja(text: str) -> tuple[Step, ...]:
    """Read the latest duration of each output; a log does not say what needs what."""
    found: dict[str, float] = {}
    for line in text.splitlines()[1:]:
        start, end, _, output, *_ = line.split("\t")
        found[output] = (int(end) - int(start)) / 1000
    return tuple(Step(max(0.001, seconds)) for seconds in found.values())


def _from_json(text: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    for position, entry in enumerate(json.loads(text)):
        needs = tuple(int(need) for need in entry.get("needs", ()))
        if any(not 0 <= need < position for need in needs):
            raise ValueError(f"step {position} needs a step that does not come before it")
        seconds = float(entry["seconds"])
        if not 0 <= seconds < 1e9:
            raise ValueError(f"step {position} takes {seconds} seconds")
        steps.append(Step(seconds, needs))
    return tuple(steps)
