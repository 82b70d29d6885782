"""`cyxmake explain` names what changed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.processes import Cluster, environment, python


def explain(made: Cluster, project: Path, *arguments: str) -> str:
    """Run the command for a project."""
    env = environment(CYXMAKE_CACHE_DIR=str(made.home / "cache"))
    done = subprocess.run(
        python("cyxmake_cli.main", "explain", *arguments, "-C", str(project)),
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_miss_names_what_changed(calculator: Path, shared_cluster: Cluster) -> None:
    """Header, flag, source and shadowing header: each is named; a hit says that it is one."""
    assert shared_cluster.build(calculator).status == 0
    header = calculator / "src/parser.h"
    header.write_text(header.read_text() + "\n/* changed */\n")
    assert shared_cluster.build(calculator).summary["remote"] == 2
    assert "{root}/src/parser.h changed" in explain(shared_cluster, calculator, "miss", "parse.c.o")

    lists = calculator / "CMakeLists.txt"
    lists.write_text(lists.read_text() + "target_compile_definitions(calc PRIVATE EXTRA=1)\n")
    assert shared_cluster.build(calculator).status == 0
    assert "EXTRA=1" in explain(shared_cluster, calculator, "miss", "evaluate.c.o")

    source = calculator / "src/history.cpp"
    source.write_text(source.read_text() + "\nint another;\n")
    assert shared_cluster.build(calculator).status == 0
    assert "source changed" in explain(shared_cluster, calculator, "miss", "history.cpp.o")

    shadow = calculator / "include/math.h"
    shadow.write_text("#include_next <math.h>\n")
    (calculator / "src/parse.c").touch()
    assert shared_cluster.build(calculator).status == 0
    told = explain(shared_cluster, calculator, "miss", "parse.c.o")
    assert "{root}/include/math.h is there now" in told

    (calculator / "src/evaluate.c").touch()
    assert shared_cluster.build(calculator).summary["cache_hits"] >= 1
    assert "stored result" in explain(shared_cluster, calculator, "miss", "evaluate.c.o")


def test_rebuild_and_placement(calculator: Path, shared_cluster: Cluster) -> None:
    """What would run now and why; where something ran and why there."""
    assert shared_cluster.build(calculator).status == 0
    (calculator / "src/parser.h").touch()
    told = explain(shared_cluster, calculator, "rebuild", "parse.c.o")
    assert "parser.h" in told
    placed = explain(shared_cluster, calculator, "placement", "libcalc.a")
    assert "local" in placed
    assert "not a compile" in placed
