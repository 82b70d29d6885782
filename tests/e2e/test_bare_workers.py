"""Workers whose root holds Python and our modules, and nothing that could compile."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.builds import LEFT_HERE, configure, products, run
from support.empty_root import available
from support.processes import bare_root, cluster

pytestmark = pytest.mark.skipif(not available(), reason="bubblewrap can't make a root here")

_CONFIGURE = ("cmake", "-S", "{source}", "-B", "{build}", "-G", "Ninja")


@pytest.mark.parametrize(("c", "cxx"), [("gcc", "g++"), ("clang", "clang++")])
def test_a_worker_without_compiler_and_headers(
    calculator: Path, tmp_path: Path, c: str, cxx: str
) -> None:
    """Its root has one program, Python, and no header; what it compiles equals a local build."""
    if shutil.which(c) is None or shutil.which(cxx) is None:
        pytest.skip(f"{c} is not installed")
    compilers = (f"-DCMAKE_C_COMPILER={c}", f"-DCMAKE_CXX_COMPILER={cxx}")
    build = tmp_path / "build"
    configure((*_CONFIGURE, *compilers), calculator, build)
    run(["ninja", "-C", str(build)])
    wanted = products(build)
    root = bare_root(tmp_path / "root")
    programs, has_headers, compiler = root.look()
    assert (len(programs), has_headers, compiler) == (1, False, None), programs
    assert "python" in programs[0]
    with cluster(tmp_path, workers=1, root=root) as made:
        configure((*_CONFIGURE, *compilers), calculator, build)
        done = made.build(calculator, "--build-dir", str(build))
    assert done.status == 0, done.output + done.errors
    assert done.summary["remote"] > 0
    assert set(done.summary["local_reasons"]) == LEFT_HERE
    assert products(build) == wanted
