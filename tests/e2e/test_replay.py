"""A build that fails, its causes, and its failed actions run again: with real programs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.processes import cluster

HEADER = "nowhere/ssl.h"
UNITS = 6


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of many units that lack one header, and one that is fine."""
    directory = tmp_path / "many"
    directory.mkdir()
    (directory / "value.h").write_text("#define VALUE 1\n")
    names = [f"u{number}.c" for number in range(UNITS)]
    for name in names:
        (directory / name).write_text(f'#include "value.h"\n#include "{HEADER}"\n')
    (directory / "good.c").write_text("int good(void) { return 1; }\n")
    (directory / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(many C)\n"
        f"add_library(many STATIC good.c {' '.join(names)})\n"
    )
    return directory


def test_one_cause_and_its_replay(project: Path, tmp_path: Path) -> None:
    """One line for all units; a replay is the same whatever became of the sources meanwhile."""
    with cluster(tmp_path, workers=1) as made:
        done = made.build(project, "-k", "0")
        assert done.status == 1
        assert done.output.count(f"fatal error: {HEADER}") == UNITS, "each edge says its own"
        assert done.summary["causes"][0]["count"] == UNITS
        assert f"{UNITS} failed: the header {HEADER} is missing" in done.output
        found = re.search(r"cyxmake replay (\w+)", done.output)
        assert found is not None

        cyxmake = made.cyxmake
        causes = cyxmake("explain", "causes").stdout
        assert f"missing header: {HEADER} (seen by w0" in causes

        assert f"missing header: {HEADER}" in made.coordinate("status").stdout

        for path in project.glob("u*.c"):
            path.write_text("int fixed;\n")
        before = {path: path.stat().st_mtime_ns for path in project.rglob("*")}
        for how in ([], ["--local"], ["--worker", "w0"]):
            again = cyxmake("replay", found[1], *how)
            assert again.returncode == 0, (how, again.stdout, again.stderr)
            assert f"fatal error: {HEADER}" in again.stdout
            assert "exit code 1" in again.stdout
            assert "the same as" in again.stdout
        assert {path: path.stat().st_mtime_ns for path in project.rglob("*")} == before
        fixed = made.build(project)
        assert fixed.status == 0
        assert cyxmake("explain", "causes").stdout.startswith("nothing fails")
