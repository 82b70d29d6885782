"""A toolchain that the coordinator's store had to let go: it is sent again, and builds go on."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from support.processes import Cluster, bare_root, cluster

_LIMIT = 90 << 20
"""Enough for gcc's files, compressed, and some more."""
_DATA = 20 << 20


@pytest.mark.corpus
@pytest.mark.timeout(300)
def test_an_evicted_toolchain_is_sent_again(tmp_path: Path) -> None:
    """Data push the compiler out of the store; a new worker, which has nothing, gets it anew."""
    settings = tmp_path / "coordinator.toml"
    settings.write_text(f"cas_limit_bytes = {_LIMIT}\n")
    home, project = tmp_path / "home", tmp_path / "project"
    home.mkdir()
    project.mkdir()
    serve = ("--config", str(settings))
    with cluster(home, workers=0, root=bare_root(tmp_path / "root"), serve=serve) as made:
        first = made.add_worker("w0", 1)
        compile_on(made, project, "int one;\n")
        files = stored(home)
        for number in range(4):
            (project / "data").write_bytes(random.Random(number).randbytes(_DATA))
            compile_on(made, project, f'__asm__(".incbin \\"data\\" # {number}");\n')
        gone = files - stored(home)
        assert len(gone) > len(files) / 2
        first.stop()
        made.add_worker("w1", 1)
        compile_on(made, project, "int two;\n")
        assert gone & stored(home), "nothing was sent again"


def compile_on(made: Cluster, project: Path, text: str) -> None:
    """Compile a text on the cluster; the object has the local one's bytes."""
    (project / "a.o").unlink(missing_ok=True)
    (project / "a.c").write_text(text)
    (project / "build.ninja").write_text(
        "rule c\n  command = gcc -c a.c -o a.o\nbuild a.o: c a.c\n"
    )
    done = made.build(project)
    assert (done.status, done.summary["remote"]) == (0, 1), done.summary["local_reasons"]
    there = (project / "a.o").read_bytes()
    subprocess.run(["gcc", "-c", "a.c", "-o", "a.o"], cwd=project, check=True)
    assert (project / "a.o").read_bytes() == there


def stored(home: Path) -> set[str]:
    """Return the names of the files in the coordinator's store."""
    return {path.name for path in (home / "coordinator/cas").rglob("*") if path.is_file()}
