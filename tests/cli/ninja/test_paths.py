"""Paths as ninja spells them."""

from __future__ import annotations

import pytest

from cyxmake_cli.ninja.paths import canonicalize, decode, encode, shell_quote


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", ""),
        ("foo.h", "foo.h"),
        ("./foo.h", "foo.h"),
        ("./foo/./bar.h", "foo/bar.h"),
        ("./x/foo/../bar.h", "x/bar.h"),
        ("./x/foo/../../bar.h", "bar.h"),
        ("foo//bar", "foo/bar"),
        ("foo//.//..///bar", "bar"),
        ("./x/../foo/../../bar.h", "../bar.h"),
        ("foo/./.", "foo"),
        ("foo/bar/..", "foo"),
        ("foo/.hidden_bar", "foo/.hidden_bar"),
        ("/foo", "/foo"),
        ("//foo", "/foo"),
        ("..", ".."),
        ("../", ".."),
        ("../foo", "../foo"),
        ("../../foo/bar", "../../foo/bar"),
        ("./../foo", "../foo"),
        ("/..", "/.."),
        ("/../../", "/../.."),
        ("/", "/"),
        ("/foo/..", "/"),
        (".", "."),
        ("./.", "."),
        ("foo/..", "."),
        ("foo/", "foo"),
        ("foo/.._bar", "foo/.._bar"),
        ("foo...", "foo..."),
    ],
)
def test_paths_become_canonical(path: str, expected: str) -> None:
    """Dots, doubled slashes and trailing slashes go; leading `..` stays."""
    assert canonicalize(path) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("some/sensible/path-1.2+x_y.c", "some/sensible/path-1.2+x_y.c"),
        ("foo bar", "'foo bar'"),
        ("foo'bar", "'foo'\\''bar'"),
        ('foo"bar', "'foo\"bar'"),
        ("a$b", "'a$b'"),
        ("", ""),
    ],
)
def test_paths_are_quoted_for_the_shell(path: str, expected: str) -> None:
    """Only what a shell could misread is quoted, in ninja's way."""
    assert shell_quote(path) == expected


def test_bytes_that_are_not_utf8_survive() -> None:
    """A file name in an old encoding comes out as it went in."""
    assert encode(decode(b"caf\xe9/\xff.c")) == b"caf\xe9/\xff.c"
