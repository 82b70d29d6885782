"""Command lines of all kinds: what the compiler leaves, the launcher leaves, hit or not."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.launcher_user import User, make_user
from support.processes import Cluster

SOURCES = {
    "a.c": '#include "inc/h.h"\n#ifdef W\n#warning wide\n#endif\nint a(void) { return H; }\n',
    "b.cpp": '#include <vector>\n#include "inc/h.h"\nint b() { return std::vector<int>(H)[0]; }\n',
    "c.S": '#include "inc/h.h"\n.globl c\nc: .long H\n',
    "d.s": ".globl d\nd: .long 4\n",
    "e f.c": 'char name[] = __FILE__ " " __TIMESTAMP__;\n',
    "bad.c": "int bad( {\n",
    "odd\n.c": "int odd;\n",
    "g.c": '#if __has_include("gen.h")\n#include "gen.h"\n#endif\nint g = GEN;\n',
    "inc/h.h": "#define H 3\n",
    "args.rsp": "-O1 -Iinc",
}
VARIANTS = {
    "plain": "gcc -c a.c",
    "elsewhere": "gcc -O2 -g -c a.c -o out/a.o",
    "joined": "gcc -Iinc -oout/a.o -c a.c",
    "no such folder": "gcc -c a.c -o nowhere/a.o",
    "assembly": "gcc -O1 -S a.c -o out/a.s",
    "depfile beside": "gcc -MD -MP -c a.c -o out/a.o",
    "depfile named": "gcc -MMD -MF out/x.d -MT target -c a.c -o out/a.o",
    "depfile of the preprocessor": "gcc -Wp,-MD,out/p.d -c a.c",
    "warning": "gcc -DW -c a.c -o a.o",
    "warning in colours": "gcc -DW -fdiagnostics-color=always -c a.c -o a.o",
    "warning as error": "gcc -DW -Werror -c a.c -o a.o",
    "c++": "g++ -std=c++17 -O2 -g -c b.cpp -o b.o",
    "c++ by the c driver": "gcc -c b.cpp",
    "clang": "clang -O2 -g -c a.c -o a.o",
    "preprocessed assembly": "gcc -g -c c.S",
    "assembly alone": "gcc -c d.s -o d.o",
    "two sources": "gcc -c a.c d.s",
    "blanks and time": "gcc -c 'e f.c' -o 'out/e f.o'",
    "newline": "gcc -c 'odd\n.c'",
    "error": "gcc -c bad.c",
    "missing source": "gcc -c missing.c",
    "missing option": "gcc -c a.c --no-such-option",
    "response file": "gcc @args.rsp -c a.c",
    "split debug": "gcc -g -gsplit-dwarf -c a.c -o out/a.o",
    "coverage": "gcc --coverage -frandom-seed=a -c a.c -o out/a.o",
    "to a pipe": "gcc -S a.c -o -",
    "absolute": "gcc -g -c $PWD/a.c -o $PWD/out/a.o",
    "from a folder below": "cd inc && gcc -g -I.. -c ../a.c -o ../out/a.o",
    "locale": "LC_ALL=C.UTF-8 gcc -DW -Wall -c a.c",
    "probe of a file": "gcc -DGEN=1 -c g.c",
    "link": "gcc -shared -fPIC a.c -o a.so",
    "standard input": "echo 'int s;' | gcc -x c -c - -o s.o",
    "print": "gcc -print-search-dirs",
    "native": "gcc -march=native -c a.c",
    "include path by environment": "CPATH=inc gcc -include h.h -c a.c",
    "verbose": "gcc -v -c d.s 2>/dev/null",
}


@pytest.fixture
def user(tmp_path: Path, shared_cluster: Cluster) -> Iterator[User]:
    """A user of the shared cluster whose agent ends with the test."""
    made = make_user(tmp_path / "home", CYXMAKE_TOKEN=shared_cluster.token("client"))
    yield made
    made.stop()


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return mode and bytes of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mode, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def write_sources(folder: Path) -> None:
    """Write the sources in a fresh folder, always of the same age."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in SOURCES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        os.utime(folder / name, (1_700_000_000, 1_700_000_000))
    (folder / "out").mkdir()


