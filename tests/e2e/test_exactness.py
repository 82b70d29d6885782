"""Ways to get a wrong result that were found by thought or by chance; each must stay closed.

Every case builds a tiny project on a cluster and by plain ninja at the same place, edits it, and
builds again: outputs, dependencies, messages and exit status have to be the same each time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.builds import products, recorded_dependencies, run
from support.mutations import build_here, observe
from support.processes import BuildRun, Cluster, environment

_CLANG = pytest.mark.skipif(shutil.which("clang") is None, reason="clang is not installed")


class Bench:
    """One project at `root`, with a command for each source."""

    def __init__(self, cluster: Cluster, root: Path, commands: dict[str, str]) -> None:
        self._cluster = cluster
        self.root = root
        root.mkdir(parents=True)
        self.command(commands)

    def command(self, commands: dict[str, str]) -> None:
        """Write the manifest; `{root}` stands for the project's root."""
        lines = ["builddir = out", "rule c", "  command = $cmd -MD -MF $out.d -c $in -o $out"]
        lines += ["  deps = gcc", "  depfile = $out.d"]
        for source, command in commands.items():
            text = f"build out/{Path(source).name}.o: c {source}\n  cmd = {command}"
            lines.append(text.replace("{root}", str(self.root)))
        (self.root / "build.ninja").write_text("\n".join(lines) + "\n")

    def write(self, **files: str) -> None:
        """Write files by name; `__` stands for a slash, the last `_` for the dot."""
        for name, text in files.items():
            stem, _, suffix = name.replace("__", "/").rpartition("_")
            path = self.root / f"{stem}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def link(self, name: str, target: str) -> None:
        """Make a symlink, in place of an earlier one."""
        path = self.root / name
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    def hits(self, **variables: str) -> int:
        """Build both ways and compare; returns how many results came from the cache."""
        count: int = self.build(**variables).summary["cache_hits"]
        return count

    def build(self, **variables: str) -> BuildRun:
        """Build both ways and compare; returns what the cluster build said."""
        shutil.rmtree(self.root / "out", ignore_errors=True)
        done = self._cluster.build(self.root, "-k", "0", **variables)
        there = observe(self.root, done.status, done.output + done.errors)
        here = build_here(self.root, environment(**variables), 0o022)
        assert not there.difference(here), done.output
        return done


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder whose path has no symlink in it."""
    return tmp_path.resolve()


def test_a_system_folder_behind_a_symlink_that_changes(
    shared_cluster: Cluster, place: Path
) -> None:
    """gcc lists a system header by its shorter real path: the way to it counts as well."""
    bench = Bench(shared_cluster, place / "p", {"s.c": "gcc -isystem {root}/vendor/current"})
    bench.write(s_c="#include <x.h>\nint x = X;\n", vendor__v1__x_h="#define X 1\n")
    bench.write(vendor__v2__x_h="#define X 2\n")
    for target, hits in (("v1", 0), ("v2", 0), ("v1", 1)):
        bench.link("vendor/current", target)
        assert bench.hits() == hits


def test_a_search_folder_that_was_another_ones_alias(shared_cluster: Cluster, place: Path) -> None:
    """A folder named twice counts once, until its symlink becomes a folder of its own."""
    commands = {"s.c": "gcc -I a -I b -I c", "t.c": "gcc -I a -I c -isystem b"}
    bench = Bench(shared_cluster, place / "p", commands)
    bench.write(s_c="#include <x.h>\nint x = X;\n", t_c="#include <y.h>\nint y = Y;\n")
    bench.write(a__y_h="#define Y 1\n", c__x_h="#define X 2\n", c__y_h="#define Y 2\n")
    bench.link("b", "a")
    bench.hits()
    (bench.root / "b").unlink()
    bench.write(b__x_h="#define X 3\n")
    assert bench.hits() == 0


def test_dots_behind_a_symlink_that_changes(shared_cluster: Cluster, place: Path) -> None:
    """A header found through `link/..` looks beside itself where the link leads now."""
    bench = Bench(shared_cluster, place / "p", {"s.c": "gcc -I inc"})
    bench.write(s_c='#include "l/../y.h"\n', inc__z_h="#define Z 1\n", e__z_h="#define Z 2\n")
    for folder in "de":
        (bench.root / folder / "deep").mkdir(parents=True)
        (bench.root / folder / "y.h").write_text('#include "z.h"\nint y = Z;\n')
    bench.link("l", "d/deep")
    assert bench.hits() == 0
    bench.link("l", "e/deep")
    assert bench.hits() == 0


def test_a_precompiled_header_that_appears(shared_cluster: Cluster, place: Path) -> None:
    """gcc prefers it, also in a folder where the header itself is missing."""
    bench = Bench(shared_cluster, place / "p", {"s.c": "gcc -I a -I b", "f.c": "gcc -include x.h"})
    bench.write(s_c="#include <y.h>\nint y = Y;\n", f_c="int x = X;\n", x_h="#define X 1\n")
    bench.write(b__y_h="#define Y 1\n", a__none_h="", o__x_h="#define X 2\n")
    bench.write(o__y_h="#define Y 2\n")
    assert bench.hits() == 0
    for source, target in (("o/x.h", "x.h.gch"), ("o/y.h", "a/y.h.gch")):
        argv = ["gcc", "-x", "c-header", source, "-o", target]
        subprocess.run(argv, cwd=bench.root, check=True)
    assert bench.hits() == 0


def test_code_that_measures_where_it_stands(shared_cluster: Cluster, place: Path) -> None:
    """The length of `__FILE__` is another one in another checkout, though no output shows it."""
    commands = {"{root}/f.c": "gcc", "m.c": "gcc '-DROOT=\"{root}\"'", "{root}/plain.c": "gcc"}
    for name, hits in (("p", 0), ("longer", 1)):
        bench = Bench(shared_cluster, place / name, commands)
        bench.write(f_c="int n = sizeof(__FILE__);\n", m_c="int n = sizeof(ROOT);\n")
        bench.write(plain_c="int n;\n")
        assert bench.hits() == hits


def test_a_project_behind_symlinks(shared_cluster: Cluster, place: Path) -> None:
    """Debug information has the directory as PWD or the kernel names it."""
    benches = [Bench(shared_cluster, place / name, {"s.c": "gcc -g"}) for name in ("r1", "r2")]
    for bench in benches:
        bench.write(s_c="int n;\n")
        (place / f"to-{bench.root.name}").symlink_to(bench.root)
    first, second = benches
    first.hits(PWD=str(place / "to-r1"))
    assert first.hits(PWD=str(place / "to-r1")) == 1
    first.hits()
    second.hits(PWD=str(place / "to-r2"))
    first.root, second.root = place / "to-r1", place / "to-r2"
    first.hits()
    second.hits()
    assert second.hits() == 1


def test_the_time_of_a_file_stays_here(shared_cluster: Cluster, place: Path) -> None:
    """SOURCE_DATE_EPOCH freezes the date, yet not `__TIMESTAMP__`; nor does a macro hide it."""
    bench = Bench(shared_cluster, place / "p", {"s.c": "gcc", "m.c": "gcc -DM=__TIMESTAMP__"})
    bench.write(s_c="const char *s = __TIMESTAMP__;\n", m_c="const char *m = M;\n")
    for seconds in (10**9, 11 * 10**8):
        for name in ("s.c", "m.c"):
            os.utime(bench.root / name, (seconds, seconds))
        assert bench.hits(SOURCE_DATE_EPOCH="5") == 0


def test_equal_headers_that_are_read_once(shared_cluster: Cluster, place: Path) -> None:
    """gcc tells two headers of the same bytes apart by their times."""
    bench = Bench(shared_cluster, place / "p", {"s.c": "gcc"})
    once = "#pragma once\nextern int v;\n"
    bench.write(s_c='#include "a/v.h"\n#include "b/v.h"\n', a__v_h=once, b__v_h=once)
    os.utime(bench.root / "a/v.h", (10**9, 10**9))
    bench.hits()
    os.utime(bench.root / "b/v.h", (10**9, 10**9))
    bench.hits()


def test_a_header_that_no_command_declares(shared_cluster: Cluster, place: Path) -> None:
    """A command may make a header besides its outputs, in a folder that was looked at before."""
    bench = Bench(shared_cluster, place / "p", {})
    bench.write(f__x_h="#define X 1\n", gen__none_h="", u1_c="#include <x.h>\nint x1 = X;\n")
    bench.write(u2_c="#include <x.h>\nint x2 = X;\n")
    (bench.root / "build.ninja").write_text(
        "builddir = out\nrule c\n  command = gcc -I gen -I f -MD -MF $out.d -c $in -o $out\n"
        "  deps = gcc\n  depfile = $out.d\nrule g\n"
        "  command = echo '#define X 2' > gen/x.h && touch $out\n"
        "build out/u1.o: c u1.c\nbuild out/stamp: g out/u1.o\nbuild out/u2.o: c u2.c | out/stamp\n"
    )
    for number in range(2):
        shutil.rmtree(bench.root / "out", ignore_errors=True)
        (bench.root / "gen/x.h").unlink(missing_ok=True)
        assert shared_cluster.build(bench.root).status == 0
        assert b"\2\0\0\0" in (bench.root / "out/u2.o").read_bytes(), number


def test_what_the_assembler_includes(shared_cluster: Cluster, place: Path) -> None:
    """A file that an included file includes counts, as does a name in pieces of a literal."""
    bench = Bench(shared_cluster, place / "p", {"s.S": "gcc", "u.c": "gcc"})
    bench.write(s_S='.include "one.inc"\n', one_inc='.include "two.inc"\n', two_inc=".long 1\n")
    bench.write(u_c='asm(".inc" "lude \\"two.inc\\"");\nint u;\n')
    bench.hits()
    assert bench.hits() > 0
    bench.write(two_inc=".long 2\n")
    assert bench.hits() == 0


@_CLANG
def test_a_recorded_command_line_with_its_colours(shared_cluster: Cluster, place: Path) -> None:
    """clang writes every argument into the object, also those that change nothing else."""
    bench = Bench(shared_cluster, place / "p", {"s.c": "clang -grecord-command-line -g"})
    bench.write(s_c="int n;\n")
    assert bench.hits() == 0
    bench.command({"s.c": "clang -grecord-command-line -g -fcolor-diagnostics"})
    assert bench.hits() == 0


def test_a_pragma_that_compares_times(shared_cluster: Cluster, place: Path) -> None:
    """`#pragma GCC dependency` warns about the age of a file, which is another one elsewhere."""
    bench = Bench(shared_cluster, place / "p", {"s.c": "gcc"})
    bench.write(s_c='#pragma GCC dependency "d.y"\nint n;\n', d_y="")
    for seconds in (10**9, 4 * 10**9):
        os.utime(bench.root / "d.y", (seconds, seconds))
        assert bench.hits() == 0


def test_a_compiler_under_another_language_s_name(shared_cluster: Cluster, place: Path) -> None:
    """g++ called as `cc` searches the C++ folders; a header that shadows one there is seen."""
    bench = Bench(shared_cluster, place / "p", {"s.c": "tools/cc -I i"})
    bench.write(s_c="#include <cstddef>\nstd::size_t n = SIZE;\n", i__none_h="", tools__none_h="")
    bench.link("tools/cc", shutil.which("g++") or "")
    bench.command({"s.c": "tools/cc -I i -DSIZE=1"})
    bench.hits()
    (bench.root / "i/cstddef").write_text("namespace std { typedef char size_t; }\n")
    bench.hits()


def test_a_build_folder_that_is_another_one(shared_cluster: Cluster, place: Path) -> None:
    """Where the build folder is a symlink, the object names the folder behind it."""
    for name in ("b1", "b2"):
        Bench(shared_cluster, place / "p" / name, {"../s.c": "gcc -g"})
    (place / "p/s.c").write_text("int n;\n")
    bench = Bench(shared_cluster, place / "q", {})
    for name in ("b1", "b2"):
        (place / "p/b").unlink(missing_ok=True)
        (place / "p/b").symlink_to(name)
        bench.root = place / "p/b"
        assert bench.hits() == 0


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no /dev/shm")
def test_a_place_that_each_machine_has_for_itself(shared_cluster: Cluster, place: Path) -> None:
    """A project, or a header, in `/dev/shm` compiles here, and costs nobody a worker."""
    shared = Path("/dev/shm", place.name + "-cyxmake")
    here = Bench(shared_cluster, shared, {f"{n}.c": "gcc" for n in "abcdefgh"})
    there = Bench(shared_cluster, place / "p", {"s.c": f"gcc -I {shared}", "t.c": "gcc"})
    try:
        for name in "abcdefgh":
            (shared / f"{name}.c").write_text(f"int {name};\n")
        (shared / "x.h").write_text("#define X 1\n")
        there.write(s_c="#include <x.h>\nint x = X;\n", t_c="int t;\n")
        done = here.build()
        assert done.summary["local"] == 8, done.summary
        (reason,) = done.summary["local_reasons"]
        assert reason.endswith("is where each machine has its own files")
        done = there.build()
        assert (done.summary["local"], done.summary["remote"]) == (1, 1), done.summary
    finally:
        shutil.rmtree(shared)


def test_objects_that_cmake_names_by_the_whole_path(shared_cluster: Cluster, place: Path) -> None:
    """CMake does so for sources beside its own directory; other checkouts share nevertheless."""
    text = (
        "cmake_minimum_required(VERSION 3.13)\nproject(p C)\n"
        "add_library(a STATIC ../../src/a.c ../../src/b.c ../../src/b/a.c)\n"
    )
    roots = [place / "p", place / "quite/a/bit/further/down/the/tree"]
    for root, hits in zip(roots, (False, True), strict=True):
        for name in ("build/cmake", "src/b"):
            (root / name).mkdir(parents=True)
        (root / "build/cmake/CMakeLists.txt").write_text(text)
        for number, name in enumerate(("a.c", "b.c", "b/a.c")):
            (root / "src" / name).write_text(f"/* {place} */ int v{number};\n")
        argv = ["cmake", "-S", str(root / "build/cmake"), "-B", str(root / "out"), "-G", "Ninja"]
        subprocess.run(argv, check=True, capture_output=True)
        run(["ninja", "-C", str(root / "out"), "a"])
        wanted = [products(root / "out"), recorded_dependencies(root / "out")]
        run(["ninja", "-C", str(root / "out"), "-t", "clean"])
        done = shared_cluster.build(root, "--build-dir", "out", "-j1")
        assert done.status == 0, done.output
        assert done.summary["cache_hits"] == (3 if hits else 0), done.summary
        assert [products(root / "out"), recorded_dependencies(root / "out")] == wanted


@pytest.mark.parametrize("language", ["C", "", "xx_XX.UTF-8"])
def test_a_user_without_a_language(language: str, shared_cluster: Cluster, place: Path) -> None:
    """Compilers and commands see the user's own locale, not one that our interpreter has set."""
    commands = {"warned.c": "gcc -Wall", "wrong.c": "gcc", "told.c": "./told gcc"}
    bench = Bench(shared_cluster, place / "p", commands)
    bench.write(
        warned_c="static int unused(void) { return 1; }\n",
        wrong_c="int twice;\nint twice(void);\n",
        told_c="const char *text = CTYPE;\n",
    )
    told = bench.root / "told"
    told.write_text('#!/bin/sh\nexec "$@" "-DCTYPE=\\"${LC_CTYPE-unset}\\""\n')
    told.chmod(0o755)
    assert bench.build(LANG=language).status == 1


