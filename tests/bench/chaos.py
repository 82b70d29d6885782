"""Builds during which hosts and links fail at random moments: each must end right, and say so.

    sudo CYXMAKE_CORPORA=DIR python tests/bench/chaos.py --runs 30 --seed 1 [--home DIR]

Run N has the seed SEED + N - 1, which decides what fails, when and for how long; the same seed
draws the same faults. Builds of even seeds race local runs against the cluster's. Prints one line
a run, and the faults of those that went wrong.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.journal import wrongs
from support.netns import Delay, obstacle
from support.netns_cluster import COORDINATOR, USER, Site, site
from support.netns_projects import PART, Project, leveldb, leveldb_sources

PATIENCE: Final = 150.0
"""Seconds after which a build counts as hung."""

_LATEST: Final = 12.0
"""Seconds after the start of a build in which faults begin."""

_LONGEST: Final = 8.0
_DISK: Final = 400


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong at a moment of a build, and is over some time later."""

    at: float
    lasts: float
    kind: str
    host: str

    def __str__(self) -> str:
        return f"{self.kind} {self.host} at {self.at:.1f} s for {self.lasts:.1f} s"


Deed = Callable[[Site, str], None]


def _restart(made: Site, host: str) -> None:
    """Start a program again that was killed."""
    if host == COORDINATOR:
        made.coordinate()
    else:
        made.work(host)


def _heal(made: Site, host: str) -> None:
    made.network.heal(host)


KINDS: Final[dict[str, tuple[Deed, Deed]]] = {
    "isolate": (lambda made, host: made.network.isolate(host), _heal),
    "deafen": (lambda made, host: _cut(made, COORDINATOR, host), _heal),
    "silence": (lambda made, host: _cut(made, host, COORDINATOR), _heal),
    "freeze": (Site.freeze, Site.thaw),
    "kill": (Site.kill, _restart),
    "lose packets of": (lambda made, host: made.network.lose(host, 0.1), _heal),
    "slow down": (lambda made, host: made.network.slow(host, 10), _heal),
    "fill the disk of": (Site.fill, Site.empty),
}
"""What can go wrong: how it begins, and how it ends."""

_NOT_FOR: Final = {
    USER: frozenset({"freeze", "kill", "fill the disk of"}),
    COORDINATOR: frozenset({"deafen", "silence", "fill the disk of"}),
}
"""What is not tried: nobody waits for a build that was killed; a coordinator on a small disk would
lose with it what a restart needs."""


def _cut(made: Site, source: str, target: str) -> None:
    made.network.cut(source, target)


def races(seed: int) -> bool:
    """Tell whether a seed's build runs things here, too, where they are done first."""
    return seed % 2 == 0


def draw(seed: int) -> tuple[Delay | None, list[Fault]]:
    """Return the network and the faults of a seed."""
    chance = random.Random(seed)
    delay = Delay(chance.choice((0.002, 0.02)), 0.005) if chance.random() < 0.25 else None
    faults = []
    for _ in range(chance.randint(1, 4)):
        host = chance.choice(("w0", "w0", "w1", "w1", "w2", COORDINATOR, USER))
        kinds = sorted(KINDS.keys() - _NOT_FOR.get(host, frozenset()))
        at, lasts = chance.uniform(0, _LATEST), chance.uniform(0.5, _LONGEST)
        faults.append(Fault(at, lasts, chance.choice(kinds), host))
    return delay, sorted(faults, key=lambda fault: fault.at)


def play(made: Site, faults: list[Fault], build: subprocess.Popen[str]) -> None:
    """Let faults begin and end on time, as long as the build runs."""
    deeds = [(fault.at, KINDS[fault.kind][0], fault.host) for fault in faults]
    deeds += [(fault.at + fault.lasts, KINDS[fault.kind][1], fault.host) for fault in faults]
    start = time.monotonic()
    dead: set[str] = set()
    for at, deed, host in sorted(deeds, key=lambda entry: entry[0]):
        while time.monotonic() - start < at:
            if build.poll() is not None:
                return
            time.sleep(0.05)
        if deed is _restart:
            if host not in dead:
                continue
            dead.discard(host)
        elif host in dead:
            continue  # nothing is left there to go wrong
        elif deed is Site.kill:
            dead.add(host)
        deed(made, host)


def run(seed: int, project: Project, home: Path) -> tuple[float, list[str]]:
    """Build once with the faults of a seed; returns the seconds and what went wrong."""
    delay, faults = draw(seed)
    project.reset()
    disks = dict.fromkeys(("w0", "w1", "w2"), _DISK)
    with site(home, delay=delay, disks=disks, racing=races(seed)) as made:
        start = time.monotonic()
        log = home / "build.log"
        with log.open("wb") as output:
            build = made.begin(project.source, *project.targets, output=output)
            play(made, faults, build)
            try:
                build.wait(max(1.0, PATIENCE - (time.monotonic() - start)))
            except subprocess.TimeoutExpired:
                build.kill()
                build.wait()
                return time.monotonic() - start, ["the build hangs"]
        took = time.monotonic() - start
        found = [] if build.returncode == 0 else [f"the build ends with {build.returncode}"]
        found += project.faults() if build.returncode == 0 else []
        found += wrongs(made.journal())
        for name in (*made.workers, COORDINATOR):
            text = (home / f"{name}.log").read_text("utf-8", "replace")
            found += [f"{name}: a traceback"] * ("Traceback" in text)
        if "Traceback" in log.read_text("utf-8", "replace"):
            found.append("a traceback for the user")
    return took, found


def main() -> int:
    """Play all runs; returns how many went wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, help="kept afterwards, with the logs of failed runs")
    chosen = parser.parse_args()
    sources = leveldb_sources()
    if sources is None or (reason := obstacle()):
        print(reason if sources else "CYXMAKE_CORPORA names no folder with leveldb in it")
        return 2
    home = chosen.home or Path(tempfile.mkdtemp(prefix="chaos-"))
    project = leveldb(sources, home / "leveldb", PART)
    failed = 0
    for seed in range(chosen.seed, chosen.seed + chosen.runs):
        delay, faults = draw(seed)
        took, found = run(seed, project, home / f"run-{seed}")
        failed += bool(found)
        said = "; ".join(map(str, faults)) + (f"; {delay}" if delay else "")
        said += "; racing" * races(seed)
        print(f"{seed}: {'WRONG' if found else 'right'} in {took:.1f} s: {said}", flush=True)
        for line in found:
            print(f"    {line}", flush=True)
        if not found:
            shutil.rmtree(home / f"run-{seed}", ignore_errors=True)
    print(f"{chosen.runs - failed} of {chosen.runs} right; logs of the others are in {home}")
    if not failed and chosen.home is None:
        shutil.rmtree(home, ignore_errors=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
