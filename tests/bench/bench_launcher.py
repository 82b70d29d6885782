"""Times one warm compile through the launcher, beside the compiler alone and ccache.

Run by hand: `python tests/bench/bench_launcher.py [HEADERS] [ROUNDS]`. The rounds of all three are
interleaved, so that a busy machine is busy for each of them; ratios say more than milliseconds.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

sys.path[:0] = [
    str(Path(__file__).resolve().parents[2] / root)
    for root in ("common", "coordinator", "worker", "cli", "tests")
]

from cyxmake_cli.launcher import builds  # noqa: E402
from cyxmake_cli.launcher.home import Home  # noqa: E402
from support.processes import environment, python  # noqa: E402


@dataclass
class Contender:
    """One way to compile: its argv, environment, and what it took."""

    name: str
    argv: list[str]
    env: Mapping[str, str]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def run(self, folder: Path) -> None:
        """Compile once."""
        (folder / "main.o").unlink(missing_ok=True)
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(self.argv, cwd=folder, env=self.env, check=True)
        self.wall.append((time.perf_counter() - start) * 1e3)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3)

    def report(self, base: Contender) -> str:
        """Return one line of the table."""
        median = statistics.median(self.wall)
        quick, slow = min(self.wall), sorted(self.wall)[int(len(self.wall) * 0.9)]
        return (
            f"{self.name:12} median {median:7.2f} ms  best {quick:7.2f}  p90 {slow:7.2f}  "
            f"cpu {statistics.mean(self.cpu):6.2f} ms  "
            f"{statistics.median(base.wall) / median:6.1f} x {base.name}"
        )


def write_project(folder: Path, headers: int) -> None:
    """Write a source that includes so many headers of forty lines."""
    folder.mkdir()
    for number in range(headers):
        body = "".join(f"static inline int f{number}_{i}(int x) {{ return x + {i}; }}\n"
                       for i in range(40))  # fmt: skip
        (folder / f"h{number}.h").write_text(f"#pragma once\n{body}")
    includes = "".join(f'#include "h{number}.h"\n' for number in range(headers))
    (folder / "main.c").write_text(f"{includes}int main(void) {{ return f0_0(1); }}\n")


def main() -> None:
    """Print the table."""
    headers = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    with tempfile.TemporaryDirectory(prefix="cyxmake-bench-") as scratch:
        home = Path(scratch)
        folder = home / "project"
        write_project(folder, headers)
        env = environment(CYXMAKE_CACHE_DIR=str(home / "cache"), PWD=str(folder))
        command = python("cyxmake_cli.main", "launcher")
        subprocess.run([*command, "install"], env=env, check=True, stdout=subprocess.DEVNULL)
        subprocess.run([*command, "start"], env=env, check=True, stdout=subprocess.DEVNULL)
        try:
            measure(folder, headers, rounds, env, Home(home / "cache/launcher"))
        finally:
            subprocess.run([*command, "stop"], env=env, check=True, stdout=subprocess.DEVNULL)


def measure(folder: Path, headers: int, rounds: int, env: dict[str, str], home: Home) -> None:
    """Run all contenders in turn and print what they took."""
    compile_ = ["-O2", "-MD", "-c", "main.c", "-o", "main.o"]
    gcc = shutil.which("gcc") or "gcc"
    contenders = [
        Contender("gcc", [gcc, *compile_], env),
        Contender("launcher", [str(home.masquerade / "gcc"), *compile_], env),
    ]
    if ccache := shutil.which("ccache"):
        own = env | {"CCACHE_DIR": str(folder.parent / "ccache")}
        contenders.append(Contender("ccache", [ccache, gcc, *compile_], own))
        contenders.append(Contender("ccache dep", [ccache, gcc, *compile_],
                                    own | {"CCACHE_DEPEND": "1"}))  # fmt: skip
    time.sleep(2.5)  # younger files are hashed again each time: their next change could be hidden
    for contender in contenders:
        for _ in range(3):
            contender.run(folder)
        contender.wall.clear()
        contender.cpu.clear()
    status = builds.status(home)
    assert status is not None
    agent = psutil.Process(status["pid"])
    served, used = status["served"]["hits"], agent.cpu_times()
    for _ in range(rounds):
        for contender in contenders:
            contender.run(folder)
    now, after = agent.cpu_times(), builds.status(home)
    assert after is not None
    hits = after["served"]["hits"] - served
    assert hits == rounds, f"only {hits} of {rounds} were hits"
    spent = (now.user + now.system - used.user - used.system) * 1e3 / rounds
    print(f"{headers} headers, {rounds} rounds, load {os.getloadavg()[0]:.1f}")
    for contender in contenders:
        print(contender.report(contenders[0]))
    print(f"agent        cpu {spent:6.2f} ms a hit")


if __name__ == "__main__":
    main()
