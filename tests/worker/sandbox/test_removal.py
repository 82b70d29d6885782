"""Removing trees that a command may have made to be hard to remove."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from cyxmake_worker.sandbox.removal import remove_children, remove_tree


def test_a_tree_is_removed_and_links_are_not_followed(tmp_path: Path) -> None:
    """Only what is in the tree goes."""
    (tmp_path / "kept").write_text("kept")
    tree = tmp_path / "tree"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/b/file").write_text("x")
    (tree / "a/link").symlink_to(tmp_path)
    remove_tree(tree)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_tree_that_does_not_exist_is_fine(tmp_path: Path) -> None:
    """Removing twice is no error."""
    remove_tree(tmp_path / "nothing")


@pytest.mark.skipif(sys.platform == "win32", reason="modes and descriptors of POSIX")
def test_depth_and_missing_permissions_do_not_matter(tmp_path: Path) -> None:
    """Deeper than any path can be written, and closed at every level."""
    tree = tmp_path / "tree"
    tree.mkdir()
    descriptor = os.open(tree, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("deep", dir_fd=descriptor)
        inner = os.open("deep", os.O_RDONLY, dir_fd=descriptor)
        os.fchmod(descriptor, 0)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
    remove_tree(tree)
    assert not tree.exists()


def test_children_go_and_the_directory_stays(tmp_path: Path) -> None:
    """Files, links and trees in a directory are removed; a missing directory is made."""
    base = tmp_path / "base"
    remove_children(base)
    (base / "d/e").mkdir(parents=True)
    (base / "f").write_text("x")
    (base / "l").symlink_to(tmp_path)
    remove_children(base)
    assert list(base.iterdir()) == []
