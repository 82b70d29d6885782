"""Choosing a sandbox: by trying, not by believing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cyxmake_common.action import Command
from cyxmake_common.errors import SandboxError
from cyxmake_worker.sandbox.base import Limits, SandboxKind
from cyxmake_worker.sandbox.none import NoSandbox
from cyxmake_worker.sandbox.probe import choose_sandbox


async def test_something_is_always_chosen(tmp_path: Path) -> None:
    """The choice is started, and the probe leaves nothing of itself."""
    chosen = await choose_sandbox(tmp_path / "sandbox")
    try:
        assert chosen.kind in SandboxKind
        assert not (tmp_path / "sandbox/probe").exists()
        if chosen.kind is SandboxKind.NONE:
            assert sys.platform != "linux" or chosen.tried
    finally:
        await chosen.sandbox.close()


async def test_no_sandbox_refuses_with_its_reason(tmp_path: Path) -> None:
    """Nothing runs unprotected by accident."""
    sandbox = NoSandbox("no overlay")
    await sandbox.start()
    with pytest.raises(SandboxError, match="no overlay"):
        await sandbox.run([tmp_path], Command(("true",)), Limits(), tmp_path)
    await sandbox.close()
