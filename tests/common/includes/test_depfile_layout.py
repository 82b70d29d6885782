"""Depfiles moved to another root are the bytes that the compiler writes there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from cyxmake_common.includes.depfile_layout import Layout, fill, layout_of, template

COMPILERS = [name for name in ("gcc", "g++", "clang", "clang++") if shutil.which(name)]


def compile_at(root: Path, compiler: str, *options: str) -> bytes:
    """Compile the same small project at a root and return its depfile."""
    (root / "include").mkdir(parents=True)
    (root / "out").mkdir()
    for number in range(30):
        (root / "include" / f"{'h' * (number % 17 + 1)}{number}.h").write_text(f"int x{number};\n")
    names = sorted(path.name for path in (root / "include").iterdir())
    source = root / ("a.cpp" if compiler.endswith("++") else "a.c")
    source.write_text("#include <stddef.h>\n" + "".join(f'#include "{name}"\n' for name in names))
    subprocess.run(
        [compiler, f"-I{root}/include", "-c", str(source), "-o", f"{root}/out/a.o", *options],
        check=True, cwd=root,
    )  # fmt: skip
    return (root / "out/a.d").read_bytes()


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(
    "options",
    [
        ("-MD",),
        ("-MD", "-MP"),
        (
            "-MMD",
            "-MT",
            "some/where/else.o",
            "-MT",
            "a/second/rather/long/target/name/for/a/line.o",
        ),
    ],
    ids=["MD", "MP", "MT"],
)
def test_moved_depfile_is_the_compilers_own(
    compiler: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    """For roots of many lengths, filling a template gives what the compiler writes there."""
    original = compile_at(tmp_path / "one", compiler, *options)
    layout = layout_of(original)
    assert layout is (Layout.CLANG if compiler.startswith("clang") else Layout.GCC)
    marked = template(original, str(tmp_path / "one"))
    assert marked is not None
    for length in (1, 2, 7, 19, 40, 77):
        other = tmp_path / ("r" * length)
        assert fill(marked, str(other), layout) == compile_at(other, compiler, *options)


def test_a_root_that_needs_escaping_is_not_marked() -> None:
    """Spaces, dollars and hashes are written with escapes: such results stay with their root."""
    assert template(b"a.o: /my\\ root/a.c\n", "/my root") is None
    assert fill(b"a.o: \0root\0/a.c\n", "/with space", Layout.GCC) is None


def test_a_sibling_of_the_root_is_not_marked() -> None:
    """Only whole path segments count."""
    assert template(b"a.o: /p2/a.c /p/b.c\n", "/p") == b"a.o: /p2/a.c \0root\0/b.c\n"


def test_a_root_within_another_path_is_never_taken_for_it() -> None:
    """By chance, behind an escaped blank, in a free target; CMake's objects do have it inside."""
    assert template(b"a.o: /usr/src/x.h /src/a.c\n", "/src") is None
    assert template(b"a.o: a\\ /src/x.h /src/a.c\n", "/src") is None
    assert template(b"x:/a/b/c.o: /a/b/c.c\n", "/a/b") is None
    marked = template(b"x.dir/a/b/c.o: /a/b/c.c\n", "/a/b")
    assert marked == b"x.dir\0root\0/c.o: \0root\0/c.c\n"
    assert template(b"x.dir/src/c.o: /src/c.c\n", "/src") is None


def test_another_tools_depfile_has_no_layout() -> None:
    """What cannot be reproduced to the byte is not moved."""
    assert layout_of(b"a.o :  a.c \\\n\tb.h\n") is None
