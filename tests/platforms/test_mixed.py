"""One coordinator with workers on x86-64 Linux, arm64 Linux and Windows: who does what, and why.

Run with `pytest -m platforms`; what it needs is set up by prepare.sh.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import run
from support.foreign_project import ForeignProject
from support.platforms import Arm64, Windows, patient
from support.processes import Cluster, begin, cluster

pytestmark = [pytest.mark.platforms, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def mixed(
    arm64: Arm64, windows: Windows, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Return a coordinator with a worker of each kind."""
    home = tmp_path_factory.mktemp("mixed")
    with cluster(home, workers=0, serve=patient(home)) as made:
        made.add_worker("linux", 1, PATH="/usr/local/bin:/usr/bin:/bin", HOME="/nonexistent")
        arm64.join(made, "arm", "--slots", "1", "--labels", "rack=b")
        windows.join(made, "win")
        yield made


def test_a_cross_compiler_of_one_host_runs_on_that_kind_alone(
    mixed: Cluster, tmp_path: Path
) -> None:
    """gcc's programs are for x86-64 Linux: the others get nothing, and it is said why."""
    (tmp_path / "a.c").write_text("int a(int x) { return x * 3; }\n")
    (tmp_path / "build.ninja").write_text(
        f"rule c\n  command = gcc -O2 -c $in -o $out\nbuild a.o: c {tmp_path}/a.c\n"
    )
    run(["ninja", "-C", str(tmp_path)])
    wanted = (tmp_path / "a.o").read_bytes()
    for left in (tmp_path / "a.o", tmp_path / ".ninja_log"):
        left.unlink()
    done = mixed.build(tmp_path)
    assert done.status == 0, done.output + done.errors
    assert done.summary["workers"] == {"linux": 1}, done.summary
    assert (tmp_path / "a.o").read_bytes() == wanted
    told = mixed.ask("explain", "placement", "-C", str(tmp_path), "a.o")
    assert "arm cannot run it: it lacks ISA=x86-64" in told, told
    assert "win cannot run it: it lacks OSFamily=linux" in told, told


def test_a_whole_project_is_built_and_tested_on_arm64(
    mixed: Cluster, arm64: Arm64, tmp_path: Path
) -> None:
    """Its compiler, its processor, its tests; the program that comes home runs there."""
    (tmp_path / "main.c").write_text(
        "#include <stdio.h>\n#include <sys/utsname.h>\nint main(void) {\n"
        "    struct utsname here; uname(&here); puts(here.machine); return 0; }\n"
    )
    (tmp_path / "Makefile").write_text(
        "CC = gcc\nall: main\nmain: main.c\n\t$(CC) -O1 -o main main.c\n"
        "test: main\n\t./main | grep -x aarch64\n.PHONY: all test\n"
    )
    whole = ("--strategy", "whole-project", "--test")
    done = mixed.build(tmp_path, *whole, "--platform", "arm64-linux")
    assert done.status == 0, done.output + done.errors
    assert "aarch64" in done.output
    assert (tmp_path / "main").read_bytes()[18:20] == b"\xb7\x00"
    assert arm64.run(tmp_path, "/data/main").stdout == "aarch64\n"
    refused = mixed.build(tmp_path, *whole, "--platform", "riscv64-linux")
    assert refused.status != 0
    assert "the cluster has linux arm-a64, linux x86-64, windows x86-64" in refused.errors


def plain(zig: str, target: str) -> str:
    """Return the options for a target without any C library."""
    return f"-target {target} -O2 -nostdinc -isystem {Path(zig).parent}/lib/include"


