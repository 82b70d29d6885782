"""`cyxmake-worker status` and `check`, on what a worker leaves in its data directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cyxmake_common.errors import ExitStatus
from cyxmake_worker.data_dir import DataDir, occupied
from cyxmake_worker.report import ReportFile, WorkerReport
from support.processes import cluster, environment, python

_HERE = WorkerReport(7, "w1", "wss://h:1", 4, "namespace", heartbeat_seconds=1.0)


def test_status_tells_the_four_states_apart(tmp_path: Path) -> None:
    """Not running, not joined, joined, and out of touch; a worker without a sandbox is no good."""
    file = ReportFile(tmp_path)
    file.joined(_HERE)  # what a worker that was killed has left
    assert file.read(0.0)[1] is ExitStatus.CONFIG
    with occupied(DataDir(tmp_path)):
        file.clear()
        assert file.read(0.0)[1] is ExitStatus.CLUSTER_UNREACHABLE
        file.joined(_HERE)
        beat = (tmp_path / "worker.json").stat().st_mtime
        said, ended = file.read(beat + 7.9)
        assert ended is ExitStatus.OK
        assert "joined wss://h:1" in said
        said, ended = file.read(beat + 100)
        assert ended is ExitStatus.CLUSTER_UNREACHABLE
        assert "no connection to wss://h:1 for 100 s" in said
        os.utime(tmp_path / "worker.json", (0, 0))
        file.beat()
        assert file.read(beat + 5)[1] is ExitStatus.OK
        (tmp_path / "worker.json").write_text("[]")
        assert file.read(beat)[1] is ExitStatus.CLUSTER_UNREACHABLE
        file.joined(WorkerReport(7, "w1", "wss://h:1", 4, "none", 1.0))
        assert file.read(beat)[1] is ExitStatus.CONFIG


@pytest.mark.e2e
@pytest.mark.skipif(sys.platform != "linux", reason="needs the namespace sandbox")
def test_commands_of_a_live_worker(tmp_path: Path) -> None:
    """The one asks the worker's own file; the other needs no worker and leaves nothing."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            python("cyxmake_worker.main", *arguments), env=environment(), text=True,
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip

    with cluster(tmp_path, workers=1) as made:
        (data,) = tmp_path.glob("**/worker.json")
        done = call("status", "--data-dir", str(data.parent))
        assert (done.returncode, done.stderr) == (0, "")
        assert f"process {next(iter(made.workers.values())).pid}," in done.stdout
        before = sorted(data.parent.iterdir())
        done = call("check", "--data-dir", str(data.parent))
        assert done.stdout.startswith("sandbox: "), done.stderr
        assert sorted(data.parent.iterdir()) == before
    done = call("status", "--data-dir", str(data.parent))
    assert done.returncode == ExitStatus.CONFIG