def test_any_command_line_leaves_what_the_compiler_leaves(user: User, tmp_path: Path) -> None:
    """Files, modes, streams and status, for the compiler, then remotely, then from the cache."""
    user.cyxmake("launcher", "install")
    user.cyxmake("launcher", "start")
    folder = tmp_path / "work"
    stand_ins = f"{user.home / 'cache/launcher/bin'}:{user.env['PATH']}"
    for name, script in VARIANTS.items():
        seen = []
        for path in (user.env["PATH"], stand_ins, stand_ins):
            write_sources(folder)
            done = subprocess.run(
                ["/bin/sh", "-c", script], cwd=folder, capture_output=True, check=False,
                env=user.env | {"PATH": path, "PWD": str(folder)},
            )  # fmt: skip
            seen.append((done.returncode, done.stdout, done.stderr, snapshot(folder)))
        assert seen[1] == seen[0], f"{name}: remote"
        assert seen[2] == seen[0], f"{name}: again"
    hits, remote, local = user.served()
    assert min(hits, remote) >= 15, user.status()
    assert local


def test_messages_for_a_terminal_are_coloured(user: User, tmp_path: Path) -> None:
    """As the compiler's own would be, remotely and from the cache; and plain again in a pipe."""
    if shutil.which("script") is None:
        pytest.skip("script is not installed")
    user.cyxmake("launcher", "install")
    user.cyxmake("launcher", "start")
    folder = tmp_path / "work"
    write_sources(folder)
    gcc = user.home / "cache/launcher/bin/gcc"
    env = user.env | {"PWD": str(folder), "TERM": "xterm"}
    for _ in range(2):
        shown = subprocess.run(
            ["script", "-qec", f"{gcc} -DW -c a.c", "/dev/null"], cwd=folder, env=env,
            capture_output=True, check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert b"\x1b[01;35m" in shown.stdout
    piped = subprocess.run(
        [str(gcc), "-DW", "-c", "a.c"], cwd=folder, env=env, capture_output=True, check=True
    )
    assert b"wide" in piped.stderr
    assert b"\x1b" not in piped.stderr
    assert user.served() == (2, 1, 0)


def test_explain_knows_what_make_built(user: User, tmp_path: Path) -> None:
    """Right after make and again after the agent has ended; what stayed here says why."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "one.h").write_text("#define ONE 1\n")
    (project / "one.c").write_text(f'/* {tmp_path} */\n#include "one.h"\nint one = ONE;\n')
    (project / "Makefile").write_text(
        ".PHONY: all\nall: one.o here.o\none.o here.o: one.c one.h\n\tgcc $(FLAGS) -c one.c -o $@\n"
        "here.o: FLAGS = -Xassembler -W\n"
    )
    user.cyxmake("launcher", "install")
    user.cyxmake("launcher", "start")
    assert user.make(project).returncode == 0
    told = user.cyxmake("explain", "miss", "one.o", "-C", str(project)).stdout
    assert "it was not built here before" in told
    told = user.cyxmake("explain", "placement", "here.o", "-C", str(project)).stdout
    assert "local" in told and "passes options on unread" in told
    user.stop()
    user.cyxmake("launcher", "start")
    (project / "one.h").write_text("#define ONE 2\n")
    assert user.make(project, "FLAGS=-O1").returncode == 0
    told = user.cyxmake("explain", "miss", "one.o", "-C", str(project)).stdout
    assert "arguments: now with -O1" in told
    (project / "one.h").write_text("#define ONE 3\n")
    assert user.make(project, "FLAGS=-O1").returncode == 0
    user.stop()
    told = user.cyxmake("explain", "miss", "one.o", "-C", str(project)).stdout
    assert "one.h changed" in told


def test_a_directory_behind_a_symlink(user: User, tmp_path: Path) -> None:
    """Debug information has the name that the shell uses; either name is compiled and found."""
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    (real / "one.c").write_text(f"/* {tmp_path} */\nint one;\n")
    user.cyxmake("launcher", "install")
    user.cyxmake("launcher", "start")
    stand_ins = f"{user.home / 'cache/launcher/bin'}:{user.env['PATH']}"
    for served, place in (((0, 1, 0), link), ((0, 2, 0), real), ((2, 2, 0), None)):
        for folder in (link, real) if place is None else (place,):
            made = []
            for path in (user.env["PATH"], stand_ins):
                argv = ["sh", "-c", "gcc -g -c one.c -o one.o"]
                env = user.env | {"PATH": path, "PWD": str(folder)}
                subprocess.run(argv, cwd=folder, env=env, check=True)
                made.append((real / "one.o").read_bytes())
            assert made[0] == made[1]
            assert str(folder).encode() in made[0]
        assert user.served() == served
