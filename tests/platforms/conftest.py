"""Machines of other kinds, set up once for all tests; skipped with the reason where that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.platforms import Arm64, PlatformUnavailable, Windows, prepare_cross
from support.zig import find_zig, write_drivers


@pytest.fixture(scope="session")
def zig() -> str:
    """Return this machine's zig."""
    found = find_zig()
    if found is None:
        pytest.skip("zig can't be had")
    return found


@pytest.fixture(scope="session")
def drivers(zig: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with scripts around it."""
    return write_drivers(tmp_path_factory.mktemp("drivers"), zig)


@pytest.fixture(scope="session")
def arm64(zig: str) -> Arm64:
    """Return an arm64 machine with the same zig."""
    try:
        return Arm64.prepare(zig)
    except PlatformUnavailable as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def windows(zig: str) -> Windows:
    """Return a Windows machine with the same zig."""
    try:
        return Windows.prepare(zig)
    except PlatformUnavailable as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def cross() -> str:
    """Return this machine's compiler for arm64, of the release that the arm64 machine has."""
    try:
        prepare_cross()
    except PlatformUnavailable as missing:
        pytest.skip(str(missing))
    return "/usr/bin/aarch64-linux-gnu-gcc-12"
