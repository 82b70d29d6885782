"""Real projects on a real cluster: cells of the equality table, touched files, killed workers.

Run with `pytest -m corpus`; sources are fetched by package name and kept outside of the tree. The
whole table is made by tests/bench/equality.py; here is its first column.
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import planned, run
from support.corpora import CORPORA, System
from support.equality import WITHOUT_CCACHE, Cell, Checkout, run_cells
from support.equality_report import cell_line
from support.launcher_user import User, make_user
from support.processes import begin, cluster, wait_for_lines
from support.source_packages import SourceUnavailable

pytestmark = [pytest.mark.corpus, pytest.mark.timeout(1800)]

WHOLE = sorted(n for n, c in CORPORA.items() if not c.system.uses_make and not c.targets)
"""Ninja projects of which every target is built."""


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """A user of a coordinator with two workers, for all projects."""
    home = tmp_path_factory.mktemp("cluster")
    with cluster(home) as made:
        found = make_user(home / "user", CYXMAKE_TOKEN=made.token("client", "1d"), **WITHOUT_CCACHE)
        yield found
        found.stop()


def checkout(name: str, top: Path) -> Checkout:
    """Return a configured checkout; skips the test where the project cannot be had."""
    tools = {System.CMAKE: "cmake", System.MESON: "meson"}
    tool = tools.get(CORPORA[name].system, "make")
    if shutil.which(tool) is None or shutil.which("ninja") is None:
        pytest.skip(f"{tool} or ninja is not installed")
    made = Checkout(name, "plain", top / name)
    try:
        made.configure()
    except SourceUnavailable as missing:
        pytest.skip(str(missing))
    return made


@pytest.mark.parametrize("name", sorted(CORPORA))
def test_equal_then_cached_then_shared(name: str, user: User, tmp_path: Path) -> None:
    """Every file is the local build's; wiped and in a second checkout, it is all hits."""
    checkout(name, tmp_path).remove()
    cell = Cell(name, "", "plain", "normal")
    run_cells([(cell, user)], tmp_path)
    print(f"\n{cell_line(cell)}")
    assert cell.faults() == []
    assert cell.first is not None
    assert cell.first.remote > 0


@pytest.mark.parametrize("name", WHOLE)
def test_touched_files_run_what_ninja_would_run(name: str, user: User, tmp_path: Path) -> None:
    """After a source or a header is touched, exactly ninja's set of edges runs."""
    made = checkout(name, tmp_path)
    made.build_locally()
    always = planned(made.build)
    for touched in (made.corpus.one_source, made.corpus.hot_header):
        (made.source / touched).touch()
        ran = run(["ninja", "-C", str(made.build)]).splitlines()  # a restat may stop an action
        count = sum(line.startswith("[") for line in ran)
        (made.source / touched).touch()
        done = user.dbuild(made.source, "--build-dir", str(made.build))
        assert done["status"] == 0, done["output"][-3000:]
        assert done["actions"] == count > len(always), touched
        assert planned(made.build) == always
    idle = [user.dbuild(made.source, "--build-dir", str(made.build)) for _ in range(5)]
    assert all(summary["actions"] == len(always) for summary in idle)
    print(f"\n{name}: no-op {statistics.median(summary['wall'] for summary in idle):.3f} s")


@pytest.mark.parametrize("moment", range(10))
def test_kill_a_worker_at_any_moment(moment: int, tmp_path: Path) -> None:
    """kill -9 of one of two workers, at ten different moments of a zstd build."""
    made = checkout("zstd", tmp_path)
    made.build_locally()
    wanted, always = made.written(), planned(made.build)
    made.restore()
    with cluster(tmp_path) as workers:
        options = ("--build-dir", str(made.build), "-d", "keepdepfile", *made.corpus.targets)
        running = begin(workers, made.source, *options)
        wait_for_lines(running, moment * 4)
        workers.workers[f"w{moment % 2}"].kill()
        output, _ = running.communicate(timeout=300)
    assert running.returncode == 0, output[-3000:]
    assert made.written() == wanted
    assert planned(made.build) == always
