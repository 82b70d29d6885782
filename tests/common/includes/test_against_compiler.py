"""Random projects: the closure holds what the compiler reads, the probes what it looks for."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from cyxmake_common.includes.closure import IncludeClosure, RealFileSystem
from cyxmake_common.includes.dependencies import DependencyProbes
from cyxmake_common.includes.depfile import parse_depfile
from cyxmake_common.toolchain.arguments import parse_compile
from cyxmake_common.toolchain.compile_command import CompileCommand
from cyxmake_common.toolchain.probe import CompilerProbe

pytestmark = pytest.mark.e2e

FOLDERS = (".", "inc", "inc/sub", "other", "sys", "late")
NAMES = ("a.h", "b.h", "c.h", "d.h", "sub/e.h")
ORDERS = (
    "-Iinc -Iother -isystem sys -idirafter late",
    "-iquote other -Iinc -I. -Imissing -isystem sys",
    "-Ilink -Iinc/../other -isystem inc -idirafter sys -Isys",
    "-Iinc -Iother",
)


def write_project(root: Path, chance: random.Random) -> None:
    """Write headers that include each other, under guards and conditions."""
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / "sub").mkdir(exist_ok=True)
    for folder in FOLDERS:
        for name in NAMES:
            if chance.random() < 0.4:
                (root / folder / name).write_text(_header(f"{folder}/{name}", chance))
    (root / "link").symlink_to("inc/sub")
    (root / "t.c").write_text(_header("t.c", chance) + _header("t.c", chance))


def _header(path: str, chance: random.Random) -> str:
    guard = "".join(c if c.isalnum() else "_" for c in path) + str(chance.randrange(100))
    lines = [f"#ifndef {guard}", f"#define {guard}"]
    for _ in range(chance.randrange(4)):
        name = chance.choice(NAMES)
        spelled = chance.choice((f'"{name}"', f"<{name}>", f'"sub/../{name}"'))
        lines += chance.choice(
            (
                # Under __has_include nothing is missing, so that every project compiles.
                [f"#if __has_include({spelled})", f"# include {spelled}", "#endif"],
                ["#if 0", f"#include {spelled}", "#endif"],
                [
                    f"#define M{guard} {spelled}",
                    f"#if __has_include({spelled})",
                    f"#include M{guard}",
                    "#endif",
                ],
            )
        )
    return "\n".join([*lines, "#endif", ""])


def read_by_compiler(argv: list[str], root: Path) -> frozenset[str]:
    """Return what the compiler reads, as real paths."""
    done = subprocess.run([*argv, "-M"], check=True, capture_output=True, cwd=root)
    listed = parse_depfile(done.stdout).prerequisites
    return frozenset(os.path.realpath(root / path) for path in listed)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("seed", range(6))
def test_random_projects(compiler: str, seed: int, tmp_path: Path) -> None:
    """What is read is in the closure; what would change it is in the absent list."""
    path = shutil.which(compiler)
    if path is None:
        pytest.skip(f"{compiler} is not installed")
    chance = random.Random(f"{seed}")
    root = Path(os.path.realpath(tmp_path))
    write_project(root, chance)
    argv = [compiler, *ORDERS[seed % len(ORDERS)].split(), "-c", "t.c"]
    command = parse_compile(argv)
    assert isinstance(command, CompileCommand)
    builtin = CompilerProbe(path, os.environ).search("c").includes
    files = RealFileSystem()
    read = read_by_compiler([*argv[:-2], "t.c"], root)
    scans = IncludeClosure(files)
    closure = scans.closure(command, str(root), builtin)
    assert read <= {os.path.realpath(path) for path in closure.files}
    deps = sorted(read)
    absent = set(DependencyProbes(scans, files).probes(command, str(root), deps, builtin).absent)
    assert not any(Path(path).is_file() for path in absent)
    known = {os.path.realpath(path) for path in absent}
    places = [root / folder / name for folder in (*FOLDERS, "missing") for name in NAMES]
    for place in chance.sample(places, 12):
        if place.exists():
            continue
        made = [folder for folder in (place.parent.parent, place.parent) if not folder.exists()]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("")
        if read_by_compiler([*argv[:-2], "t.c"], root) != read:
            assert str(place) in known, f"{place} changes what is read"
        place.unlink()
        for folder in reversed(made):
            folder.rmdir()
