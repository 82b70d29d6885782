"""Things that break in the middle of a build: the build ends right all the same."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from support.builds import LEFT_HERE, configure, nothing_to_do, products, run
from support.processes import begin, cluster, wait_for_lines

CMAKE = ("cmake", "-S", "{source}", "-B", "{build}", "-G", "Ninja")


def make_project(directory: Path, units: int = 16) -> Path:
    """Write a project of many C++ files that take a moment each."""
    directory.mkdir()
    names = []
    for number in range(units):
        names.append(f"u{number}.cpp")
        (directory / names[-1]).write_text(
            "#include <map>\n#include <string>\n"
            f"int unit_{number}(const std::string &s) "
            f"{{ std::map<std::string, int> m; m[s] = {number}; return m.begin()->second; }}\n"
        )
    (directory / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(many CXX)\n"
        f"add_library(many STATIC {' '.join(names)})\n"
    )
    return directory


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of some ten seconds of compiles."""
    return make_project(tmp_path / "many")


@pytest.mark.parametrize("finished", [0, 3, 8])
def test_killed_worker(project: Path, tmp_path: Path, finished: int) -> None:
    """kill -9 of one of two workers: the bytes are right and nothing fails."""
    build = project / "build"
    configure(CMAKE, project, build)
    run(["ninja", "-C", str(build)])
    wanted = products(build)
    configure(CMAKE, project, build)
    with cluster(tmp_path) as made:
        running = begin(made, project)
        wait_for_lines(running, finished)
        made.workers["w0"].kill()
        output, _ = running.communicate(timeout=120)
    assert running.returncode == 0, output
    assert products(build) == wanted
    assert nothing_to_do(build)


def test_killed_coordinator(project: Path, tmp_path: Path) -> None:
    """kill -9 of the coordinator: the client says so and finishes locally."""
    with cluster(tmp_path) as made:
        running = begin(made, project)
        wait_for_lines(running, 3)
        made.coordinator.kill()
        output, _ = running.communicate(timeout=120)
        assert running.returncode == 0, output
        assert "connection-lost" in output
        assert nothing_to_do(project / "build")
        assert (project / "build/libmany.a").exists()


def test_no_worker(project: Path, tmp_path: Path) -> None:
    """A cluster without workers: the build says so and is local."""
    with cluster(tmp_path, workers=0) as made:
        done = made.build(project)
    assert done.status == 0
    assert "no workers" in done.output
    assert done.summary["local"] == done.summary["actions"]


def test_unreachable_coordinator(project: Path, tmp_path: Path) -> None:
    """A token of a coordinator that is gone: the build says so and is local."""
    with cluster(tmp_path, workers=0) as made:
        made.token("client")
        made.extra_env["token"] = made.token("client")
        made.coordinator.stop()
        done = made.build(project)
    assert done.status == 0
    assert "building locally" in done.output
    assert done.summary["local"] == done.summary["actions"]


def test_interrupt(project: Path, tmp_path: Path) -> None:
    """Ctrl-C ends with 130, cancels remote work, and the next build goes on from there."""
    with cluster(tmp_path) as made:
        running = begin(made, project)
        wait_for_lines(running, 2)
        start = time.monotonic()
        os.kill(running.pid, signal.SIGINT)
        output, _ = running.communicate(timeout=30)
        took = time.monotonic() - start
        assert running.returncode == 130, output
        assert "interrupted" in output
        assert took < 10
        assert not list((project / "build").rglob("*.cyx"))
        again = made.build(project)
        assert again.status == 0
        assert nothing_to_do(project / "build")


def test_worker_comes_back(project: Path, tmp_path: Path) -> None:
    """A worker that was killed can join again under its name and serve the next build."""
    with cluster(tmp_path, workers=1) as made:
        made.workers["w0"].kill()
        made.add_worker("w0")
        done = made.build(project)
    assert done.status == 0
    assert done.summary["workers"] == {"w0": done.summary["remote"]}


def test_hung_coordinator(project: Path, tmp_path: Path) -> None:
    """A coordinator that stops answering without closing: the build goes on locally."""
    with cluster(tmp_path) as made:
        running = begin(made, project)
        wait_for_lines(running, 2)
        made.coordinator.process.send_signal(signal.SIGSTOP)
        try:
            output, _ = running.communicate(timeout=120)
        finally:
            made.coordinator.process.send_signal(signal.SIGCONT)
        assert running.returncode == 0, output
        assert nothing_to_do(project / "build")


DRIVER = """
#include <unistd.h>
int main(int argc, char **argv)
{
    (void)argc;
    if (access("/etc/passwd", R_OK) != 0)
        __builtin_trap();
    argv[0] = "COMPILER";
    return execv(argv[0], argv);
}
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
def test_toolchain_that_does_not_work_on_workers(tmp_path: Path) -> None:
    """A compiler that dies on every worker: the build is made here, and says what is wrong."""
    project = make_project(tmp_path / "many", units=3)
    driver = tmp_path / "tools/g++"
    driver.parent.mkdir()
    (tmp_path / "driver.c").write_text(DRIVER.replace("COMPILER", str(shutil.which("g++"))))
    run(["gcc", "-o", str(driver), str(tmp_path / "driver.c")])
    with cluster(tmp_path) as made:
        done = made.build(project, f"--option=-DCMAKE_CXX_COMPILER={driver}")
    assert done.status == 0, done.output + done.errors
    assert done.summary["remote"] == 0
    reasons = [reason for reason in done.summary["local_reasons"] if reason not in LEFT_HERE]
    assert reasons
    for reason in reasons:
        assert "toolchain-broken" in reason
        assert "ended by signal" in reason
    assert nothing_to_do(project / "build")
