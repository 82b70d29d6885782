"""One project of many small compiles, built every way there is, for the tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import Cluster, cluster
from support.trap_build import Case, TrapProject, Trial
from support.trap_cases import CASES, SOURCES
from support.trap_trials import Trials


def make_project(root: Path) -> TrapProject:
    """Write the project of all traps."""
    project = TrapProject(root, SOURCES, CASES)
    for tool in (root / "tools").iterdir():
        tool.chmod(0o755)
    (root / "src/link").symlink_to("real")
    (root / "src/bare").mkdir()
    return project


def begin(project: TrapProject) -> None:
    """Undo what a build does to the sources."""
    first = (project.root / "src/rewritten.first").read_bytes()
    (project.root / "src/rewritten.h").write_bytes(first)
    passing = project.root / "src/passing"
    (passing / "one/passing.h").write_text("#define PASSING 1\n")
    (passing / "turned").unlink(missing_ok=True)
    (passing / "turned").symlink_to("three")


def change(project: TrapProject) -> None:
    """Change inputs that no command line names."""
    source = project.root / "src"
    (source / "later.h").write_text("int later = 1;\n")
    (source / "plain.proftext").write_text("plain\n24\n1\n900\n")
    (source / "written.y").write_text("another line\nand its second\n")
    (source / "quiet/quiet.h").write_text("#define QUIET 2\n")
    (source / "first/shadow.h").write_text("#define SHADOW 1\n")
    (source / "not_there_yet.h").write_text("#error not to be read\n")
    (source / "generated.in").write_text("#define GENERATED 4\n")
    (source / "blob.bin").write_bytes(b"other bytes")
    (source / "joined.bin").write_bytes(b"different")
    (source / "changing.rsp").write_text("-DCHANGING=1 -fomit-frame-pointer")
    (source / "parts/part.inc").write_text(".long 5\n")
    (source / "real/beside.h").write_text("#define BESIDE 2\n")
    (source / "late.h.gch").write_text("not made by this compiler")
    (source / "ignore.txt").write_text("fun:nothing\n")


@pytest.fixture(scope="session")
def trap_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A coordinator and one worker."""
    with cluster(tmp_path_factory.mktemp("cluster"), workers=1) as made:
        yield made


@pytest.fixture(scope="session")
def trials(trap_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Trials:
    """Every case, built every way."""
    project = make_project(tmp_path_factory.mktemp("traps") / "project")
    first = project.trial(trap_cluster, lambda: begin(project))
    begin(project)
    again = Trial(project.root, first.cases, first.ninja, project.with_cluster(trap_cluster))
    moved = make_project(tmp_path_factory.mktemp("another-place") / "deeper" / "project")
    elsewhere = moved.trial(trap_cluster, lambda: begin(moved))
    change(project)
    return Trials(first, again, elsewhere, project.trial(trap_cluster, lambda: begin(project)))


@pytest.fixture(scope="session")
def fixed_time(trap_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """A few cases built in surroundings of their own."""
    sources: dict[str, str | bytes] = {
        "src/clock.c": 'const char *when = __DATE__ " " __TIME__;\n',
        "src/shadow.c": "#include <shadow.h>\nint s = SHADOW;\n",
        "src/second/shadow.h": "#define SHADOW 2\n",
        "src/quotes.c": "int quotes(void) { int ä; return unknown(); }\n",
    }
    cases = [
        Case("19", "gcc -c ../src/clock.c -o {o}/a.o"),
        Case("33", "gcc -Wall -c ../src/quotes.c -o {o}/a.o"),
        Case("34", "gcc -MD -MF {o}/a.d -c ../src/shadow.c -o {o}/a.o"),
    ]
    project = TrapProject(tmp_path_factory.mktemp("around"), sources, cases)
    old = os.umask(0o027)
    try:
        return project.trial(
            trap_cluster,
            SOURCE_DATE_EPOCH="1000000000",
            CPATH=str(project.root / "src/second"),
            LC_ALL="C.UTF-8",
        )
    finally:
        os.umask(old)
