"""Which names of directories reach a unit's environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyxmake_cli.cluster.working_directory import (
    SEARCH_LINKS,
    SearchLinks,
    with_believed_directory,
)
from cyxmake_cli.strategies.compile_units import CompileUnit
from cyxmake_common.digest import Digest
from cyxmake_common.toolchain.arguments import parse_compile
from cyxmake_common.toolchain.compile_command import CompileCommand, CompilerKind
from cyxmake_common.toolchain.identity import Toolchain


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder without symlinks on the way, with a link beside it."""
    made = tmp_path.resolve() / "real"
    made.mkdir()
    (made.parent / "link").symlink_to("real")
    return made


def unit(directory: Path, flags: str) -> CompileUnit:
    """Return a unit with a command line."""
    command = parse_compile(["gcc", *flags.split(), "-c", "a.c"])
    assert isinstance(command, CompileCommand)
    toolchain = Toolchain(
        id=Digest.of(b"x"),
        kind=CompilerKind.GCC,
        version="",
        target="",
        names=(),
        directories={},
        files={},
        builtin_includes={},
        installations=(),
        path="",
        locales=(),
    )
    return CompileUnit(command, toolchain, "/usr/bin/gcc", (), str(directory), ("a.o",))


def test_pwd_counts_where_it_leads_here(place: Path) -> None:
    """As another name of the directory; a PWD that leads elsewhere is none."""
    link = str(place.parent / "link")
    assert with_believed_directory({"PWD": link}, str(place))["PWD"] == link
    assert "PWD" not in with_believed_directory({"PWD": str(place)}, str(place))
    assert "PWD" not in with_believed_directory({"PWD": "/"}, str(place))
    assert "PWD" not in with_believed_directory({}, str(place))
    assert with_believed_directory({}, link)["PWD"] == str(place)


def test_symlinks_on_the_search_path_are_noted_by_where_they_lead(place: Path) -> None:
    """Plain folders add nothing, be they missing or named with dots."""
    for name in ("one", "two", "plain"):
        (place / name).mkdir()
    (place / "current").symlink_to("one")
    links = SearchLinks()
    assert links.noted(unit(place, "-I plain -I missing -I one/../two")).environment == ()
    first = links.noted(unit(place, "-isystem current")).environment
    assert [name for name, _ in first] == [SEARCH_LINKS]
    (place / "current").unlink()
    (place / "current").symlink_to("two")
    assert links.noted(unit(place, "-isystem current")).environment == first
    links.clear()
    assert links.noted(unit(place, "-isystem current")).environment != first
