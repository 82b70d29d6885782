"""A captured compiler compiles to the same bytes in a root that holds nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cyxmake_common.toolchain.identity import ToolchainStore
from support.empty_root import EmptyRootCompiler, Ran, available

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not available(), reason="bubblewrap can't make a root here"),
]

C_SOURCE = """
#include <stdio.h>
#include <stdlib.h>
#include <stdint.h>
#include <stdarg.h>
#include <math.h>
#include "deep/../shape.h"
int unused(int x, char *y) { unsigned u = 3; if (x < u) return 1; return sizeof(struct shape); }
static int never(void) { return "ü"[0]; }
int main(void) { struct shape s = {1, 2}; printf("%d %s\\n", s.w * s.h, __FILE__); return 0; }
"""
CXX_SOURCE = """
#include <vector>
#include <string>
#include <map>
#include <iostream>
#include <thread>
#include "shape.h"
#if __has_include("optional_part.h")
#include "optional_part.h"
#endif
template <class T> T twice(T t) { int hidden; return t + t; }
int main() {
  std::map<std::string, std::vector<int>> m; m["a"].push_back(twice(4));
  try { std::cout << m.at("a").size() << std::endl; } catch (...) { return 1; }
  return 0;
}
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for the compilers' files, captured and copied once for this module."""
    return tmp_path_factory.mktemp("toolchains")


@pytest.fixture
def compiler_in_root(shared: Path, tmp_path: Path) -> EmptyRootCompiler:
    """Return what compiles here and in an empty root."""
    return EmptyRootCompiler(ToolchainStore(shared / "store"), tmp_path, shared / "blobs")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with headers, one of them behind a dotted path."""
    root = tmp_path / "a project"
    (root / "include/deep").mkdir(parents=True)
    (root / "build").mkdir()
    (root / "src").mkdir()
    (root / "include/shape.h").write_text("#pragma once\nstruct shape { int w, h; };\n")
    (root / "include/optional_part.h").write_text("inline int part() { return 1; }\n")
    (root / "src/plain.c").write_text(C_SOURCE)
    (root / "src/full.cc").write_text(CXX_SOURCE)
    (root / "src/start.S").write_text(
        '#include "shape_asm.h"\n.section .rodata\n.incbin "../src/blob.bin"\n.include "more.inc"\n'
    )
    (root / "include/shape_asm.h").write_text("#define UNUSED 1\n")
    (root / "include/more.inc").write_text(".byte 1, 2, 3\n")
    (root / "src/blob.bin").write_bytes(bytes(range(256)))
    return root


def check(both: tuple[Ran, Ran]) -> Ran:
    """Assert that the two runs cannot be told apart, and return one."""
    local, away = both
    assert away.exit_code == local.exit_code, away.stderr.decode()
    assert away.stderr == local.stderr
    assert away.stdout == local.stdout
    assert away.outputs.keys() == local.outputs.keys()
    assert away.outputs == local.outputs
    return local


FLAGS = [
    ["-O2"],
    ["-g", "-O0"],
    ["-O2", "-g", "-fPIC", "-Wall", "-Wextra"],
    ["-O1", "-gsplit-dwarf", "-g", "-fstack-usage", "-Wall"],
    ["-O2", "--coverage"],
    ["-O2", "-march=x86-64-v2", "-fsanitize=address,undefined"],
    ["-O2", "-flto"],
    ["-O1", "-fopenmp", "-pthread"],
]


CASES = [("plain.c", flags) for flags in FLAGS] + [("full.cc", flags) for flags in FLAGS[1:4]]


@pytest.mark.parametrize(
    ("source", "flags"), CASES, ids=lambda v: v if type(v) is str else " ".join(v)
)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_same_bytes(
    compiler: str, source: str, flags: list[str], compiler_in_root: EmptyRootCompiler, project: Path
) -> None:
    """Object, depfile, second outputs and warnings equal those of a local compile."""
    driver = compiler if source.endswith(".c") else {"gcc": "g++", "clang": "clang++"}[compiler]
    if shutil.which(driver) is None:
        pytest.skip(f"{driver} is not installed")
    if compiler == "gcc" and ("-flto" in flags or "--coverage" in flags):
        # gcc stamps these with a random number unless a seed is given; no two local runs agree.
        flags = [*flags, "-frandom-seed=1"]
    argv = [driver, *flags, "-I../include", "-I../missing", "-MD", "-MT", "x.o", "-MF", "x.o.d"]
    argv += ["-c", f"../src/{source}", "-o", "x.o"]
    ran = check(compiler_in_root.compile_both(argv, project / "build"))
    assert ran.exit_code == 0
    assert {"x.o", "x.o.d"} <= ran.outputs.keys()
    if "-Wall" in flags:
        assert b"warning" in ran.stderr


@pytest.mark.parametrize("compiler", ["gcc", "clang", "cc"])
def test_assembly(compiler: str, compiler_in_root: EmptyRootCompiler, project: Path) -> None:
    """Assembly with the preprocessor, an included file and a binary one is the same."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    argv = [compiler, "-I../include", "-c", "../src/start.S", "-o", "x.o"]
    ran = check(compiler_in_root.compile_both(argv, project / "build"))
    assert ran.exit_code == 0, ran.stderr


@pytest.mark.parametrize("compiler", ["gcc", "g++", "clang", "clang++"])
def test_same_errors(compiler: str, compiler_in_root: EmptyRootCompiler, project: Path) -> None:
    """A compile error has the same text, quotes and carets included."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    (project / "src/bad.c").write_text(
        '#include <stdio.h>\nint f(void) { return undefined_thing("x" }\n'
    )
    argv = [compiler, "-c", "../src/bad.c", "-o", "x.o"]
    ran = check(compiler_in_root.compile_both(argv, project / "build"))
    assert ran.exit_code == 1
    assert not ran.outputs


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_assembly_output(compiler: str, compiler_in_root: EmptyRootCompiler, project: Path) -> None:
    """-S without an output name writes beside the working directory, as locally."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    argv = [compiler, "-O2", "-fverbose-asm", "-I../include", "-S", "../src/plain.c"]
    ran = check(compiler_in_root.compile_both(argv, project / "build"))
    assert ran.outputs.keys() == {"plain.s"}
