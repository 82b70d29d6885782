"""Packages that are not installed, as layers: built here and on workers that have no compiler."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from support.builds import products, run
from support.empty_root import available
from support.processes import REPOSITORY, bare_root, cluster, environment, python

pytestmark = [
    pytest.mark.ecosystems,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs apt"),
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that needs a library which is not installed."""
    if Path("/usr/include/fmt").exists():
        pytest.skip("libfmt-dev is installed")
    return Path(shutil.copytree(REPOSITORY / "tests/projects/needs-fmt", tmp_path / "project"))


def cyxmake(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a scratch home."""
    env = environment(
        CYXMAKE_CACHE_DIR=str(home / "cache"), CYXMAKE_CONFIG_DIR=str(home / "config")
    )
    return subprocess.run(
        python("cyxmake_cli.main", *arguments), env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(not available(), reason="bubblewrap can't make a root here")
def test_workers_without_compiler_build_with_a_layer(project: Path, tmp_path: Path) -> None:
    """Compiles and links that read a layer's files go there, and equal a local build."""
    added = cyxmake(tmp_path, "layer", "add", "-y", "-C", str(project), "libfmt-dev")
    assert added.returncode == 0, added.stderr
    local = cyxmake(tmp_path, "build", "--local", "-C", str(project))
    assert local.returncode == 0, local.stdout + local.stderr
    build = project / "build"
    wanted = products(build)
    with cluster(tmp_path, workers=2, root=bare_root(tmp_path / "root")) as made:
        shutil.rmtree(build)
        done = made.build(project)
        assert done.status == 0, done.output + done.errors
        assert products(build) == wanted
        assert done.summary["remote"] > 0
        shutil.rmtree(build)
        again = made.build(project, "--download", "toplevel")
        assert again.status == 0, again.output + again.errors
        assert again.summary["local_reasons"] == {}
        assert products(build)["report"] == wanted["report"]
    assert "total       12" in run([str(build / "report"), "3", "4", "5"])