@pytest.mark.parametrize("language", ["C.UTF-8", "C"])
def test_what_a_command_is_run_in(language: str, shared_cluster: Cluster, place: Path) -> None:
    """Variables, limits, mask, priority and folder are those that ninja gives a command."""
    look = "env | grep -v -e ^_= -e ^CYXMAKE_ | sort; umask; ulimit -a; pwd; nice; tty || :"
    (place / "build.ninja").write_text(
        f"rule look\n  command = ({look}) > $out\nbuild seen: look\nbuild again: look | seen\n"
    )
    variables = environment(LANG=language)
    subprocess.run(
        ["ninja"], cwd=place, env=variables, check=True, stdin=subprocess.DEVNULL, umask=0o027
    )
    wanted = (place / "seen").read_text()
    assert f"LANG={language}\n" in wanted
    subprocess.run(["ninja", "-t", "clean"], cwd=place, check=True, stdout=subprocess.DEVNULL)
    old = os.umask(0o027)
    try:
        done = shared_cluster.build(place, LANG=language)
    finally:
        os.umask(old)
    assert done.status == 0, done.output
    assert (place / "seen").read_text() == wanted
    assert (place / "again").read_text() == wanted


def test_an_assembler_measures_nothing(shared_cluster: Cluster, place: Path) -> None:
    """What a compiler notes of coverage and stack it does not of assembly."""
    commands = {"s.S": "gcc --coverage -fstack-usage -gsplit-dwarf -g", "t.S": "gcc --coverage"}
    bench = Bench(shared_cluster, place / "p", commands)
    bench.write(s_S="#define X x\n.globl X\nX: ret\n", t_S=".globl t\nt: ret\n")
    assert bench.build().summary["remote"] == 2
    assert bench.hits() == 2
