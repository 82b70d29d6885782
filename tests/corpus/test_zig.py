"""zig as a C and C++ compiler on workers: the same bytes as here, for a named target.

zig comes as a Python package, installed once into a folder outside of the repository.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from cyxmake_common.toolchain.identity import Toolchain, ToolchainStore
from support.builds import configure, products, run
from support.processes import cluster
from support.zig import NO_LINKS, find_zig, write_drivers

pytestmark = pytest.mark.corpus
TARGET = "-target x86_64-linux-gnu"


@pytest.fixture(scope="module")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the scripts that people put around zig."""
    zig = find_zig()
    if zig is None:
        pytest.skip("zig can't be had")
    return write_drivers(tmp_path_factory.mktemp("drivers"), zig)


def make_project(directory: Path) -> Path:
    """Write a library of C and C++ with a header of each language."""
    directory.mkdir()
    (directory / "a.c").write_text(
        "#include <stdio.h>\n#include <math.h>\n"
        'int a(double x) { return printf("%f %s\\n", sqrt(x), __FILE__); }\n'
    )
    (directory / "b.cpp").write_text(
        "#include <map>\n#include <string>\n"
        'extern "C" int a(double);\n'
        'int main() { std::map<std::string, int> m; m["x"] = 1; return a(m["x"]) == 0; }\n'
    )
    (directory / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(zigged C CXX)\n"
        "add_library(zigged STATIC a.c b.cpp)\n"
    )
    return directory


@pytest.mark.parametrize("kind", ["Release", "Debug"])
def test_zig_on_workers(drivers: Path, tmp_path: Path, kind: str) -> None:
    """Both languages compile on the cluster, to the bytes that plain ninja leaves."""
    project = make_project(tmp_path / "zigged")
    build = project / "build"
    options = [
        f"-DCMAKE_C_COMPILER={drivers}/zig-cc",
        f"-DCMAKE_CXX_COMPILER={drivers}/zig-c++",
        f"-DCMAKE_C_FLAGS={TARGET}",
        f"-DCMAKE_CXX_FLAGS={TARGET}",
        f"-DCMAKE_BUILD_TYPE={kind}",
        NO_LINKS,
    ]
    command = ("cmake", "-S", "{source}", "-B", "{build}", "-G", "Ninja", *options)
    configure(command, project, build)
    run(["ninja", "-C", str(build)])
    wanted = products(build)
    with cluster(tmp_path) as made:
        configure(command, project, build)
        done = made.build(project, "--no-cache")
        assert done.status == 0, done.output + done.errors
        assert done.summary["remote"] == 2, done.summary
        assert products(build) == wanted
        shutil.rmtree(build)
        configure(command, project, build)
        again = made.build(project)
        assert again.summary["cache_hits"] == 2, again.summary
        assert products(build) == wanted


def test_zig_for_this_machine_stays_here(drivers: Path, tmp_path: Path) -> None:
    """Unasked, zig compiles for the processor that it finds."""
    project = make_project(tmp_path / "zigged")
    options = (
        f"--option=-DCMAKE_C_COMPILER={drivers}/zig-cc",
        f"--option=-DCMAKE_CXX_COMPILER={drivers}/zig-c++",
        f"--option={NO_LINKS}",
    )
    with cluster(tmp_path) as made:
        done = made.build(project, *options)
    assert done.status == 0, done.output + done.errors
    assert done.summary["remote"] == 0
    assert (
        "zig compiles for this machine unless -target names another"
        in (done.summary["local_reasons"])
    )


def test_zigs_tree(drivers: Path, tmp_path: Path) -> None:
    """One program, its own headers, the script's shell; the scripts share all but themselves."""
    store = ToolchainStore(tmp_path)
    one, other = (store.get(str(drivers / name)) for name in ("zig-cc", "zig-c++"))
    assert isinstance(one, Toolchain), one
    assert isinstance(other, Toolchain), other
    names = {Path(path).name for path in one.files.values()}
    assert {"zig", "std.zig", "stddef.h", "zig-cc"} <= names
    assert len(one.files.keys() ^ other.files.keys()) == 2
    environ = {**os.environ, "ZIG_LIB_DIR": "/elsewhere"}
    assert not isinstance(ToolchainStore(tmp_path, environ).get(str(drivers / "zig-cc")), Toolchain)
