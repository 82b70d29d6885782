"""Compilers of this machine, captured once for all tests of workers, and one place for rooms."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cyxmake_common.toolchain.identity import Toolchain
from support.worker_client import local_toolchain


@pytest.fixture(scope="session")
def gcc(tmp_path_factory: pytest.TempPathFactory) -> Toolchain:
    """Capture this machine's gcc once."""
    return local_toolchain(tmp_path_factory.mktemp("gcc"))


@pytest.fixture(scope="session")
def clang(tmp_path_factory: pytest.TempPathFactory) -> Toolchain:
    """Capture this machine's clang once."""
    path = shutil.which("clang")
    if path is None:
        pytest.skip("no clang here")
    return local_toolchain(tmp_path_factory.mktemp("clang"), path)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one place for the rooms of all tests: the toolchains are stored once."""
    return tmp_path_factory.mktemp("home")
