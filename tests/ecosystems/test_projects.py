"""Real projects: `init` says what is true of each, `build` builds it, `clean` undoes that."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.ecosystems import PROJECTS
from support.processes import environment, python
from support.source_packages import SourceUnavailable

pytestmark = [pytest.mark.ecosystems, pytest.mark.timeout(900)]


@pytest.fixture(params=PROJECTS)
def system(request: pytest.FixtureRequest) -> str:
    """Each of the build systems."""
    return str(request.param)


def _source(system: str, place: Path) -> Path:
    try:
        return PROJECTS[system].fetch(place)
    except SourceUnavailable as error:
        pytest.skip(str(error))


def _cyxmake(root: Path, *arguments: str, **env: str) -> dict[str, Any]:
    done = subprocess.run(
        python("cyxmake_cli.main", arguments[0], "-C", str(root), "--json", *arguments[1:]),
        env=environment(CYXMAKE_CONFIG_DIR=str(root.parent / "config"), **env),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _tree(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink() and ".cyxmake" not in path.parts
    }


def test_init_is_right_in_every_field(system: str, tmp_path: Path) -> None:
    """Name, version, build system with evidence, language, targets, dependencies, versions."""
    wanted = PROJECTS[system]
    found = _cyxmake(_source(system, tmp_path), "init")
    first = found["components"][0]
    said = {
        "name": found["name"],
        "version": found["project_version"],
        "system": first["system"],
        "evidence": (first["evidence"][0]["file"], first["evidence"][0]["line"]),
        "others": tuple(first["others"]),
        "parts": len(found["components"]),
    }
    assert said == {
        "name": wanted.name, "version": wanted.version, "system": wanted.system,
        "evidence": wanted.evidence, "others": wanted.others, "parts": 1,
    }  # fmt: skip
    assert wanted.language in [one["name"] for one in found["languages"][:4]]
    assert set(wanted.targets) <= {target["name"] for target in found["targets"]}
    needed = {d["name"] for d in found["dependencies"] if d["kind"] in ("run", "build")}
    assert needed == set(wanted.dependencies)
    assert set(wanted.asks_for) <= {(v["tool"], v["version"]) for v in found["versions"]}


def test_it_builds_and_is_left_as_it_was(system: str, tmp_path: Path) -> None:
    """The product is there, the second build is quick, and a clean brings back the sources."""
    wanted = PROJECTS[system]
    if missing := [tool for tool in wanted.needs if shutil.which(tool) is None]:
        pytest.skip(f"needs {missing[0]}")
    root = _source(system, tmp_path)
    before = _tree(root)
    report = _cyxmake(root, "build", *wanted.arguments)
    assert report["system"] == wanted.system
    assert list(root.glob(wanted.product)), report
    again = _cyxmake(root, "build", *wanted.arguments)
    inside = sum(command["seconds"] for command in again["commands"])
    assert again["seconds"] - inside < float(os.environ.get("CYXMAKE_OVERHEAD", "2"))
    if wanted.tests:
        _cyxmake(root, "test")
    _cyxmake(root, "clean", "--yes")
    after = _tree(root)
    # What may be generated among the sources and looks like written by hand stays; nothing is lost.
    kept = before.keys() - set(wanted.rewrites)
    assert {path: after.get(path) for path in kept} == {path: before[path] for path in kept}
    assert not list(root.glob(wanted.product)) or wanted.product in before


def test_a_build_without_work_costs_little(tmp_path: Path) -> None:
    """Without work `cyxmake build` takes less than 0.2 s of processor more than its tool."""
    root = _source("cmake", tmp_path)
    _cyxmake(root, "build", *PROJECTS["cmake"].arguments)
    user = environment(CYXMAKE_CONFIG_DIR=str(tmp_path / "config"))
    del user["CYXMAKE_BUILD_PLACE"]  # set for tests alone; a setting costs what checks it

    def seconds(argv: list[str]) -> float:
        def one() -> float:
            start = os.times()
            subprocess.run(argv, check=True, capture_output=True, env=user)
            end = os.times()
            return end.children_user + end.children_system - (
                start.children_user + start.children_system)  # fmt: skip

        return min(one() for _ in range(12))  # other programs slow it down, nothing speeds it up

    ours = python("cyxmake_cli.main", "build", "-C", str(root))
    plain = seconds(["cmake", "--build", str(root / "build")])
    assert seconds(ours) - plain < 0.2
