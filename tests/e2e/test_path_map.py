"""Remapped paths: checkouts at any place and depth share debug builds, byte for byte."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from support.builds import nothing_to_do, products, recorded_dependencies, run
from support.launcher_user import User, make_user
from support.processes import Cluster

_UNITS = (
    ("a.c", "-g"),
    ("a.c", "-O2 -g3 -gdwarf-4"),
    ("a.c", "-g -gsplit-dwarf"),
    ("b.cpp", "-g"),
    # In DWARF 5 clang's assembler leaves the path in its line table.
    ("s.S", "-g -gdwarf-4"),
)


def checkout(root: Path, *, where: str = "build") -> Path:
    """Write a project with a source of each language; returns where it builds."""
    build = root / where
    for folder in (root / "src", build):
        folder.mkdir(parents=True)
    (root / "src/part.h").write_text(
        "static inline int twice(int x) { return x * 2; }\n"
        "static inline const char *part(void) { return __FILE__; }\n"
    )
    body = '#include "part.h"\n#include <stdio.h>\n'
    body += 'int main(void)\n{\n    printf("%s %s %d\\n", __FILE__, part(), twice(4));\n}\n'
    (root / "src/a.c").write_text(body)
    (root / "src/b.cpp").write_text(body.replace("stdio.h", "cstdio"))
    (root / "src/s.S").write_text('#include "part.i"\n.text\n.globl start\nstart: ret\n')
    (root / "src/part.i").write_text(".set here, 1\n")
    return build


def manifest(build: Path, source: Path, compilers: tuple[str, ...], options: str = "") -> int:
    """Write the manifest of a build of all sources by all compilers; returns how many compiles.

    `options` stand where a path map is added.
    """
    lines = ["rule c", f"  command = $cc {options} $flags -MD -MF $out.d -c $in -o $out"]
    lines += ["  deps = gcc", "  depfile = $out.d", "rule link", "  command = $cc $in -o $out"]
    count = 0
    for compiler in compilers:
        for number, (unit, flags) in enumerate(_UNITS):
            cc = compiler if unit != "b.cpp" else compiler.replace("gcc", "g") + "++"
            # As CMake names sources, and as people do.
            path = source / "src" / unit if "-O2" not in flags else f"../src/{unit}"
            lines += [f"build {compiler}.{number}.o: c {path}", f"  cc = {cc}"]
            lines.append(f"  flags = {flags}")
            count += 1
    lines += ["build program: link gcc.0.o", "  cc = gcc"]
    (build / "build.ninja").write_text("\n".join(lines) + "\n")
    return count


def by_ninja(build: Path, source: Path, compilers: tuple[str, ...], option: str) -> dict[str, str]:
    """Build by plain ninja with an option added by hand; leaves the directory empty."""
    manifest(build, source, compilers, option)
    run(["ninja", "-C", str(build)])
    found = {name: digest for name, digest in products(build).items() if name != "build.ninja"}
    found["deps"] = dependencies(build)
    empty(build)
    return found


def dependencies(build: Path) -> str:
    """Return what ninja recorded of each object, whichever was done first."""
    return "\n\n".join(sorted(recorded_dependencies(build).strip().split("\n\n")))


def built(build: Path) -> dict[str, str]:
    """Return what a build of ours left."""
    assert nothing_to_do(build)
    return products(build) | {"deps": dependencies(build)}


def empty(build: Path) -> None:
    """Leave nothing in a build directory."""
    shutil.rmtree(build)
    build.mkdir()


def unplaced(found: dict[str, str]) -> dict[str, str]:
    """Return the products that do not name their place: ninja's record of dependencies does."""
    return {name: digest for name, digest in found.items() if name != "deps"}


@pytest.fixture
def compilers() -> tuple[str, ...]:
    """Return the compilers that are here."""
    return tuple(name for name in ("gcc", "clang") if shutil.which(name))


def test_checkouts_at_other_depths_share_debug_builds(
    shared_cluster: Cluster, tmp_path: Path, compilers: tuple[str, ...]
) -> None:
    """All hits with -g; equal objects, and equal to plain ninja's with the same option."""
    one, other = tmp_path / "p", tmp_path / "a/much/deeper/checkout"
    seen = []
    for root, hits in ((one, False), (other, True)):
        build = checkout(root)
        wanted = by_ninja(build, root, compilers, f"-ffile-prefix-map={root}=/cyxmake/root")
        count = manifest(build, root, compilers)
        (root / "cyxmake.toml").write_text("[cache]\nremap_paths = true\n")
        done = shared_cluster.build(root, "--build-dir", "build")
        assert done.status == 0, done.output + done.errors
        # The first may find what another test has made of the same sources: that is the point.
        found = done.summary["cache_hits"] + (0 if hits else done.summary["remote"])
        assert found == count, done.summary
        assert built(build) == wanted
        seen.append(unplaced(wanted))
        empty(build)
        manifest(build, root, compilers)
        here = shared_cluster.build(root, "--build-dir", "build", "--local", "-v")
        assert here.summary["local"] == count + 1
        assert built(build) == wanted
    assert seen[0] == seen[1]


