"""Builds that choose where actions run: on a slow line, and against a stuck worker."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import nothing_to_do, products, run
from support.processes import BuildRun, Cluster, begin, cluster
from support.slow_link import slow_link

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="needs two processors: one for the build, one for the cluster",
)

MANIFEST = """\
rule cc
  command = g++ -O1 -MD -MF $out.d -c $in -o $out
  depfile = $out.d
  deps = gcc
"""


def make_project(folder: Path, units: int) -> Path:
    """Write C++ files of a moment each, and their build.ninja."""
    folder.mkdir()
    lines = [MANIFEST]
    for n in range(units):
        (folder / f"u{n}.cpp").write_text(
            "#include <map>\n#include <string>\n"
            f'int unit_{n}(std::map<std::string, int> &m) {{ return m["{n}"]; }}\n'
        )
        lines.append(f"build u{n}.o: cc u{n}.cpp\n")
    (folder / "build.ninja").write_text("".join(lines))
    return folder


def wiped(project: Path) -> dict[str, str]:
    """Build with ninja, remove what that made, and return what it was."""
    run(["ninja", "-C", str(project)])
    wanted = products(project)
    run(["ninja", "-C", str(project), "-t", "clean"])
    return wanted


@contextlib.contextmanager
def on(*processors: int) -> Iterator[None]:
    """Start programs on these processors only: those of others are other machines to them."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def processors() -> tuple[int, int]:
    """Return one processor for the build, and one for the cluster."""
    first, second, *_ = sorted(os.sched_getaffinity(0))
    return first, second


@contextlib.contextmanager
def another_machine(home: Path, **env: str) -> Iterator[Cluster]:
    """Run a cluster of one slot on a processor of its own."""
    with cluster(home, workers=0) as made:
        with on(processors()[1]):
            made.add_worker("far", 1, **env)
        yield made


def build(made: Cluster, project: Path, *arguments: str) -> BuildRun:
    """Build on the other processor, wherever that is quicker."""
    with on(processors()[0]):
        return made.build(project, *arguments, CYXMAKE_BUILD_PLACE="auto")


def test_a_slow_line_is_left_alone(tmp_path: Path) -> None:
    """100 ms and 10 Mbit/s to a cluster without the compiler: built here, and nothing shipped."""
    project = make_project(tmp_path / "project", 4)
    wanted = wiped(project)
    with (
        another_machine(tmp_path, CYXMAKE_WORKER_PROBE_TOOLCHAINS="false") as made,
        slow_link(made.port, round_trip=0.1, bits_per_second=10e6) as line,
    ):
        done = build(made, project, "--coordinator", f"wss://127.0.0.1:{line.port}", "-v")
        sent = line.up.passed
    assert done.status == 0, done.output + done.errors
    assert products(project) == wanted
    assert nothing_to_do(project)
    assert done.summary["local"] == 4, done.output
    assert sent < 2_000_000, "a compiler was sent for a few seconds of work"


def test_a_stuck_worker_is_overtaken(tmp_path: Path) -> None:
    """A worker that stops in the middle: what it has is done here, and the bytes are right."""
    project = make_project(tmp_path / "project", 6)
    wanted = wiped(project)
    with another_machine(tmp_path) as made:
        with on(processors()[0]):
            running = begin(made, project, "-v", CYXMAKE_BUILD_PLACE="auto")
        assert running.stdout is not None
        seen = ""
        for line in running.stdout:
            seen += line
            if "[far]" in line:
                break
        worker = made.workers["far"].process
        worker.send_signal(signal.SIGSTOP)
        try:
            output, _ = running.communicate(timeout=100)
        except subprocess.TimeoutExpired:
            running.kill()
            raise
        finally:
            worker.send_signal(signal.SIGCONT)
    assert running.returncode == 0, seen + output
    assert products(project) == wanted
    assert nothing_to_do(project)
