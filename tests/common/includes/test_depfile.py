"""Depfiles of gcc and clang are read back as the compiler meant them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from cyxmake_common.includes.depfile import Dependencies, DepfileError, parse_depfile


@pytest.mark.parametrize(
    ("text", "targets", "prerequisites"),
    [
        ("a.o: a.c b.h\n", ["a.o"], ["a.c", "b.h"]),
        ("a.o: a.c \\\n b.h \\\r\n c.h\r\n", ["a.o"], ["a.c", "b.h", "c.h"]),
        ("a.o a.d: a.c", ["a.o", "a.d"], ["a.c"]),
        ("a.o : a.c", ["a.o"], ["a.c"]),
        ("a.o: a.c b.h\nb.h:\n", ["a.o"], ["a.c", "b.h"]),
        ("a.o: a.c\na.o: b.h a.c\n", ["a.o"], ["a.c", "b.h"]),
        (r"a\ b.o: c\ d.h e\#f.h g$$h.h", ["a b.o"], ["c d.h", "e#f.h", "g$h.h"]),
        (
            r"a.o: k\\\ l.h m\\\\\ n.h i\j.h q\\#r.h",
            ["a.o"],
            ["k\\ l.h", "m\\\\ n.h", "i\\j.h", "q\\#r.h"],
        ),
        ("a.o: s\\\tt.h", ["a.o"], ["s\tt.h"]),
        ("c:/x.o: c:/y.c", ["c:/x.o"], ["c:/y.c"]),
        ("a:b.o: c:d.h", ["a:b.o"], ["c:d.h"]),
        ("", [], []),
        ("\n\n", [], []),
        ("a.o:\n", [], []),
        ("é.o: ü.h", ["é.o"], ["ü.h"]),
    ],
)
def test_rules(text: str, targets: list[str], prerequisites: list[str]) -> None:
    """Escapes, continued lines, several rules and phony ones."""
    assert parse_depfile(text.encode()) == Dependencies(tuple(targets), tuple(prerequisites))


def test_what_is_no_depfile() -> None:
    """Text without a rule is refused."""
    with pytest.raises(DepfileError):
        parse_depfile(b"no such file\n")


@pytest.mark.e2e
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("phony", [[], ["-MP"]])
def test_real_depfiles(compiler: str, phony: list[str], tmp_path: Path) -> None:
    """Headers with odd names come back by their names."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    names = ["a b.h", "c#d.h", "e$f.h", "g:h.h", "o%p.h", "u;v.h", "w'x.h", "long" * 30 + ".h"]
    for name in names:
        (tmp_path / name).write_text("")
    (tmp_path / "t.c").write_text("".join(f'#include "{name}"\n' for name in names))
    argv = [compiler, "-c", "t.c", "-nostdinc", "-ffreestanding", "-MD", *phony, "-o", "x y.o"]
    subprocess.run(argv, check=True, cwd=tmp_path)
    read = parse_depfile((tmp_path / "x y.d").read_bytes())
    assert read.targets == ("x y.o",)
    assert read.prerequisites == ("t.c", *names)
