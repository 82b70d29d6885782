"""Real Makefile projects through the launcher: every object equal to plain make's, then all hits.

Run with `pytest -m corpus`; sources are fetched by package name and kept outside of the tree.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.builds import products, run
from support.corpora import source_package
from support.processes import cluster, environment, python

pytestmark = [pytest.mark.corpus, pytest.mark.timeout(1800)]


@dataclass(frozen=True)
class MakeCorpus:
    """How a project is made and cleaned."""

    package: str
    targets: tuple[str, ...]
    clean: tuple[str, ...]
    test: tuple[str, ...]
    changing: tuple[str, ...] = ()
    """Products that hold the time of the build: two plain builds differ in them."""


CORPORA = {
    "lua": MakeCorpus("lua5.4", ("linux",), ("clean",), ("src/lua", "-e", "print(6 * 7)")),
    "redis": MakeCorpus(
        "redis",
        ("MALLOC=libc", "OPTIMIZATION=-O1"),
        ("distclean",),
        ("src/redis-server", "--version"),
        ("release.o", "redis-server", "redis-sentinel", "redis-check", "redis-cli", "redis-bench"),
    ),
}


def steady(spec: MakeCorpus, directory: Path) -> dict[str, str]:
    """Return the products that two builds have in common."""
    return {
        name: digest
        for name, digest in products(directory).items()
        if not any(part in name for part in spec.changing)
    }


@pytest.mark.parametrize("name", sorted(CORPORA))
def test_equal_then_all_hits(name: str, tmp_path: Path) -> None:
    """Objects, archives and programs; the second build runs no compile at all."""
    spec = CORPORA[name]
    project = tmp_path / name
    shutil.copytree(source_package(spec.package), project, symlinks=True)
    start = time.monotonic()
    run(["make", "-C", str(project), "-j2", *spec.targets])
    local_seconds = time.monotonic() - start
    wanted = steady(spec, project)
    env = environment(
        CYXMAKE_CACHE_DIR=str(tmp_path / "cache"), CYXMAKE_CONFIG_DIR=str(tmp_path / "config")
    )
    summaries: list[dict[str, Any]] = []
    with cluster(tmp_path) as made:
        env["CYXMAKE_TOKEN"] = made.token("client")
        try:
            for _ in range(2):
                run(["make", "-C", str(project), *spec.clean])
                figures = tmp_path / "summary.json"
                argv = ("dbuild", "-C", str(project), "--summary", str(figures), *spec.targets)
                done = subprocess.run(
                    python("cyxmake_cli.main", *argv), env=env, capture_output=True, text=True,
                    check=False,
                )  # fmt: skip
                assert done.returncode == 0, done.stderr[-3000:]
                summaries.append(json.loads(figures.read_text()))
                assert steady(spec, project) == wanted
        finally:
            subprocess.run(
                python("cyxmake_cli.main", "launcher", "stop"), env=env, check=False,
                capture_output=True,
            )  # fmt: skip
    run([str(project / spec.test[0]), *spec.test[1:]])
    first, second = summaries
    assert first["local"] == second["local"] == 0, first["local_reasons"]
    assert second["remote"] == 0
    assert second["cache_hits"] == second["actions"] == first["actions"]
    print(
        f"\n{name}: make {local_seconds:.1f} s, cold {first['wall']:.1f} s, "
        f"warm {second['wall']:.1f} s, {first['remote']} compiles, "
        f"{first['cache_hits']} of them twice the same"
    )
