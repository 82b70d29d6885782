"""A build that is killed: what was recorded counts, for us and for the real ninja."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cyxmake_cli.ninja.session import Result

from .shell_executor import NINJA, build, load, ninja, ninja_planned, planned

pytestmark = pytest.mark.skipif(NINJA is None, reason="needs ninja")

MANIFEST = """\
rule cc
  command = cat $in > $out; echo $out: $in head.h > $out.d
  depfile = $out.d
  deps = gcc
build o0: cc s.c
build o1: cc o0
build o2: cc o1
build o3: cc o2
"""


@pytest.mark.parametrize("torn", [b"", b"\x07\x00", b"1\t2\t"])
def test_every_finished_edge_survives_a_kill(tmp_path: Path, torn: bytes) -> None:
    """The logs are never closed, and the last write may be torn; two edges stay done."""
    (tmp_path / "build.ninja").write_text(MANIFEST)
    (tmp_path / "s.c").write_text("")
    (tmp_path / "head.h").write_text("")
    graph = load(tmp_path)
    graph.plan()
    for _ in range(2):
        edge = graph.next_ready()
        assert edge is not None
        graph.started(edge, 0)
        subprocess.run(["/bin/sh", "-c", edge.command()], cwd=tmp_path, check=True)
        graph.finished(edge, Result(True), 1)
    for name in (".ninja_log", ".ninja_deps"):
        with (tmp_path / name).open("ab") as log:
            log.write(torn)
    assert planned(tmp_path).commands == ninja_planned(tmp_path).commands
    assert len(planned(tmp_path).commands) == 2
    assert len(build(tmp_path).commands) == 2
    assert ninja(tmp_path, "-n", "-d", "explain") == "ninja: no work to do.\n"
    graph.close()
