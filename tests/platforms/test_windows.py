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
