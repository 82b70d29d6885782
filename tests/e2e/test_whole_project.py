"""Whole projects on one worker: built there, brought home, refused, interrupted, moved."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support.processes import REPOSITORY, BuildRun, Cluster, begin, cluster, dbuild

WHOLE = ("--strategy", "whole-project")
TOOLS = ("cmake", "make", "gcc", "g++", "python3")

pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in TOOLS), reason=f"needs {', '.join(TOOLS)}"
)


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A coordinator and two workers that see the system's own programs only."""
    with cluster(tmp_path_factory.mktemp("whole"), workers=0) as made:
        for name in ("w0", "w1"):
            made.add_worker(name, PATH="/usr/local/bin:/usr/bin:/bin", HOME="/nonexistent")
        yield made


def whole(made: Cluster, project: Path, *arguments: str) -> BuildRun:
    """Build a whole project."""
    return made.build(project, *WHOLE, *arguments)


def run(*argv: str | Path) -> str:
    """Run a program that a build made."""
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


def makefile(directory: Path, *lines: str) -> Path:
    """Write a project of one Makefile."""
    directory.mkdir(exist_ok=True)
    (directory / "Makefile").write_text("all:\n" + "".join(f"\t{line}\n" for line in lines))
    return directory


def test_cmake(workers: Cluster, calculator: Path) -> None:
    """Configured, built, tested there; what comes back runs, and is written over only if ours."""
    done = whole(workers, calculator, "--test")
    assert done.status == 0, done.output + done.errors
    assert "100% tests passed" in done.output
    program = calculator / "build/calculator"
    assert run(program, "1 + 2 * 3").strip() == "1 + 2 * 3 = 7"
    assert not list((calculator / "build").rglob("*.o"))
    source = calculator / "src/main.cpp"
    source.write_text(source.read_text().replace('" = "', '" is "'))
    (calculator / "build/make_table").write_text("mine")
    again = whole(workers, calculator)
    assert again.status == 0, again.output
    assert "7" in run(program, "1 + 2 * 3")
    assert (calculator / "build/make_table").read_text() == "mine"
    assert "build/make_table was left there" in again.output
    assert "build/make_table" in again.summary["left"]
    assert whole(workers, calculator, "--overwrite").status == 0
    assert (calculator / "build/make_table").read_bytes()[:4] == b"\x7fELF"


def test_make_builds_from_scratch_every_time(workers: Cluster, tmp_path: Path) -> None:
    """What an earlier build brought is not sent as a source; times and modes are those of here."""
    project = tmp_path / "sample"
    project.mkdir()
    (project / "main.c").write_text('#include <stdio.h>\nint main(void){puts("one");return 0;}\n')
    (project / "note.sh").write_text("#!/bin/sh\necho note >note.txt\n")
    (project / "note.sh").chmod(0o755)
    (project / "stale.c").write_text("")
    (project / "stale.txt").write_text("old")
    os.utime(project / "stale.txt", (1, 1))
    (project / "Makefile").write_text(
        "all: app stale.txt\n\t./note.sh\n"
        "app: main.c\n\t$(CC) -o $@ $<\n"
        "stale.txt: stale.c\n\techo new >$@\n"
    )
    done = whole(workers, project)
    assert done.status == 0, done.output + done.errors
    assert run(project / "app") == "one\n"
    assert (project / "stale.txt").read_text() == "old"  # a source here, whatever was made there
    assert "echo new" in done.output
    main = project / "main.c"
    main.write_text(main.read_text().replace("one", "two"))
    assert whole(workers, project, "--artifacts", "app", "--artifacts", "*.txt").status == 0
    assert run(project / "app") == "two\n"
    assert (project / "note.txt").read_text() == "note\n"


BACKEND = """
import zipfile
def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = "tiny-1.0-py3-none-any.whl"
    info = "tiny-1.0.dist-info/"
    with zipfile.ZipFile(f"{directory}/{name}", "w") as wheel:
        wheel.write("tiny.py")
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n")
        wheel.writestr(info + "RECORD", "")
    return name
"""