def test_off_is_as_if_there_were_no_such_thing(shared_cluster: Cluster, tmp_path: Path) -> None:
    """Without the setting, or against it, objects hold the real place as plain ninja's do."""
    root = tmp_path / "p"
    build = checkout(root)
    wanted = by_ninja(build, root, ("gcc",), "")
    for arguments in ((), ("--no-remap-paths",)):
        manifest(build, root, ("gcc",))
        assert shared_cluster.build(root, "--build-dir", "build", *arguments).status == 0
        assert built(build) == wanted
        empty(build)
        (root / "cyxmake.toml").write_text("[cache]\nremap_paths = true\n")


@pytest.mark.parametrize("where", ["below", "beside", "far"])
def test_a_build_directory_outside_is_mapped_as_well(
    shared_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, where: str
) -> None:
    """Source and build beside each other share as one tree; with nothing in common each is mapped."""  # noqa: E501
    seen = []
    for depth in ("x", "y/z"):
        top = tmp_path_factory.mktemp("map") / depth
        source = top / "source"
        checkout(source)
        build = {"below": source / "out", "beside": top / "out"}.get(where)
        if build is None:
            build = Path("/var/tmp", f"cyxmake-{top.parent.name}-{depth.replace('/', '-')}")
        build.mkdir(parents=True)
        try:
            count = manifest(build, source, ("gcc",))
            text = (build / "build.ninja").read_text().replace(" ../src/", f" {source}/src/")
            (build / "build.ninja").write_text(text)
            argv = ("--build-dir", str(build), "--remap-paths")
            done = shared_cluster.build(source, *argv)
            assert done.status == 0, done.errors
            assert done.summary["remote"] + done.summary["cache_hits"] >= count, done.summary
            assert nothing_to_do(build)
            seen.append((unplaced(products(build)), done.summary["cache_hits"] > 0))
            for path in build.glob("*.o"):
                assert str(build).encode() not in path.read_bytes(), path
                assert str(source).encode() not in path.read_bytes(), path
        finally:
            if where == "far":
                shutil.rmtree(build)
    assert seen[0][0] == seen[1][0]
    assert [hit for _, hit in seen] == [False, where != "far"]


def test_what_must_keep_real_paths_keeps_them(shared_cluster: Cluster, tmp_path: Path) -> None:
    """Coverage finds its files again, depfiles name real headers, a project's own map wins."""
    root = tmp_path / "p"
    build = checkout(root)
    flags = {"cov": "--coverage -g", "own": f"-g -ffile-prefix-map={root}=mine", "plain": "-g"}
    lines = ["rule c", "  command = gcc $flags -MMD -MF $out.keep -c $in -o $out"]
    for name, text in flags.items():
        lines += [f"build {name}.o: c {root}/src/a.c", f"  flags = {text}"]
    (build / "build.ninja").write_text("\n".join(lines) + "\n")
    done = shared_cluster.build(root, "--build-dir", "build", "--remap-paths", "-v")
    assert done.status == 0, done.errors
    for name in ("cov.o", "cov.gcno"):  # two compiles of it never have the same bytes
        assert str(root).encode() in (build / name).read_bytes()
        assert b"/cyxmake" not in (build / name).read_bytes()
    assert f"{root}/src/part.h" in (build / "plain.o.keep").read_text()
    assert b"mine/src" in (build / "own.o").read_bytes()
    assert b"/cyxmake/root" not in (build / "own.o").read_bytes()
    assert compiled_in(build / "plain.o") == "/cyxmake/root/build"


def test_a_project_behind_a_symlink_is_mapped(shared_cluster: Cluster, tmp_path: Path) -> None:
    """By whichever name compilers know the directory: PWD's, or the real one."""
    real, link = tmp_path / "real/p", tmp_path / "link"
    build = checkout(real)
    link.symlink_to(tmp_path / "real")
    manifest(build, Path("/".join((str(link), "p"))), ("gcc",))
    for directory, pwd in ((link / "p", "/"), (real, str(link / "p/build"))):
        done = shared_cluster.build(directory, "--build-dir", "build", "--remap-paths", PWD=pwd)
        assert done.status == 0, done.errors
        assert compiled_in(build / "gcc.0.o") == "/cyxmake/root/build"
        for path in build.glob("*.o"):
            assert str(tmp_path).encode() not in path.read_bytes(), path
        run(["ninja", "-C", str(build), "-t", "clean"])


