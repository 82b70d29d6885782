"""Patterns of paths, and paths that stay inside."""

from __future__ import annotations

import pytest

from cyxmake_common.globs import is_inside, matcher


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("dist/*", "dist/a.js", "dist/b/a.js"),
        ("dist/**", "dist/b/a.js", "dist2/a.js"),
        ("dist/", "dist/b/a.js", "dist"),
        ("**/*.so*", "a/b/libx.so.1", "a/b/libx.s"),
        ("**/*.so*", "libx.so", "libx.so/a"),
        ("*/target/*.jar", "m/target/a.jar", "target/a.jar"),
        ("a?.[ch]", "ab.c", "a/.c"),
        ("[!a]*", "b", "a"),
        ("a+(b).x", "a+(b).x", "aab.x"),
        ("**", "any/thing", ""),
    ],
)
def test_patterns_mean_what_build_tools_mean(pattern: str, yes: str, no: str) -> None:
    """Stars stay in their directory, two stars leave it, everything else is itself."""
    matches = matcher([pattern])
    assert matches(yes)
    assert not matches(no) or no == ""


def test_no_pattern_matches_nothing() -> None:
    """An empty list of patterns asks for no file."""
    assert not matcher([])("a")


@pytest.mark.parametrize(
    "path", ["", "/etc/x", "../x", "a/../x", "a//b", "a/", "./a", "a\0b", "a\\b"]
)
def test_paths_that_leave_are_known(path: str) -> None:
    """What could name anything but a file below its directory is not inside."""
    assert not is_inside(path)
    assert is_inside("a/..b/c")
