"""A worker on another processor: what it compiles equals what is compiled here.

Run with `pytest -m platforms`; what it needs is set up by prepare.sh.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from support.foreign_project import ForeignProject
from support.platforms import Arm64, patient
from support.processes import cluster

pytestmark = [pytest.mark.platforms, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    "options", ["-target aarch64-linux-gnu -g -O1", "-target x86_64-linux-gnu -O2"]
)
def test_an_arm64_worker_serves_this_machine(
    arm64: Arm64, drivers: Path, tmp_path: Path, options: str
) -> None:
    """It is the only worker; its own zig stands in for ours, and all files are equal, then hit."""
    project = ForeignProject(tmp_path / "project", drivers, options)
    wanted = project.built_here()
    with cluster(tmp_path, workers=0, serve=patient(tmp_path)) as made:
        worker = arm64.join(made, "arm", "--slots", "2")
        told = made.coordinate("workers").stdout
        assert "ISA=arm-a64 OSFamily=linux" in told, told
        done = made.build(project.path, "--no-cache")
        assert done.status == 0, done.output + done.errors
        assert done.summary["workers"] == {"arm": project.units}, done.summary
        assert project.products() == wanted
        assert "toolchain-proven" in worker.text()
        project.clean()
        again = made.build(project.path)
        assert again.summary["cache_hits"] == project.units, again.summary
        assert project.products() == wanted


def test_a_worker_without_the_tool_is_not_used(arm64: Arm64, drivers: Path, tmp_path: Path) -> None:
    """No zig there: nothing is sent to it, the build is local and says what was lacking."""
    project = ForeignProject(tmp_path / "project", drivers, "-target aarch64-linux-gnu")
    wanted = project.built_here()
    with cluster(tmp_path, workers=0, serve=patient(tmp_path)) as made:
        arm64.join(made, "arm", zig=False)
        done = made.build(project.path)
    assert done.status == 0, done.output + done.errors
    assert done.summary["remote"] == 0, done.summary
    reasons = " ".join(done.summary["local_reasons"])
    assert "arm comes nearest, it lacks ISA=x86-64" in reasons, reasons
    assert project.products() == wanted