@pytest.mark.parametrize("target", ["aarch64-linux-gnu", "x86_64-linux-gnu", "x86_64-windows-gnu"])
def test_whoever_compiles_the_bytes_are_those_of_here(
    mixed: Cluster, zig: str, drivers: Path, tmp_path: Path, target: str
) -> None:
    """By whoever of arm64 and Windows takes them, by each of these alone, then by x86-64."""
    options = plain(zig, target)
    project = ForeignProject(tmp_path / "project", drivers, options, plain=True, copies=2)
    wanted = project.built_here()

    def build(*options: str) -> set[str]:
        project.clean()
        done = mixed.build(project.path, "--place", "cluster", *options)
        assert done.status == 0, done.output + done.errors
        assert done.summary["local"] == 0, done.summary
        assert project.products() == wanted
        return set(done.summary["workers"])

    mixed.coordinate("drain", "linux")
    assert build() <= {"arm", "win"}
    told = mixed.ask("explain", "placement", "-C", str(project.path), "a0.c.o")
    assert "linux could run it, but is draining" in told, told
    assert "could run it with its own zig" in told, told
    for name in ("arm", "win"):
        await_line(mixed, name, "toolchain-proven")
    for name, other in (("arm", "win"), ("win", "arm")):
        mixed.coordinate("drain", other)
        assert build("--no-cache") == {name}
        mixed.coordinate("drain", other, "--off")
    mixed.coordinate("drain", "linux", "--off")
    for name in ("arm", "win"):
        mixed.coordinate("drain", name)
    assert build("--no-cache") == {"linux"}
    for name in ("arm", "win"):
        mixed.coordinate("drain", name, "--off")
    status = mixed.ask("status", "-C", str(project.path))
    assert "rack=b" in status
    assert "stand-in=zig" in status


def test_the_loss_of_each_kind_costs_no_build(
    arm64: Arm64, windows: Windows, zig: str, drivers: Path, tmp_path: Path
) -> None:
    """kill -9 in the middle of a compile: Windows first, then arm64, then the last, x86-64."""
    options = plain(zig, "aarch64-linux-gnu")
    project = ForeignProject(tmp_path / "project", drivers, options, plain=True, copies=4)
    wanted = project.built_here()
    with cluster(tmp_path, workers=0, serve=patient(tmp_path)) as made:
        made.add_worker("linux", 1, PATH="/usr/local/bin:/usr/bin:/bin", HOME="/nonexistent")
        made.coordinate("drain", "linux")
        arm64.join(made, "arm", "--slots", "1")
        windows.join(made, "lost", slots=1)
        first = made.build(project.path, "--place", "cluster")
        assert first.status == 0, first.output + first.errors
        for name in ("arm", "lost"):
            await_line(made, name, "toolchain-proven")
        for victim in ("lost", "arm", "linux"):
            others = [name for name in made.workers if name != victim]
            for name in others:
                made.coordinate("drain", name)
            made.coordinate("drain", victim, "--off")
            project.clean()
            build = begin(made, project.path, "--no-cache", "--place", "cluster")
            try:
                await_busy(made, victim, build)
                for name in others:
                    made.coordinate("drain", name, "--off")
                made.workers.pop(victim).kill()
                told, _ = build.communicate(timeout=900)
            finally:
                build.kill()
            assert build.returncode == 0, (victim, told)
            assert project.products() == wanted, victim


def await_busy(made: Cluster, name: str, build: subprocess.Popen[str]) -> None:
    """Wait until a worker runs something; raises TimeoutError."""
    end = time.monotonic() + 600
    while True:
        workers = json.loads(made.coordinate("workers", "--json").stdout)
        if any(one["name"] == name and one["running"] for one in workers):
            return
        if time.monotonic() > end or build.poll() is not None:
            raise TimeoutError(f"{name} never ran anything")
        time.sleep(0.1)


def await_line(made: Cluster, name: str, text: str) -> None:
    """Wait until a worker has logged something; raises TimeoutError."""
    end = time.monotonic() + 600
    while text not in made.workers[name].text():
        if time.monotonic() > end:
            raise TimeoutError(f"{name} did not log {text}")
        time.sleep(0.2)
