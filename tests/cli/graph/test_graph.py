"""The graph of includes: against the compiler's own word, and by hand where there is none."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cyxmake_cli.graph.queries import FileGraph, components, cycles, hotspots, impact, order, reach
from support.processes import REPOSITORY, environment, python

_FILES = {
    "src/main.c": '#include "a.h"\n#include <lib/b.h>\n#include <stdio.h>\n',
    "src/other.c": "#include <lib/b.h>\n",
    "src/alone.c": "int x;\n",
    "src/a.h": '#include "c.h"\n',
    "src/c.h": '#include "a.h"\n',
    "include/lib/b.h": '#include "deep.h"\n/* #include "never.h" */\n',
    "include/lib/deep.h": "\n",
    "include/lib/never.h": "\n",
    "build/CMakeCache.txt": "",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project without a build system."""
    root = tmp_path / "p"
    for name, text in _FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def graph(root: Path, *arguments: str, status: int = 0) -> dict[str, Any]:
    """Ask a question; returns the JSON document."""
    done = subprocess.run(
        python("cyxmake_cli.main", "graph", *arguments, "-C", str(root), "--json"),
        env=environment(CYXMAKE_CONFIG_DIR=str(root.parent / "config")),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    found: dict[str, Any] = json.loads(done.stdout) if status in (0, 1) else {"said": done.stderr}
    return found


def test_questions_are_answered_before_anything_is_configured(project: Path) -> None:
    """Without a compile database folders are searched; comments and the system are left out."""
    assert graph(project, "deps", "src/main.c")["needs"] == [
        "include/lib/b.h", "include/lib/deep.h", "src/a.h", "src/c.h",
    ]  # fmt: skip
    assert graph(project, "deps", "src/main.c", "--direct")["needs"] == [
        "include/lib/b.h", "src/a.h",
    ]  # fmt: skip
    reached = graph(project, "impact", "include/lib/deep.h")
    assert (reached["units"], reached["headers"]) == (
        ["src/main.c", "src/other.c"], ["include/lib/b.h"],
    )  # fmt: skip
    assert graph(project, "impact", "src/alone.c")["units"] == ["src/alone.c"]
    assert graph(project, "cycles", status=1)["cycles"] == [["src/a.h", "src/c.h"]]
    spots = graph(project, "hotspots", "-n", "2")["hotspots"]
    assert [(s["file"], s["units"]) for s in spots] == [
        ("include/lib/b.h", 2), ("include/lib/deep.h", 2),
    ]  # fmt: skip
    files = graph(project, "order")["order"]
    assert files.index("include/lib/deep.h") < files.index("include/lib/b.h")
    assert files.index("include/lib/b.h") < files.index("src/other.c")
    assert "no compile of this project" in graph(project, "deps", "nowhere.c", status=2)["said"]


def test_the_search_path_of_each_compile_counts(project: Path) -> None:
    """With a compile database the same name may lead to another file in each compile."""
    for name in ("one", "two"):
        (project / name).mkdir()
        (project / name / "config.h").touch()
    (project / "src/x.c").write_text("#include <config.h>\n")
    (project / "src/y.c").write_text('#include "config.h"\n')
    entries = [
        {"directory": str(project), "file": "src/x.c", "command": "gcc -Ione -c src/x.c -o x.o"},
        {"directory": str(project), "file": "src/y.c",
         "arguments": ["gcc", "-I", "two", "-c", "src/y.c"]},
        {"directory": str(project), "command": "gcc 'broken"}, {"directory": 7}, 5,
    ]  # fmt: skip
    (project / "build/compile_commands.json").write_text(json.dumps(entries))
    found = graph(project, "impact", "one/config.h")
    assert found["units"] == ["src/x.c"]
    assert found["basis"].endswith("compile_commands.json")
    assert graph(project, "deps", "src/y.c")["needs"] == ["two/config.h"]


def test_the_sample_project_agrees_with_the_compiler(tmp_path: Path) -> None:
    """What ninja's graph and the scanner say of a real project is what `gcc -MM` says."""
    root = tmp_path / "calculator"
    shutil.copytree(REPOSITORY / "tests/projects/calculator", root,
                    ignore=shutil.ignore_patterns("build"))  # fmt: skip
    subprocess.run(["cmake", "-S", root, "-B", root / "build", "-G", "Ninja"], check=True,
                   capture_output=True)  # fmt: skip
    subprocess.run(["ninja", "-C", root / "build", "powers.h"], check=True, capture_output=True)
    for source in ("src/parse.c", "src/table.c"):
        said = subprocess.run(
            ["gcc", "-MM", "-Iinclude", "-Ibuild", source], cwd=root, check=True,
            capture_output=True, text=True,
        ).stdout  # fmt: skip
        wanted = set(said.replace("\\\n", " ").split()[1:]) - {source}
        found = graph(root, "deps", source)
        assert found["basis"].startswith("ninja's graph")
        assert set(found["needs"]) == {str(Path(path)) for path in wanted}


def test_large_graphs_are_walked_without_recursion() -> None:
    """A chain of 20,000 files, and a circle of as many, are no trouble."""
    names = [f"f{n:05}" for n in range(20_000)]
    chain = {a: frozenset((b,)) for a, b in pairwise(names)}
    graph_of = FileGraph(chain, frozenset(names[:1]))
    assert order(graph_of) == tuple(reversed(names))
    assert len(reach(chain, names[0])) == len(names) - 1
    circle = FileGraph(chain | {names[-1]: frozenset(names[:1])}, frozenset(names[:1]))
    assert cycles(circle) == (tuple(names),)


@pytest.mark.parametrize("seed", range(5))
def test_answers_agree_with_each_other_on_random_graphs(seed: int) -> None:
    """Impact is deps turned around; cycles are mutual reach; the order respects every arrow."""
    chance = random.Random(seed)
    names = [f"n{number}" for number in range(30)]
    needs = {name: frozenset(chance.sample(names, chance.randint(0, 3))) - {name} for name in names}
    units = frozenset(names[:10])
    found = FileGraph(needs, units, dict.fromkeys(names, 1))
    far = {name: set(reach(needs, name)) for name in names}
    for name in names:
        wanted = {other for other in names if name in far[other] or other == name} & units
        assert set(impact(found, name)[0]) == wanted
    group_of = {name: group for group in components(found) for name in group}
    for a in names:
        for b in names:
            mutual = a == b or (b in far[a] and a in far[b])
            assert (group_of[a] is group_of[b]) == mutual
    place = {name: number for number, name in enumerate(order(found))}
    for name, needed in needs.items():
        assert all(place[one] < place[name] for one in needed if group_of[one] != group_of[name])
    for spot in hotspots(found, 5):
        assert spot.units == sum(spot.file in far[unit] for unit in units)
