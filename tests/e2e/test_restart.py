"""A coordinator that is started anew in the middle of a build: nothing that has ended is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.builds import configure, nothing_to_do, products, run
from support.processes import begin, cluster, environment, python, start, wait_for_lines

CMAKE = ("cmake", "-S", "{source}", "-B", "{build}", "-G", "Ninja")
UNITS = 14


def make_project(directory: Path) -> Path:
    """Write a project of C++ files that take a moment each."""
    directory.mkdir()
    names = [f"u{number}.cpp" for number in range(UNITS)]
    for number, name in enumerate(names):
        (directory / name).write_text(
            "#include <map>\n#include <string>\n"
            f"int unit_{number}(const std::string &s) "
            f"{{ std::map<std::string, int> m; m[s] = {number}; return m.begin()->second; }}\n"
        )
    (directory / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(many CXX)\n"
        f"add_library(many STATIC {' '.join(names)})\n"
    )
    return directory


@pytest.mark.alone  # a build does what it waits for itself when the way back takes ten seconds
def test_coordinator_restarted(tmp_path: Path) -> None:
    """kill -9 of the coordinator and a new start: the build goes on, and nothing runs twice."""
    project = make_project(tmp_path / "many")
    build = project / "build"
    configure(CMAKE, project, build)
    run(["ninja", "-C", str(build)])
    wanted = products(build)
    configure(CMAKE, project, build)
    figures = tmp_path / "figures.json"
    with cluster(tmp_path) as made:
        running = begin(made, project, "--summary", str(figures))
        seen = wait_for_lines(running, 3)
        made.coordinator.kill()
        argv = python(
            "cyxmake_coordinator.main", "serve", "--port", str(made.port),
            "--data-dir", str(tmp_path / "coordinator"),
        )  # fmt: skip
        made.coordinator = start(argv, tmp_path / "coordinator.log", environment())
        output, _ = running.communicate(timeout=120)
        output = seen + output
        executed = sum(worker.text().count("executed") for worker in made.workers.values())
    assert running.returncode == 0, output
    assert products(build) == wanted
    assert nothing_to_do(build)
    assert "the coordinator is back" in output
    summary = json.loads(figures.read_text())
    # What was sent was done once, and what was done there was not done here as well.
    assert summary["races"] == {"won_here": 0, "won_there": 0, "regret_seconds": 0}, output
    assert executed == summary["remote"], output
    assert summary["remote"] >= UNITS // 2, output