def test_python(workers: Cluster, tmp_path: Path) -> None:
    """A wheel is built there with a backend of the project's own, without a network."""
    if subprocess.run(["/usr/bin/python3", "-m", "pip", "-V"], check=False).returncode != 0:
        pytest.skip("the system's python3 has no pip")
    project = tmp_path / "tiny"
    project.mkdir()
    (project / "tiny.py").write_text("VALUE = 6 * 7\n")
    (project / "backend.py").write_text(BACKEND)
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "tiny"\nversion = "1.0"\n'
    )
    done = whole(workers, project, "--no-network")
    assert done.status == 0, done.output + done.errors
    with zipfile.ZipFile(project / "dist/tiny-1.0-py3-none-any.whl") as wheel:
        assert wheel.read("tiny.py") == b"VALUE = 6 * 7\n"


def test_what_no_worker_can_do_is_refused_at_once(workers: Cluster, tmp_path: Path) -> None:
    """The tool, the platform or the setting that is missing is named, before anything is sent."""
    (tmp_path / "Cargo.toml").write_text('[package]\nname = "a"\nversion = "1.0.0"\n')
    done = whole(workers, tmp_path)
    assert done.status != 0
    assert "no worker has cargo" in done.errors
    elsewhere = whole(workers, makefile(tmp_path / "m", "true"), "--platform", "arm64-windows")
    assert elsewhere.status != 0
    assert "no worker is windows arm-a64" in elsewhere.errors
    asked = whole(workers, makefile(tmp_path / "m", "true"), "--network")
    assert asked.status != 0
    assert "--allow-network" in asked.errors


def test_a_failing_build_brings_nothing(workers: Cluster, tmp_path: Path) -> None:
    """The tool's own verdict and output are the build's; its files stay there."""
    project = makefile(tmp_path / "bad", "cp /usr/bin/env made", "echo broken >&2; exit 3")
    done = whole(workers, project)
    assert done.status == 1
    assert "broken" in done.output
    assert not (project / "made").exists()


def _sleepers() -> list[psutil.Process]:
    return [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "4321"]]


def _heard(build: subprocess.Popen[str], what: str) -> str:
    assert build.stdout is not None
    seen = ""
    while what not in seen:
        line = build.stdout.readline()
        assert line, seen
        seen += line
    return seen


def test_interrupt_ends_the_commands(workers: Cluster, tmp_path: Path) -> None:
    """What is printed arrives as it comes; after Ctrl-C nothing of the build runs anywhere."""
    building = begin(workers, makefile(tmp_path / "slow", "echo begun", "sleep 4321"), *WHOLE)
    _heard(building, "\nbegun")
    start = time.monotonic()
    os.kill(building.pid, signal.SIGINT)
    while _sleepers() and time.monotonic() < start + 20:
        time.sleep(0.02)
    took = time.monotonic() - start
    output, _ = building.communicate(timeout=30)
    assert building.returncode == 130, output
    assert took < 10  # a second on a machine that has nothing else to do
    assert not _sleepers()


def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    """kill -9 in the middle: the build begins again elsewhere, and its result is whole."""
    project = makefile(tmp_path / "p", "echo begun", "sleep 3", "cp /usr/bin/env made", "echo end")
    with cluster(tmp_path) as made:
        building = begin(made, project, *WHOLE)
        seen = _heard(building, "\nbegun")
        name = seen.partition("building on ")[2].split()[0]
        made.workers[name].kill()
        output, _ = building.communicate(timeout=120)
    assert building.returncode == 0, output
    assert "again, from the beginning, on" in output
    assert (project / "made").read_bytes() == Path("/usr/bin/env").read_bytes()


def test_the_embedded_cluster_builds_whole_projects(tmp_path: Path) -> None:
    """Without a token the project is built on this machine, sealed off all the same."""
    project = tmp_path / "p"
    shutil.copytree(REPOSITORY / "tests/projects/makefile-sample", project)
    done = dbuild(tmp_path, project, *WHOLE, "--quiet")
    assert done.status == 0, done.output + done.errors
    assert done.summary["artifacts"]
