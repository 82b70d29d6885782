"""Workers that lack what an action needs: memory, or room on the disk. No build fails for that."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from support.builds import nothing_to_do
from support.processes import cluster

_MEMORY = 300 << 20
_SMALL_DISK = 'mkdir -p "$1" && mount -t tmpfs -o size=8m tmpfs "$1" && shift && exec "$@"'


def make_project(directory: Path, **sources: str) -> Path:
    """Write a project of a few C files."""
    directory.mkdir()
    for name, text in sources.items():
        (directory / f"{name}.c").write_text(text)
    files = " ".join(f"{name}.c" for name in sources)
    (directory / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.16)\nproject(one C)\nadd_library(one STATIC {files})\n"
    )
    return directory


def hungry() -> str:
    """Return a source that costs the compiler some 400 MB, and little time."""
    lines = ['#define A "' + "x" * 65_000 + '"']
    lines += [
        f"#define {name} {' '.join([of] * 10)}" for name, of in zip("BCD", "ABC", strict=True)
    ]
    return "\n".join(lines) + "\nunsigned long size = sizeof(D D);\n"


def test_a_compile_that_runs_out_of_memory_goes_to_another_worker(tmp_path: Path) -> None:
    """The first worker's limit ends the compiler: no failure, and not tried there again."""
    project = make_project(tmp_path / "one", a=hungry(), b=hungry().replace("size =", "other ="))
    with cluster(tmp_path, workers=0) as made:
        # A JVM that the worker asks for its version leaves a report of its crash where it is.
        made.prefix = ("env", "-C", str(tmp_path), "prlimit", f"--data={_MEMORY}")
        made.add_worker("w0", 1)
        before = made.build(project)
        assert before.status == 0
        assert before.summary["local_reasons"].get("resource: memory") == 2
        assert "resource: memory" in made.cyxmake("replay", "--list").stdout
        for source in project.glob("*.c"):
            source.write_text(source.read_text().replace("long ", "long more, "))
        made.prefix = ()
        made.add_worker("w1", 1)
        done = made.build(project)
        assert done.status == 0, done.output
        # Each has one slot: one of the two units was given to w0 first.
        assert done.summary["workers"] == {"w1": 2}, done.output
        assert nothing_to_do(project / "build")


@pytest.mark.skipif(os.getuid() != 0, reason="mounts a file system")
def test_a_cluster_without_room_gives_its_work_back(tmp_path: Path) -> None:
    """Its one worker has a disk of 8 MB, and cannot even keep the compiler."""
    project = make_project(tmp_path / "one", a="int one;\n")
    with cluster(tmp_path, workers=0) as made:
        data = str(tmp_path / "worker-w0")
        made.prefix = ("unshare", "-m", "sh", "-c", _SMALL_DISK, "sh", data)
        made.add_worker("w0", 1, CYXMAKE_WORKER_PROBE_TOOLCHAINS="false")
        for number in range(2):
            (project / "a.c").write_text(f"int one = {number};\n")
            done = made.build(project)
            assert done.status == 0, done.output
            assert done.summary["remote"] == 0
        workers = json.loads(made.coordinate("status", "--json").stdout)["workers"]
        # It gets one action as a probe now and then.
        assert [w["condition"] for w in workers] in (["disk-full"], ["probed"])
        reasons = " ".join(done.summary["local_reasons"])
        assert "disk" in reasons, done.output
