"""Killed at any moment of any fix: what stood there before comes back, to the byte."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cyxmake_cli.building.project import LocalProject, open_project
from cyxmake_cli.recovery.apply import Applier
from cyxmake_cli.recovery.fixes import (
    AddFlags,
    Alias,
    Edit,
    EditFile,
    Fix,
    MakeDirectory,
    Permit,
    Restore,
    RunTool,
    SetAside,
    Touch,
)
from cyxmake_cli.recovery.journal import Journal, Transaction
from cyxmake_cli.recovery.snapshot import digest_of
from cyxmake_cli.recovery.undoing import take_back

_WRITES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.symlink",
           "os.utime", "shutil.rmtree", "subprocess.Popen", "os.posix_spawn")  # fmt: skip
_FIXES: dict[str, Fix] = {
    "edit": EditFile("Makefile", (Edit(1, "all: b", "all:"), Edit(2, "\ttrue", "\tfalse"))),
    "set-aside": SetAside(("stale", "build/CMakeCache.txt")),
    "restore": Restore(("gone/file",)),
    "touch": Touch(("script", "stale/b")),
    "permit": Permit("script", "x"),
    "make-directory": MakeDirectory("new/deep/place"),
    "alias": Alias("py", "python3", ("-E",)),
    "flags": AddFlags(("-O1",)),
    "tool": RunTool(("git", "rm", "-q", "--cached", "Makefile"), ("stale", ".git/index")),
}


def _project(folder: Path) -> LocalProject:
    (folder / "stale/deep").mkdir(parents=True)
    (folder / "build").mkdir()
    for name in ("stale/deep/a", "stale/b", "build/CMakeCache.txt", "script"):
        (folder / name).write_text(name)
    (folder / "Makefile").write_text("all: b\n\ttrue\n")
    (folder / "gone").mkdir()
    (folder / "gone/file").write_text("back")
    (folder / "script").chmod(0o640)
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b",
                                                  "commit", "-qm", "x"]):  # fmt: skip
        subprocess.run(["git", *words], cwd=folder, check=True)
    (folder / "gone/file").unlink()
    (folder / "gone").rmdir()
    return open_project(folder)


def _digest(folder: Path) -> list[tuple[str, str, int]]:
    """Return what stands in a project; without what CyxMake keeps for itself."""
    return [
        (p.name, digest_of(str(p)), p.lstat().st_mtime_ns if p.is_file() else 0)
        for p in sorted(folder.iterdir())
        if p.name != ".cyxmake"
    ]


def _killed_at(number: int, work: Callable[[], None]) -> bool:
    """Do something in a process that is killed before its n-th change; False: it ended before."""
    child = os.fork()
    if child == 0:
        left = [number]

        def heard(event: str, arguments: tuple[object, ...]) -> None:
            reads = event == "open" and (not isinstance(arguments[2], int) or arguments[2] & 3 == 0)
            if event in _WRITES and not reads:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(heard)
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("name", _FIXES)
def test_an_undo_after_a_kill_at_any_point_is_exact(name: str, tmp_path: Path) -> None:
    """Before every single change that a fix makes, and that its undo makes."""
    folder = tmp_path / "project"
    folder.mkdir()
    project, fix = _project(folder), _FIXES[name]
    journal, applier = Journal(project.own), Applier(project)
    project.own.folder("")
    before = _digest(folder)

    def make() -> None:
        begun = journal.begin(
            Transaction(0, "run", "now", fix, "because", "f", "c", str(project.build)),
            applier.touches(fix),
        )
        made = applier.make(fix)
        journal.applied(begun, made.variables)

    def take_all_back() -> None:
        for found in reversed(journal.active()):
            assert take_back(journal, folder, found, "test") == []

    points = 0
    while _killed_at(points, make):
        interrupted = journal.interrupted()
        if not interrupted:
            assert _digest(folder) == before, "changed before it was written down"
        if points % 3 == 0:  # the undo is killed as well, and then repeated
            _killed_at(points // 3, take_all_back)
        take_all_back()
        assert _digest(folder) == before
        points += 1
    assert points > 3
    assert len(journal.interrupted()) == 1
    assert name in ("flags", "alias") or _digest(folder) != before
    take_all_back()
    assert _digest(folder) == before
