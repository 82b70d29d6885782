"""Fixtures for tests with real programs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import REPOSITORY, Cluster, cluster


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder runs real processes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A coordinator and two workers for the tests of one file."""
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture
def calculator(tmp_path: Path) -> Path:
    """A fresh copy of the sample project."""
    target = tmp_path / "calculator"
    shutil.copytree(
        REPOSITORY / "tests/projects/calculator", target, ignore=shutil.ignore_patterns("build")
    )
    return target
