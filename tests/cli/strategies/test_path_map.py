"""Path maps: which compiles get one, and by which names directories are mapped."""

from __future__ import annotations

import pytest

from cyxmake_cli.strategies.path_map import (
    BUILD_NAME,
    FILE_OPTION,
    ROOT_NAME,
    PathMap,
    compiler_at,
    root_of,
    with_map,
)


@pytest.mark.parametrize(
    ("root", "directory", "others", "names"),
    [
        ("/p", "/p", [], {"/p": ROOT_NAME}),
        ("/p", "/p/b", [("/p", "/p"), ("/p/b", "/p/b")], {"/p": ROOT_NAME}),
        ("/p", "/pb", [], {"/p": ROOT_NAME, "/pb": BUILD_NAME}),
        ("/l", "/l/b", [("/l", "/r"), ("/l/b", "/r/b")], {"/l": ROOT_NAME, "/r": ROOT_NAME}),
        ("/p", "/p/b", [("/p/b", "/x/y")], {"/p": ROOT_NAME, "/x/y": ROOT_NAME + "/b"}),
        ("/p", "/p/b", [("/p/b", "/b")], {"/p": ROOT_NAME, "/b": ROOT_NAME + "/b"}),
        ("/a=b", "/a=b/c", [], {}),
    ],
)
def test_every_name_of_a_directory_is_mapped(
    root: str, directory: str, others: list[tuple[str, str]], names: dict[str, str]
) -> None:
    """The real name and the one given by a symlink lead to the same fixed name."""
    assert dict(PathMap.of(root, directory, others).names) == names


@pytest.mark.parametrize(
    ("command", "place"),
    [
        ("gcc -g -c a.c", 0),
        ("x86_64-linux-gnu-g++-12 -S a.cc", 0),
        ("gcc -g a.c -o a", None),
        ("ld -c a.c", None),
        ("gcc -c a.c --coverage", None),
        ("gcc -c a.c -fprofile-arcs", None),
        ("clang -c a.c -fprofile-instr-generate -fcoverage-mapping", None),
        ("gcc -c a.c @flags", None),
        ("gcc -c a.c @missing", None),
        ("gcc -c a.c @good", 0),
        ("/usr/bin/ccache gcc -c a.c @good", 1),
        ("ccache -c a.c", None),
    ],
)
def test_only_compiles_without_coverage_take_one(command: str, place: int | None) -> None:
    """What is in response files counts as well."""
    files = {"flags": b"-O2 --coverage", "good": b"-O2"}
    assert compiler_at(command.split(), files.get) == place


def test_a_projects_own_options_come_later_and_win() -> None:
    """Compilers take the last map that fits."""
    options = PathMap.of("/p", "/p").options(FILE_OPTION)
    assert with_map(["gcc", "-c", "a.c"], options) == [
        "gcc", "-ffile-prefix-map=/p=/cyxmake/root", "-c", "a.c",
    ]  # fmt: skip
    assert PathMap.of("/p", "/p").options("") == ()


@pytest.mark.parametrize(
    ("source", "build", "root"),
    [
        ("/w/p", "/w/p/b", "/w/p"),
        ("/home/u/p/src", "/home/u/p/b", "/home/u/p"),
        ("/home/u/p", "/home/u/b", "/home/u"),
        ("/tmp/p", "/tmp/b", "/tmp/p"),
        ("/a/p", "/b/p", "/a/p"),
    ],
)
def test_source_and_build_beside_each_other_have_one_root(
    source: str, build: str, root: str
) -> None:
    """What every build has in common is no root."""
    assert root_of(source, build) == root
