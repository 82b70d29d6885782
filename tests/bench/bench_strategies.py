"""How long real projects take by each strategy, and whether hybrid deserves to be the default.

    python tests/bench/bench_strategies.py [--rounds N] [--workers N] [--slots N] [PROJECT ...]

Strategies take turns, round by round, so that what else the machine does hits all alike; every
build is of everything, without the cache. Prints the median wall time and the processor time of
client, coordinator and workers, and says where hybrid is more than 5 % slower than the best of the
others. Wall times mean something on a quiet machine only.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

sys.path[:0] = [
    str(Path(__file__).resolve().parents[2] / root)
    for root in ("common", "coordinator", "worker", "cli", "tests")
]

from support.builds import configure  # noqa: E402
from support.processes import REPOSITORY, Cluster, cluster  # noqa: E402
from support.source_packages import SourceUnavailable, source_package  # noqa: E402

CMAKE = ("cmake", "-S", "{source}", "-B", "{build}", "-G", "Ninja")
PROJECTS = {
    "calculator": CMAKE,
    "leveldb": (*CMAKE, "-DLEVELDB_BUILD_TESTS=OFF", "-DLEVELDB_BUILD_BENCHMARKS=OFF"),
    "fmtlib": CMAKE,
    "fribidi": ("meson", "setup", "-Ddocs=false", "{build}", "{source}"),
}
ONE_BY_ONE = ("compile-units", "targets", "whole-project")
STRATEGIES = (*ONE_BY_ONE, "hybrid")
LIMIT = 1.05


@dataclass
class Figures:
    """What the rounds of one strategy took."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)


def sources(name: str, target: Path) -> Path:
    """Copy a project."""
    here = REPOSITORY / "tests/projects" / name
    origin = here if here.is_dir() else source_package(name)
    ignored = shutil.ignore_patterns("build")
    return Path(shutil.copytree(origin, target, symlinks=True, ignore=ignored))


def processor_seconds(made: Cluster) -> float:
    """Return what the cluster's programs, and what they ran, have used so far."""
    total = 0.0
    for program in (made.coordinator, *made.workers.values()):
        for process in (psutil.Process(program.pid), *psutil.Process(program.pid).children(True)):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def build(made: Cluster, project: Path, strategy: str, command: tuple[str, ...]) -> Figures:
    """Build everything once by a strategy."""
    there = project / "build"
    shutil.rmtree(there, ignore_errors=True)
    begun = time.monotonic()
    if strategy != "whole-project":
        configure(command, project, there)
    before, mine = processor_seconds(made), time.process_time()
    options = ("--overwrite",) if strategy == "whole-project" else ()
    done = made.build(project, "--strategy", strategy, "--no-cache", *options, "-q")
    if done.status != 0:
        raise SystemExit(f"{project.name} by {strategy}: {done.output[-2000:]}{done.errors}")
    used = processor_seconds(made) - before + time.process_time() - mine
    return Figures([time.monotonic() - begun], [used])


def measure(made: Cluster, name: str, top: Path, rounds: int) -> bool:
    """Measure one project and print its lines; tells whether hybrid keeps its promise."""
    try:
        project = sources(name, top / name)
    except SourceUnavailable as missing:
        print(f"{name}: {missing}")
        return True
    found = {strategy: Figures() for strategy in STRATEGIES}
    build(made, project, "compile-units", PROJECTS[name])  # toolchains travel, durations are learnt
    for _ in range(rounds):
        for strategy, figures in found.items():
            one = build(made, project, strategy, PROJECTS[name])
            figures.wall += one.wall
            figures.processor += one.processor
    for strategy, figures in found.items():
        wall, used = statistics.median(figures.wall), statistics.median(figures.processor)
        print(f"{name:12} {strategy:14} {wall:8.2f} s wall {used:8.2f} s of processors", flush=True)
    best = min(ONE_BY_ONE, key=lambda strategy: statistics.median(found[strategy].wall))
    share = statistics.median(found["hybrid"].wall) / statistics.median(found[best].wall)
    print(f"{name:12} hybrid takes {share:.2f} of {best}, the best of the others", flush=True)
    return share <= LIMIT


def main() -> None:
    """Measure; exit with 1 where hybrid was too slow."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("projects", nargs="*", default=list(PROJECTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--slots", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        top = Path(scratch).resolve()
        with cluster(top, workers=given.workers, slots=given.slots) as made:
            kept = [measure(made, name, top, given.rounds) for name in given.projects]
    raise SystemExit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
