"""`cyxmake explain` names what changed."""

from __future__ import annotations

import json
import re
import shutil
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
    assert "src/parser.h changed" in explain(shared_cluster, calculator, "miss", "parse.c.o")

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
    assert "include/math.h is there now" in told

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
    assert "links here" in placed


def show(made: Cluster, project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `cyxmake cache show` for a project."""
    env = environment(
        CYXMAKE_CACHE_DIR=str(made.home / "cache"), CYXMAKE_TOKEN=made.extra_env["token"]
    )
    return subprocess.run(
        python("cyxmake_cli.main", "cache", "show", "-C", str(project), *arguments),
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_what_is_stored_for_a_source(calculator: Path, shared_cluster: Cluster) -> None:
    """By source, output or key: what it hangs on, for which places, and whether it fits today."""
    source, header = calculator / "src/parse.c", calculator / "src/parser.h"
    source.write_text(source.read_text() + f"/* {calculator} */\n")
    assert shared_cluster.build(calculator).status == 0
    told = show(shared_cluster, calculator, str(source)).stdout
    assert "entry: fits today's files" in told
    assert f"holds only for {calculator}" in told  # built with -g
    assert re.search(r"compiled in .* s by w\d, (just now|\d+ (seconds?|minutes?) ago)", told), told
    (unit,) = json.loads(show(shared_cluster, calculator, str(source), "--json").stdout)["units"]
    (entry,) = unit["entries"]
    assert "{root}/src/parser.h" in entry["dependencies"]
    assert 0 < entry["stored"] <= entry["used"] < entry["stored"] + 600
    assert entry["size"] == sum(size for _, size in entry["outputs"]) > 1000
    assert {"-c", "{root}/src/parse.c"} <= set(unit["arguments"])
    assert unit["compiler"].startswith(("gcc ", "clang "))
    by_output = show(shared_cluster, calculator, "calc.dir/src/parse.c.o", "--json").stdout
    by_key = show(shared_cluster, calculator, unit["key"][:20], "--json").stdout
    assert [json.loads(text)["units"][0]["name"] for text in (by_output, by_key)] == [
        unit["name"]
    ] * 2
    header.write_text(header.read_text() + "\n/* changed */\n")
    misfit = show(shared_cluster, calculator, str(source)).stdout
    assert "does not fit today's files" in misfit
    assert "because src/parser.h changed" in misfit
    assert "0 of 1 fit" in show(shared_cluster, calculator).stdout
    none = show(shared_cluster, calculator, "nothing")
    assert none.returncode == 2
    assert "next: " in none.stderr


def test_a_miss_in_another_checkout_is_held_against_the_nearest(
    calculator: Path, shared_cluster: Cluster, tmp_path: Path
) -> None:
    """Where nothing was built before, the checkout that differs least says why it was no hit."""
    lists = calculator / "CMakeLists.txt"
    other = tmp_path / "another"
    shutil.copytree(calculator, other)
    assert shared_cluster.build(calculator).status == 0
    changed = other / "CMakeLists.txt"
    changed.write_text(lists.read_text() + "target_compile_definitions(calc PRIVATE DIFFERS=1)\n")
    assert shared_cluster.build(other).status == 0
    told = explain(shared_cluster, other, "miss", "parse.c.o")
    assert f"against {calculator}: arguments: now with DIFFERS=1" in told
    same = explain(shared_cluster, other, "miss", "main.cpp.o")
    assert f"holds the path {calculator}" in same
    assert "cache.remap_paths" in same