def compiled_in(path: Path) -> str:
    """Return the directory that debug information says an object was compiled in."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        for unit in elf.get_dwarf_info().iter_CUs():
            value = unit.get_top_DIE().attributes["DW_AT_comp_dir"].value
            return str(value.decode())
    raise AssertionError(f"{path} has no debug information")


@pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")
def test_gdb_finds_sources_by_a_substitution(shared_cluster: Cluster, tmp_path: Path) -> None:
    """Without it gdb has only names; with it, lines, from any directory."""
    root = tmp_path / "p"
    build = checkout(root)
    manifest(build, root, ("gcc",))
    assert shared_cluster.build(root, "--build-dir", "build", "--remap-paths").status == 0
    here = ["gdb", "-nx", "-batch"]
    listing = ["-ex", "list main", "-ex", "info source", str(build / "program")]
    assert "No such file" in gdb([*here, *listing], tmp_path)
    told = gdb([*here, "-ex", f"set substitute-path /cyxmake/root {root}", *listing], tmp_path)
    assert re.search(r"printf\(.*twice\(4\)", told)
    assert f"Located in {root}/src/a.c" in told


def gdb(argv: list[str], directory: Path) -> str:
    """Run gdb and return everything it said."""
    done = subprocess.run(argv, cwd=directory, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


# ── the launcher ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def user(tmp_path: Path, shared_cluster: Cluster) -> Iterator[User]:
    """A user of the shared cluster whose agent ends with the test."""
    made = make_user(tmp_path / "home", CYXMAKE_TOKEN=shared_cluster.token("client"))
    yield made
    made.stop()


def makefile(root: Path) -> None:
    """Write a project of Make with a compile for the cluster and one that stays here."""
    root.mkdir(parents=True)
    for name in ("one", "two"):
        (root / f"{name}.c").write_text(f"/* made */ const char *{name} = __FILE__;\n")
    (root / "Makefile").write_text(
        "all: one.o two.o cov.o\none.o: one.c\n\tgcc $(MAP) -g -c $(CURDIR)/one.c -o $@\n"
        "two.o: two.c\n\tgcc $(MAP) -g -Xassembler -W -c $(CURDIR)/two.c -o $@\n"
        "cov.o: one.c\n\tgcc -g --coverage -c one.c -o $@\n"
        "clean:\n\trm -f *.o *.gcno\n"
    )


def objects(root: Path) -> dict[str, str]:
    """Return the digests of a Make project's objects, without coverage's own record."""
    found = products(root)
    assert sorted(found) == ["cov.o", "one.o", "two.o"]
    return found


def test_the_launcher_maps_wherever_a_compile_runs(user: User, tmp_path: Path) -> None:
    """On the cluster, as a hit, left to the stub, with no agent, with no cluster: the same."""
    one, other = tmp_path / "q", tmp_path / "some/where/else"
    assert user.cyxmake("launcher", "install").returncode == 0
    assert "ready" in user.cyxmake("launcher", "start").stdout
    hits = {}
    for root in (one, other):
        makefile(root)
        run(["make", "-C", str(root), f"MAP=-ffile-prefix-map={root}=/cyxmake/root"])
        wanted = objects(root)
        run(["make", "-C", str(root), "clean"])
        (root / "cyxmake.toml").write_text("[cache]\nremap_paths = true\n")
        assert user.make(root).returncode == 0
        assert objects(root) == wanted
        hits[root] = user.served()[0]
    assert hits == {one: 0, other: 1}
    user.stop()
    user.env["CYXMAKE_LAUNCHER_NO_START"] = "1"
    run(["make", "-C", str(other), "clean"])
    assert user.make(other).returncode == 0
    assert objects(other) == wanted
    del user.env["CYXMAKE_LAUNCHER_NO_START"]
    for arguments in ((), ("--local",)):
        run(["make", "-C", str(other), "clean"])
        done = user.dbuild(other, *arguments)
        assert done["status"] == 0, done["output"]
        assert objects(other) == wanted
    run(["make", "-C", str(other), "clean"])
    assert user.dbuild(other, "--no-remap-paths")["status"] == 0
    assert str(other).encode() in (other / "one.o").read_bytes()
