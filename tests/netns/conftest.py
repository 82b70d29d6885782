"""Marks what needs a private network, and skips it with the reason where none can be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.netns import obstacle
from support.netns_projects import PART, Project, leveldb_sources
from support.netns_projects import leveldb as leveldb_project
from support.netns_projects import small as small_project


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs namespaces."""
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.netns)
        item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(autouse=True, scope="session")
def allowed() -> None:
    """Skip where no private network can be made."""
    if reason := obstacle():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def small(allowed: None, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A small project."""
    return small_project(tmp_path_factory.mktemp("small") / "many")


@pytest.fixture(scope="session")
def sources(allowed: None) -> Path:
    """LevelDB's sources, which are only read."""
    found = leveldb_sources()
    if found is None:
        pytest.skip("CYXMAKE_CORPORA names no folder with leveldb in it")
    return found


@pytest.fixture(scope="session")
def leveldb(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """All of LevelDB."""
    return leveldb_project(sources, tmp_path_factory.mktemp("all") / "leveldb")


@pytest.fixture(scope="session")
def leveldb_part(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A part of LevelDB."""
    return leveldb_project(sources, tmp_path_factory.mktemp("part") / "leveldb", PART)
