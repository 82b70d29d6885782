"""Packages that are not installed, as layers: built here and on workers that have no compiler."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.builds import products, run
from support.empty_root import available
from support.processes import (
    REPOSITORY,
    bare_root,
    cluster,
    dbuild,
    environment,
    python,
)

pytestmark = [
    pytest.mark.ecosystems,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs apt"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for the file: the list of what packages hold is fetched once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that needs a library which is not installed."""
    if Path("/usr/include/fmt").exists():
        pytest.skip("libfmt-dev is installed")
    return Path(shutil.copytree(REPOSITORY / "tests/projects/needs-fmt", tmp_path / "project"))


def cyxmake(home: Path, *arguments: str, **env: str) -> dict[str, Any]:
    """Run a command that has to succeed in a scratch home; returns its JSON document."""
    full = environment(
        CYXMAKE_CACHE_DIR=str(home / "cache"),
        CYXMAKE_CONFIG_DIR=str(home / "config"),
        CYXMAKE_STATE_DIR=str(home / "state"),
        **env,
    )
    done = subprocess.run(
        python("cyxmake_cli.main", *arguments, "--json"),
        env=full, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def report_of(project: Path) -> str:
    """Run what the project builds."""
    return run([str(project / "build" / "report"), "3", "4", "5"]).splitlines()[-1]


def test_a_build_finds_the_cause_gets_the_layer_and_goes_on(project: Path, home: Path) -> None:
    """One command from a project that cannot be configured to a program that runs; and back."""
    found = cyxmake(home, "build", "-y", "--local", "-C", str(project))
    assert [each["fix"] for each in found["repairs"]] == [
        {"kind": "layer", "manager": "apt", "packages": ["libfmt-dev"]}
    ]
    assert report_of(project) == "total       12"
    cyxmake(home, "test", "--local", "-C", str(project))
    clone = shutil.copytree(project, project.parent / "clone", ignore=shutil.ignore_patterns(
        "build", "recovery", "*.json"))  # fmt: skip
    cyxmake(home, "build", "--local", "-C", str(clone))
    assert report_of(clone) == "total       12"
    cyxmake(home, "undo", "-y", "-C", str(project))
    assert cyxmake(home, "layer", "list", "-C", str(project))["layers"] == []
    assert not (project / ".cyxmake" / "layers.toml").exists()


@pytest.mark.skipif(not available(), reason="bubblewrap can't make a root here")
def test_the_same_on_workers_without_compiler(project: Path, home: Path, tmp_path: Path) -> None:
    """What reads a layer's headers and libraries goes to them, and equals a local build."""
    cyxmake(home, "layer", "add", "-y", "-C", str(project), "libfmt-dev")
    cyxmake(home, "build", "--local", "-C", str(project))
    build = project / "build"
    wanted = products(build)
    shutil.rmtree(build)
    cyxmake(home, "layer", "remove", "-C", str(project), "libfmt-dev")
    with cluster(tmp_path, workers=2, root=bare_root(tmp_path / "root")) as made:
        token = made.token("client")
        found = cyxmake(home, "build", "-y", "-C", str(project), CYXMAKE_TOKEN=token)
        assert [each["fix"]["kind"] for each in found["repairs"]] == ["layer"]
        assert found["cluster"]["remote"] == 3, found
        assert products(build) == wanted
        shutil.rmtree(build)
        done = dbuild(home, project, "--download", "toplevel", CYXMAKE_TOKEN=token)
        assert done.status == 0, done.output + done.errors
        assert (done.summary["cache_hits"], done.summary["local_reasons"]) == (3, {})
        assert products(build)["report"] == wanted["report"]
    assert report_of(project) == "total       12"


def test_a_worker_that_builds_it_whole_has_the_layers(
    project: Path, home: Path, tmp_path: Path
) -> None:
    """It is configured, built and tested there with what only this project has."""
    cyxmake(home, "layer", "add", "-y", "-C", str(project), "libfmt-dev")
    with cluster(tmp_path, workers=1) as made:
        done = dbuild(home, project, "--strategy", "whole-project", "--test",
                      CYXMAKE_TOKEN=made.token("client"))  # fmt: skip
    assert done.status == 0, done.output + done.errors
    assert done.summary["workers"] == {"w0": 1}
    assert "100% tests passed" in done.output
    assert report_of(project) == "total       12"
