"""Fixtures: both kinds of stub."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from support.launcher import Bench

collect_ignore_glob = ["*"] if sys.platform == "win32" else []


@pytest.fixture(params=["native", "python"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    """A home with a stub; every test with it holds for the C stub and for the Python one."""
    native = request.param == "native"
    if native and shutil.which("cc") is None:
        pytest.skip("no C compiler is installed")
    return Bench.make(tmp_path, native=native)
