"""What a worker leaves for `cyxmake-worker status`: a small file that says how it is, kept fresh.

Knows nothing of connections: it is told that the worker has joined, and with each heartbeat that it
still is.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from cyxmake_common.errors import ExitStatus
from cyxmake_common.file_lock import FileLock
from cyxmake_worker.data_dir import LOCK_NAME

_LATE_BEATS: Final = 3
_SLACK_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """How a worker is, as far as it stays the same while it is joined."""

    pid: int
    name: str
    address: str
    slots: int
    sandbox: str
    heartbeat_seconds: float


class ReportFile:
    """The file of one worker."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._path = data_dir / "worker.json"

    def joined(self, report: WorkerReport) -> None:
        """Say that the worker is in the cluster now."""
        fresh = self._path.with_suffix(".new")
        with contextlib.suppress(OSError):  # a full disk must not end the work
            fresh.write_text(json.dumps(asdict(report)) + "\n", "utf-8")
            fresh.replace(self._path)

    def beat(self) -> None:
        """Say that it still is."""
        with contextlib.suppress(OSError):
            os.utime(self._path)

    def read(self, now: float) -> tuple[str, ExitStatus]:
        """Return what to tell a person, and how `status` ends; `now` is wall-clock time."""
        if not self._running():
            return f"no worker runs on {self._data_dir}", ExitStatus.CONFIG
        try:
            report = WorkerReport(**json.loads(self._path.read_text("utf-8")))
            age = now - self._path.stat().st_mtime
        except (OSError, ValueError, TypeError):
            return "the worker runs and has not joined yet", ExitStatus.CLUSTER_UNREACHABLE
        who = f"worker {report.name}, process {report.pid}, {report.slots} slots"
        if age > _LATE_BEATS * report.heartbeat_seconds + _SLACK_SECONDS:
            lost = f"{who}: no connection to {report.address} for {age:.0f} s"
            return lost, ExitStatus.CLUSTER_UNREACHABLE
        said = f"{who}: joined {report.address}, sandbox {report.sandbox}"
        return said, ExitStatus.CONFIG if report.sandbox == "none" else ExitStatus.OK

    def clear(self) -> None:
        """Say that the worker has not joined yet, or has left."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _running(self) -> bool:
        if not self._data_dir.is_dir():
            return False
        lock = FileLock(self._data_dir / LOCK_NAME)
        if not lock.try_acquire():
            return True
        lock.release()
        return False
