"""What `cyxmake-coordinator simulate` plays: a fleet, builds, accidents; and what it prints.

Knows nothing of how a run works. The same scenario and seed give the same figures, but for those of
processor time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Final

from cyxmake_common.errors import UsageError
from cyxmake_coordinator.core.placement import ALGORITHMS
from cyxmake_coordinator.core.settings import Settings
from cyxmake_coordinator.simulate.machine import Model, Weather
from cyxmake_coordinator.simulate.run import Measures, Playing
from cyxmake_coordinator.simulate.workload import (
    Build,
    project,
    read_recording,
    recorded_durations,
)
from cyxmake_coordinator.table import bytes_text, table

ALL: Final = "all"
_INPUT_BYTES: Final = 40e6
_STRAGGLING: Final = 0.002


@dataclass(frozen=True, slots=True)
class Scenario:
    """A simulation to be run."""

    workers: int = 20
    slots: int = 16
    uneven: bool = False
    """Machines of 0.4 to 2.5 times the usual speed, slow networks, runs that take ten times as
    long for no reason, inputs that have to be fetched."""
    speed: float = 1.0
    """Of the machines: 0.1 makes of the small recorded steps those of a large C++ project."""
    actions: int = 5_000
    users: int = 1
    recording: Path | None = None
    failing: float = 0.0
    """Part of the workers that are lost once; half of them without a word, all for a while."""
    seed: int = 1

    def fleet(self) -> list[Model]:
        """Return the machines."""
        if not self.uneven:
            return [Model(self.slots, self.speed, latency=0.002)] * self.workers
        random = Random(self.seed)  # noqa: S311 (nothing here is secret)
        return [
            Model(
                self.slots,
                speed=self.speed * min(2.5, max(0.4, random.lognormvariate(0.0, 0.4))),
                latency=random.choice((0.001, 0.005, 0.03)),
                bandwidth=random.choice((12e6, 60e6, 120e6)),
            )
            for _ in range(self.workers)
        ]

    def builds(self) -> list[Build]:
        """Return what is built; raises UsageError when the recording cannot be read."""
        size = _INPUT_BYTES if self.uneven else 0.0
        users = [f"user {number + 1}" for number in range(self.users)]
        if self.recording is not None:
            steps = read_recording(self.recording)
            return [Build(user, steps, input_bytes=size) for user in users]
        random, durations = Random(self.seed + 1), recorded_durations()  # noqa: S311
        each = max(1, self.actions // self.users)
        return [Build(user, project(random, durations, each), input_bytes=size) for user in users]

    def play(self, placement: str, *, check_every: int = 0) -> Measures:
        """Run it with one placement algorithm."""
        playing = Playing(
            self.seed,
            self.builds(),
            self.fleet(),
            settings=Settings(placement=placement),
            weather=Weather(until=0.0, straggling=_STRAGGLING if self.uneven else 0.0),
            check_every=check_every,
        )
        self._break(playing)
        return playing.play()

    def _break(self, playing: Playing) -> None:
        machines = list(playing.workers.values())
        capacity = sum(machine.model.slots * machine.model.speed for machine in machines)
        soon = sum(step.seconds for build in playing.builds for step in build.steps) / capacity
        for machine in playing.random.sample(machines, round(self.failing * len(machines))):
            when = playing.random.uniform(0.0, soon)
            if playing.random.random() < 0.5:
                playing.after(when, playing.crash, machine)
            else:
                playing.after(when, playing.power_off, machine, playing.random.uniform(5.0, 30.0))


def simulate_text(scenario: Scenario, placement: str, as_json: bool) -> str:
    """Run a scenario and return what to print; raises UsageError."""
    if placement != ALL and placement not in ALGORITHMS:
        raise UsageError(
            f"no such placement algorithm: {placement!r}",
            next_step=f"name one of {', '.join(ALGORITHMS)}, or {ALL}",
        )
    names = list(ALGORITHMS) if placement == ALL else [placement]
    found = {name: scenario.play(name) for name in names}
    if as_json:
        return json.dumps({name: facts(measures) for name, measures in found.items()}, indent=2)
    if placement == ALL:
        return comparison({name: [measures] for name, measures in found.items()})
    return report(found[placement])


def facts(measures: Measures) -> dict[str, object]:
    """Return everything measured, for JSON."""
    return {
        "actions": measures.actions,
        "makespan_seconds": measures.makespan,
        "work_bound_seconds": measures.work_bound,
        "path_bound_seconds": measures.path_bound,
        "stretch": measures.stretch,
        "wait_p50_seconds": measures.wait_p50,
        "wait_p99_seconds": measures.wait_p99,
        "build_wait_seconds": list(measures.build_waits),
        "build_seconds": list(measures.build_spans),
        "shares": dict(measures.shares),
        "fetched_bytes": measures.fetched_bytes,
        "core_micros_per_action": measures.core_micros,
        "counters": measures.totals.counters(),
    }


def report(measures: Measures) -> str:
    """Return a run in words and figures."""
    totals = measures.totals
    lines = [
        f"{measures.actions} actions in {measures.makespan:.1f} s,"
        f" {measures.stretch:.3f} times the bound of {measures.bound:.1f} s",
        f"bounds: work over slots {measures.work_bound:.1f} s,"
        f" longest chain {measures.path_bound:.1f} s",
        f"wait for a slot: half below {measures.wait_p50:.2f} s,"
        f" 99 of 100 below {measures.wait_p99:.2f} s",
        f"second runs: {totals.hedged}, {totals.hedges_won} of them faster,"
        f" {totals.hedge_regret:.1f} slot-seconds for nothing",
        f"retried {totals.retried}, taken back {totals.taken_back},"
        f" workers lost {totals.workers_left}",
        f"scheduler: {measures.core_micros:.0f} µs of processor time an action",
    ]
    if len(measures.shares) > 1:
        parts = ", ".join(f"{user} {share:.1%}" for user, share in measures.shares)
        lines.insert(3, f"shares while all had work waiting: {parts}")
    return "\n".join(lines)


COMPARED: Final = ("PLACEMENT", "STRETCH", "WAIT P50", "WAIT P99", "FETCHED", "2ND RUNS", "REGRET")
"""What an algorithm is judged by."""


def comparison(found: dict[str, list[Measures]]) -> str:
    """Return runs of the same scenarios with several algorithms as a table."""
    return table(COMPARED, list(compared_rows(found)))


def compared_rows(found: dict[str, list[Measures]]) -> Iterable[tuple[str, ...]]:
    """Yield the cells of each algorithm: means over its runs, sums of what was counted."""
    for name, runs in found.items():
        yield (
            name,
            f"{fmean(run.stretch for run in runs):.3f}",
            f"{fmean(run.wait_p50 for run in runs):.2f} s",
            f"{fmean(run.wait_p99 for run in runs):.2f} s",
            bytes_text(round(fmean(run.fetched_bytes for run in runs))),
            f"{sum(r.totals.hedges_won for r in runs)} of {sum(r.totals.hedged for r in runs)} won",
            f"{sum(run.totals.hedge_regret for run in runs):.0f} s",
        )
