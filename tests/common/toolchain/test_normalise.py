"""The canonical arguments: equal for two checkouts, never equal for two different commands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyxmake_common.toolchain.arguments import parse_compile
from cyxmake_common.toolchain.compile_command import CompileCommand
from cyxmake_common.toolchain.normalise import normalise, tokenise


def canonical(argv: list[str], root: str = "/home/u/p") -> tuple[str, ...]:
    """Return the canonical arguments of a command."""
    command = parse_compile(argv, lambda path: b"-DFROM_FILE" if path == "r" else None)
    assert isinstance(command, CompileCommand), command
    return normalise(command, root)


def test_two_checkouts_are_equal() -> None:
    """The root becomes a token wherever a path begins with it."""

    def argv(root: str) -> list[str]:
        return [
            "gcc",
            f"-I{root}/include",
            "-isystem",
            f"{root}",
            f"-ffile-prefix-map={root}=.",
            f"-fdebug-prefix-map={root}/=",
            f'-DROOT="{root}/x"',
            f"-Wp,-MMD,{root}/a.d",
            "-c",
            f"{root}/a.c",
        ]

    first, second = canonical(argv("/home/u/p")), canonical(argv("/q"), "/q")
    assert first == second
    assert not any("/home/u/p" in argument for argument in first)
    assert "{root}/include" in first


def test_outputs_that_cmake_names_by_the_whole_path() -> None:
    """Their names are equal but for the root, though only names of outputs are read like that."""

    def argv(root: str, macro: str = "-DX") -> list[str]:
        name = f"CMakeFiles/x.dir{root}/a.c.o"
        return ["gcc", macro, "-MD", "-MT", name, "-MF", f"{name}.d", "-c", "a.c", "-o", name]

    assert canonical(argv("/home/u/p")) == canonical(argv("/a/q"), "/a/q")
    # One name may be met by chance: below `/src` a source may well be in a folder `src`.
    assert canonical(argv("/home/u/p")) != canonical(argv("/src"), "/src")
    told = canonical(argv("/home/u/p", "-DX=x.dir/home/u/p/a"))
    assert told[1:3] == ("-D", "X=x.dir/home/u/p/a")


def test_what_hangs_on_the_place_is_part_of_the_key() -> None:
    """A map of a folder above the root, and a relative system folder longer than the root."""

    def at(root: str, *more: str) -> tuple[str, ...]:
        return canonical(["gcc", *more, "-c", "a.c"], root)

    above = "-fdebug-prefix-map=/home=x"
    assert at("/home/u/p", above) != at("/home/u/q", above)
    assert at("/a/p", above) == at("/a/q", above)
    assert at("/r", "-isystem", "../../x") != at("/q", "-isystem", "../../x")
    assert at("/home/u/p", "-isystem", "../x") == at("/home/u/q", "-isystem", "../x")
    assert at("/r", "-I", "../../x") == at("/q", "-I", "../../x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/r/a", "{root}/a"),
        ("/r", "{root}"),
        ("/ra", "/ra"),
        ("/x/r/a", "/x/r/a"),
        ("x=/r:/r/b,/r", "x={root}:{root}/b,{root}"),
        ("{root}/a", "{{root}/a"),
        ("-I/r", "-I/r"),
    ],
)
def test_only_beginnings_of_paths(text: str, expected: str) -> None:
    """A path that merely contains the root's letters stays as it is."""
    assert tokenise(text, "/r") == expected


@given(st.text("/r{}ot=a", max_size=12), st.text("/r{}ot=a", max_size=12))
def test_tokens_keep_texts_apart(one: str, other: str) -> None:
    """Under one root two texts have one token form only when they are equal."""
    if tokenise(one, "/r") == tokenise(other, "/r"):
        assert one == other


def test_what_is_dropped() -> None:
    """Colours never reach the key; link options only where the compiler is silent (trap 31)."""
    plain = ["gcc", "-O2", "-c", "a.c"]
    noisy = ["gcc", "-O2", "-lm", "-L", "/x", "-Wl,-O1", "-fdiagnostics-color=always", "-c", "a.c"]
    assert canonical(noisy) == canonical(plain)
    assert canonical(["clang", *noisy[1:]]) != canonical(["clang", *plain[1:]])
    assert canonical(["gcc", "-static", *plain[1:]]) != canonical(plain)


def test_spelling_of_values() -> None:
    """Joined and separate values are the same; their order is kept."""
    assert canonical(["gcc", "-Ix", "-DA=1", "-c", "a.c"]) == canonical(
        ["gcc", "-I", "x", "-D", "A=1", "-c", "a.c"]
    )
    assert canonical(["gcc", "-DA=1", "-UA", "-c", "a.c"]) != canonical(
        ["gcc", "-UA", "-DA=1", "-c", "a.c"]
    )


def test_response_files_count_by_content() -> None:
    """What stands in a response file reaches the key, its name does not."""
    assert canonical(["gcc", "@r", "-c", "a.c"]) == canonical(["gcc", "-DFROM_FILE", "-c", "a.c"])


def test_outputs_are_kept() -> None:
    """The names of object and depfile are in the key: debug information and depfile hold them."""
    one = canonical(["gcc", "-c", "a.c", "-o", "x.o", "-MD", "-MF", "x.d"])
    assert one != canonical(["gcc", "-c", "a.c", "-o", "y.o", "-MD", "-MF", "x.d"])
    assert one != canonical(["gcc", "-c", "a.c", "-o", "x.o", "-MD", "-MF", "y.d"])
