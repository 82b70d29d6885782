"""A worker on another processor: what it compiles equals what is compiled here.

Run with `pytest -m platforms`; what it needs is set up by prepare.sh.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from support.builds import configure, products, run
from support.platforms import Arm64, PlatformUnavailable
from support.processes import Cluster, cluster
from support.zig import NO_LINKS, find_zig, write_drivers

pytestmark = [pytest.mark.platforms, pytest.mark.timeout(900)]

LEAVES = 30.0
"""Seconds that an emulated worker may take to leave."""


@pytest.fixture(scope="module")
def zig() -> str:
    """Return this machine's zig."""
    found = find_zig()
    if found is None:
        pytest.skip("zig can't be had")
    return found


@pytest.fixture(scope="module")
def arm64(zig: str) -> Arm64:
    """Return an arm64 machine with the same zig."""
    try:
        return Arm64.prepare(zig)
    except PlatformUnavailable as missing:
        pytest.skip(str(missing))


def make_project(directory: Path) -> Path:
    """Write a library in C and C++ that names its own files and has a header of its own."""
    directory.mkdir(parents=True)
    (directory / "part.h").write_text("#define PART 7\n")
    (directory / "a.c").write_text(
        '#include <stdio.h>\n#include "part.h"\n'
        'int a(void) { return printf("%s %d\\n", __FILE__, PART); }\n'
    )
    (directory / "b.c").write_text(
        '#include <math.h>\n#include "part.h"\ndouble b(double x) { return sqrt(x) / PART; }\n'
    )
    (directory / "c.cpp").write_text(
        "#include <string>\nstd::string c(int x) { return std::to_string(x); }\n"
    )
    (directory / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(parts C CXX)\n"
        "add_library(parts STATIC a.c b.c c.cpp)\n"
    )
    return directory


def configuration(drivers: Path, target: str, kind: str) -> tuple[str, ...]:
    """Return the command that configures a project for zig and a target."""
    return (
        *("cmake", "-S", "{source}", "-B", "{build}", "-G", "Ninja", NO_LINKS),
        f"-DCMAKE_C_COMPILER={drivers}/zig-cc",
        f"-DCMAKE_CXX_COMPILER={drivers}/zig-c++",
        f"-DCMAKE_C_FLAGS=-target {target}",
        f"-DCMAKE_CXX_FLAGS=-target {target}",
        f"-DCMAKE_BUILD_TYPE={kind}",
    )


def leave(made: Cluster, name: str) -> None:
    """Let an emulated worker leave in its own time."""
    made.workers.pop(name).stop(LEAVES)


@pytest.mark.parametrize(
    ("target", "kind"), [("aarch64-linux-gnu", "Debug"), ("x86_64-linux-gnu", "Release")]
)
def test_an_arm64_worker_serves_this_machine(
    arm64: Arm64, zig: str, tmp_path: Path, target: str, kind: str
) -> None:
    """It is the only worker; its own zig stands in for ours, and all files are equal, then hit."""
    drivers = write_drivers(tmp_path / "drivers", zig)
    project = make_project(tmp_path / "project")
    build = project / "build"
    command = configuration(drivers, target, kind)
    configure(command, project, build)
    run(["ninja", "-C", str(build)])
    wanted = products(build)
    with cluster(tmp_path, workers=0) as made:
        worker = arm64.join(made, "arm", "--slots", "2")
        status = made.coordinate("workers").stdout
        assert "ISA=arm-a64" in status, status
        assert "OSFamily=linux" in status, status
        configure(command, project, build)
        done = made.build(project, "--no-cache")
        assert done.status == 0, done.output + done.errors
        assert done.summary["workers"] == {"arm": 3}, done.summary
        assert products(build) == wanted
        assert "toolchain-proven" in worker.text()
        configure(command, project, build)
        again = made.build(project)
        leave(made, "arm")
        assert again.summary["cache_hits"] == 3, again.summary
        assert products(build) == wanted


def test_a_worker_without_the_tool_is_not_used(arm64: Arm64, zig: str, tmp_path: Path) -> None:
    """No zig there: nothing is sent to it, the build is local and says what was lacking."""
    drivers = write_drivers(tmp_path / "drivers", zig)
    project = make_project(tmp_path / "project")
    build = project / "build"
    configure(configuration(drivers, "aarch64-linux-gnu", "Release"), project, build)
    with cluster(tmp_path, workers=0) as made:
        arm64.join(made, "arm", zig=False)
        done = made.build(project)
        leave(made, "arm")
    assert done.status == 0, done.output + done.errors
    assert done.summary["remote"] == 0, done.summary
    assert any("ISA" in reason for reason in done.summary["local_reasons"]), done.summary
