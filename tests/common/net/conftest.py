"""Certificates for the tests of this folder, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyxmake_common.net.tls import create_authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of the coordinator's certificates."""
    directory = tmp_path_factory.mktemp("authority")
    create_authority(directory)
    return directory


@pytest.fixture(scope="session")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of somebody else's certificates."""
    directory = tmp_path_factory.mktemp("other")
    create_authority(directory)
    return directory
