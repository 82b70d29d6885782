"""What the cluster costs in processor time: per hit at the client, and over all programs on a miss.

Run by hand: `python tests/bench/bench_costs.py hits|misses [ROUNDS]`. Processor time says more than
seconds on a busy machine, but it grows with load too: plain ninja is measured in the same run.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil

sys.path[:0] = [
    str(Path(__file__).resolve().parents[2] / root)
    for root in ("common", "coordinator", "worker", "cli", "tests")
]

from support.processes import Cluster, cluster  # noqa: E402
from support.source_packages import source_package  # noqa: E402

HEADERS = 200
UNITS = (100, 300)
"""The cost of one hit is the slope between builds of so many units: start and end cancel out."""

THERE = ("-q", "--place", "cluster")
"""What is done here in place of the cluster would be counted as the cluster's."""

_RELEASE = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DLEVELDB_BUILD_TESTS=OFF",
    "-DLEVELDB_BUILD_BENCHMARKS=OFF",
)


def write_units(folder: Path, units: int) -> None:
    """Write C sources that include the same headers of ten lines, and their build.ninja."""
    folder.mkdir()
    for number in range(HEADERS):
        body = "".join(f"int f{number}_{i}(int);\n" for i in range(10))
        (folder / f"h{number}.h").write_text(f"#pragma once\n{body}")
    includes = "".join(f'#include "h{number}.h"\n' for number in range(HEADERS))
    rule = (
        "rule cc\n  command = gcc -MD -MF $out.d -c $in -o $out\n  depfile = $out.d\n  deps = gcc\n"
    )
    lines = [rule]
    for number in range(units):
        (folder / f"u{number}.c").write_text(f"{includes}int v{number};\n")
        lines.append(f"build u{number}.o: cc u{number}.c\n")
    (folder / "build.ninja").write_text("".join(lines))


def wipe(folder: Path) -> None:
    """Remove what a build has made."""
    for pattern in ("*.o", ".ninja_*"):
        for path in folder.rglob(pattern):
            path.unlink()


def children_cpu(run: Callable[[], object]) -> float:
    """Return the seconds of processor time that processes took which `run` started and awaited."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def service_cpu(made: Cluster) -> float:
    """Return the seconds that coordinator and workers have taken so far, with their commands."""
    total = 0.0
    for program in (made.coordinator, *made.workers.values()):
        tree = [psutil.Process(program.pid)]
        tree += tree[0].children(recursive=True)
        for process in tree:
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def hits(rounds: int) -> None:
    """Print the client's processor time for one hit of a unit with 200 headers."""
    with tempfile.TemporaryDirectory(prefix="cyxmake-bench-") as scratch:
        home = Path(scratch)
        folders = [home / f"project{units}" for units in UNITS]
        for folder, units in zip(folders, UNITS, strict=True):
            write_units(folder, units)
        with cluster(home) as made:
            for folder in folders:
                assert made.build(folder, *THERE).status == 0
            slopes = []
            for _ in range(rounds):
                spent = []
                for folder, units in zip(folders, UNITS, strict=True):
                    wipe(folder)
                    runs = []
                    spent.append(children_cpu(lambda: runs.append(made.build(folder, *THERE))))  # noqa: B023
                    assert runs[0].summary["cache_hits"] == units, runs[0]
                slopes.append((spent[1] - spent[0]) / (UNITS[1] - UNITS[0]) * 1e3)
                print(f"{spent[0]:.3f} s, {spent[1]:.3f} s: {slopes[-1]:.3f} ms a hit")
    print(
        f"median {statistics.median(slopes):.3f} ms of client CPU for a hit with {HEADERS} headers"
    )


def misses(rounds: int) -> None:
    """Print how much more processor time a first build takes on a cluster than with ninja."""
    with tempfile.TemporaryDirectory(prefix="cyxmake-bench-") as scratch:
        home = Path(scratch)
        source, build = home / "leveldb", home / "leveldb" / "build"
        shutil.copytree(source_package("leveldb"), source, symlinks=True)
        argv = ["cmake", "-G", "Ninja", "-S", str(source), "-B", str(build), *_RELEASE]
        subprocess.run(argv, check=True, capture_output=True)
        ratios = []
        with cluster(home) as made:
            assert made.build(build, "--no-cache", *THERE).status == 0
            for _ in range(rounds):
                wipe(build)
                argv = ["ninja", "-C", str(build), "--quiet"]
                plain = children_cpu(lambda: subprocess.run(argv, check=True))  # noqa: B023
                wipe(build)
                before = service_cpu(made)
                client = children_cpu(lambda: made.build(build, "--no-cache", *THERE))
                served = service_cpu(made) - before
                ratios.append((client + served) / plain)
                print(
                    f"ninja {plain:.2f} s; client {client:.2f} s, coordinator and workers"
                    f" {served:.2f} s: {ratios[-1]:.3f} x"
                )
    median = statistics.median(ratios)
    print(f"median {median:.3f} x the processor time of ninja on {os.cpu_count()} cores")


if __name__ == "__main__":
    {"hits": hits, "misses": misses}[sys.argv[1]](int(sys.argv[2]) if len(sys.argv) > 2 else 5)
