"""Is a build with a cluster ever slower than plain ninja? Ratios of builds taken in turns.

Run by hand: `python tests/bench/bench_racing.py slow|near|fast|embedded [ROUNDS] [UNITS]`. `slow`:
the cluster is 100 ms and 10 Mbit/s away and lacks the compiler; `near`: it has the same cores;
`fast`: a worker with a core of its own on a fast line; `embedded`: none is configured.
A busy machine makes seconds worthless: processor seconds of client and commands are shown, too.
"""

from __future__ import annotations

import contextlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path[:0] = [
    str(Path(__file__).resolve().parents[2] / root)
    for root in ("common", "coordinator", "worker", "cli", "tests")
]

from support.processes import BuildRun, cluster, dbuild  # noqa: E402
from support.slow_link import slow_link  # noqa: E402

_SOURCE = """\
#include <algorithm>
#include <map>
#include <regex>
#include <string>
int unit_{n}(const std::string &s)
{{
    std::map<std::string, int> m;
    m[s] = {n};
    return std::regex_search(s, std::regex("{n}+")) ? m.begin()->second : {n};
}}
"""


def write_project(folder: Path, units: int) -> None:
    """Write C++ files of a second or two each, and their build.ninja."""
    folder.mkdir()
    lines = [
        "rule cc\n  command = g++ -O1 -MD -MF $out.d -c $in -o $out\n"
        "  depfile = $out.d\n  deps = gcc\n"
    ]
    for n in range(units):
        (folder / f"u{n}.cpp").write_text(_SOURCE.format(n=n))
        lines.append(f"build u{n}.o: cc u{n}.cpp\n")
    (folder / "build.ninja").write_text("".join(lines))


def wipe(folder: Path) -> None:
    """Remove what a build has made."""
    for pattern in ("*.o", ".ninja_*"):
        for path in folder.glob(pattern):
            path.unlink()


@contextlib.contextmanager
def pinned(*processors: int) -> Iterator[None]:
    """Start processes on these processors only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds, and the processor seconds of all that was started and awaited."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - start, used


def compare(folder: Path, rounds: int, build: Callable[[bool], BuildRun]) -> None:
    """Print the ratios of cold and warm builds to ninja's; `build(True)` is to find nothing."""
    ratios: dict[str, list[tuple[float, float]]] = {"cold": [], "warm": []}
    for _ in range(rounds):
        wipe(folder)
        ninja = timed(lambda: subprocess.run(["ninja", "-C", folder], check=True, stdout=-3))
        for kind, found in ratios.items():
            wipe(folder)
            runs: list[BuildRun] = []

            def ours_once(cold: bool = kind == "cold", runs: list[BuildRun] = runs) -> None:
                runs.append(build(cold))

            ours = timed(ours_once)
            done = runs[0]
            assert done.status == 0, done.output
            found.append((ours[0] / ninja[0], ours[1] / ninja[1]))
            s = done.summary
            print(
                f"{kind}: ninja {ninja[0]:.1f} s ({ninja[1]:.1f} cpu), "
                f"dbuild {ours[0]:.1f} s ({ours[1]:.1f} cpu) = {found[-1][0]:.2f} x; "
                f"{s['cache_hits']} hits, {s['remote']} remote, {s['local']} local, "
                f"up {s['bytes_up']}, down {s['bytes_down']}, {s['races']}",
                flush=True,
            )
    for kind, found in ratios.items():
        wall, cpu = (statistics.median(one) for one in zip(*found, strict=True))
        print(f"{kind}: {wall:.2f} x ninja's time, {cpu:.2f} x its processor time")


def main(which: str, rounds: int = 3, units: int = 16) -> None:
    """Measure one kind of cluster."""
    with tempfile.TemporaryDirectory(prefix="cyxmake-bench-") as name:
        home = Path(name)
        folder = home / "project"
        write_project(folder, units)
        if which == "embedded":

            def alone(cold: bool) -> BuildRun:
                place = home / f"alone-{len(list(home.iterdir()))}" if cold else max(
                    home.glob("alone-*"), key=lambda p: int(p.name[6:]))  # fmt: skip
                place.mkdir(exist_ok=True)
                return dbuild(place, folder, CYXMAKE_BUILD_PLACE="auto")

            compare(folder, rounds, alone)
            return
        away = which != "near"
        with pinned(1) if away else contextlib.nullcontext():
            made = stack.enter_context(cluster(home, workers=0))
            made.add_worker("w0", 1 if away else 2, CYXMAKE_WORKER_PROBE_TOOLCHAINS="false")
        port = made.port
        if which == "slow":
            link = slow_link(port, round_trip=0.1, bits_per_second=10e6)
            port = stack.enter_context(link).port
        with pinned(0) if away else contextlib.nullcontext():

            def there(cold: bool) -> BuildRun:
                options = ["--coordinator", f"wss://127.0.0.1:{port}"]
                if cold:
                    options.append("--no-cache")
                return made.build(folder, *options, CYXMAKE_BUILD_PLACE="auto")

            compare(folder, rounds, there)


if __name__ == "__main__":
    with contextlib.ExitStack() as stack:
        main(sys.argv[1], *map(int, sys.argv[2:4]))
