"""A worker on Windows: what it compiles equals what is compiled here.

Run with `pytest -m platforms`; what it needs is set up by prepare.sh.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from support.foreign_project import ForeignProject
from support.platforms import Windows, patient
from support.processes import cluster

pytestmark = [pytest.mark.platforms, pytest.mark.timeout(900)]


def headers(zig: str) -> str:
    """Return the option for the compiler's own headers, which bare clang is not given."""
    return f"-nostdinc -isystem {Path(zig).parent}/lib/include"


@pytest.mark.parametrize("target", ["aarch64-linux-gnu", "x86_64-windows-gnu"])
def test_a_windows_worker_serves_this_machine(
    windows: Windows, zig: str, drivers: Path, tmp_path: Path, target: str
) -> None:
    """It is the only worker; objects and depfiles are those of a build on Linux."""
    options = f"-target {target} -O2 {headers(zig)}"
    project = ForeignProject(tmp_path / "project", drivers, options, plain=True)
    wanted = project.built_here()
    with cluster(tmp_path, workers=0, serve=patient(tmp_path)) as made:
        worker = windows.join(made, "win")
        told = made.coordinate("workers").stdout
        assert "ISA=x86-64 OSFamily=windows" in told, told
        done = made.build(project.path, "--no-cache")
        assert done.status == 0, done.output + done.errors
        assert done.summary["workers"] == {"win": project.units}, (done.summary, worker.text())
        assert project.products() == wanted


def test_a_whole_project_is_built_on_windows(windows: Windows, tmp_path: Path) -> None:
    """By a compiler and a build tool of that machine; the program that comes home runs there."""
    project = tmp_path / "project"
    (project / "src").mkdir(parents=True)
    (project / "src/part.h").write_text("int part(void);\n")
    (project / "src/part.c").write_text('#include "part.h"\nint part(void) { return 42; }\n')
    (project / "main.c").write_text(
        '#include <stdio.h>\n#include "src/part.h"\n'
        'int main(void) { printf("%d bits, %d\\n", (int)sizeof(long) * 8, part()); return 0; }\n'
    )
    (project / "build.ninja").write_text(
        "rule c\n  command = tcc -c $in -o $out\nrule l\n  command = tcc $in -o $out\n"
        "build main.o: c main.c\nbuild part.o: c src/part.c\nbuild main.exe: l main.o part.o\n"
        "rule t\n  command = cmd /c main.exe\nbuild test: t main.exe\n"
    )
    with cluster(tmp_path, workers=0, serve=patient(tmp_path)) as made:
        worker = windows.join(made, "win")
        whole = ("--strategy", "whole-project", "--platform", "x64-windows")
        done = made.build(project, *whole, "--test")
        assert done.status == 0, done.output + done.errors + worker.text()
        assert "32 bits, 42" in done.output, done.output
        assert done.summary["artifacts"] == ["main.exe"], done.summary
        assert done.summary["workers"] == {"win": 1}
        (project / "src/part.c").write_text("int part(void) { return nothing; }\n")
        failed = made.build(project, *whole)
        assert failed.status == 1, failed.output + failed.errors
        assert "'nothing' undeclared" in failed.output, failed.output
    assert windows.execute(project / "main.exe") == "32 bits, 42\n"
