"""`cyxmake-worker check`: sets a sandbox up as the worker would, and tells how it went.

Knows nothing of coordinators; a worker that runs on the same directory is not disturbed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cyxmake_common.errors import ExitStatus
from cyxmake_worker.config import WorkerConfig
from cyxmake_worker.data_dir import DataDir
from cyxmake_worker.sandbox.base import SandboxKind
from cyxmake_worker.sandbox.probe import Chosen, choose_sandbox


async def check_sandbox(config: WorkerConfig) -> tuple[str, ExitStatus]:
    """Return what to tell a person, and how the command ends; raises ConfigError."""
    data = DataDir(config.effective_data_dir)
    data.prepare()
    base = data.root / f"check.{os.getpid()}"
    base.mkdir(mode=0o700)
    try:
        chosen = await choose_sandbox(
            base, allow_mapped=config.allow_mapped, network=config.allow_network
        )
        await chosen.sandbox.close()
    finally:
        shutil.rmtree(base, ignore_errors=True)
    ended = ExitStatus.OK if chosen.kind is SandboxKind.NAMESPACE else ExitStatus.CONFIG
    return _text(chosen, data.root), ended


def _text(chosen: Chosen, directory: Path) -> str:
    lines = [f"sandbox: {chosen.kind} ({directory})"]
    if chosen.kind is not SandboxKind.NAMESPACE:
        lines += [f"  refused: {reason}" for reason in chosen.tried]
    lines += [f"  next: {step}" for step in chosen.advice]
    return "\n".join(lines)
