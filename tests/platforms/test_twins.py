"""gcc for arm64 on two kinds of machines: an x86-64 one's cross compiler, an arm64 one's own.

Run with `pytest -m platforms`; what it needs is set up by prepare.sh.
"""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest

from support.builds import products, run
from support.platforms import Arm64, patient
from support.processes import BuildRun, cluster
from support.source_packages import SourceUnavailable, source_package

pytestmark = [pytest.mark.platforms, pytest.mark.timeout(1200)]

_SOURCES = {
    "part.h": "#define PART 7\n",
    "a.c": '#include <stdio.h>\n#include "part.h"\n'
    'int a(void) { return printf("%s %d\\n", __FILE__, PART); }\n',
    "b.c": "#include <math.h>\n#include <stdarg.h>\n#include <arm_neon.h>\n"
    "float64x2_t b(double x) { return vdupq_n_f64(sqrt(x)); }\n",
    "c.cpp": "#include <string>\nstd::string c(int x) { return std::to_string(x); }\n",
    "d.S": '#include "part.h"\n    .text\n    .globl d\nd:  ret\n',
}


class Project:
    """Four units, or one, with a ninja file."""

    def __init__(self, path: Path, gcc: str, options: str, place: str = "", only: str = "") -> None:
        """Write it; `place` is where it stands for its client, if not at its path."""
        self.path = path
        path.mkdir()
        place = place or str(path)
        gxx = gcc.replace("gcc", "g++")
        self.commands = {}
        for name, text in _SOURCES.items():
            (path / name).write_text(text)
            if not name.endswith(".h") and name.startswith(only):
                compiler = gxx if name.endswith(".cpp") else gcc
                self.commands[f"{name}.o"] = (
                    f"{compiler} {options} -MD -MF {name}.o.d -c {place}/{name} -o {name}.o"
                )
        lines = []
        for number, (output, command) in enumerate(self.commands.items()):
            lines.append(f"rule r{number}\n  command = {command}\n  depfile = {output}.d\n")
            lines.append(f"build {output}: r{number} {place}/{output[:-2]}\n")
        (path / "build.ninja").write_text("".join(lines))

    def take(self) -> dict[str, str]:
        """Return the digests of what was built, and remove it."""
        made = products(self.path)
        for path in self.path.iterdir():
            if path.suffix in (".o", ".d") or path.name.startswith(".ninja"):
                path.unlink()
        return made

    def built_here(self) -> dict[str, str]:
        """Build it without a cluster."""
        for command in self.commands.values():
            run(shlex.split(command), self.path)
        return self.take()


def built(done: BuildRun, project: Project, wanted: dict[str, str]) -> dict[str, int]:
    """Check the bytes of a build; return how many units which worker has done."""
    assert done.status == 0, done.output + done.errors
    assert project.take() == wanted
    workers: dict[str, int] = done.summary["workers"]
    return workers


def test_an_arm64_machines_own_gcc_does_what_a_cross_compiler_does(
    arm64: Arm64, cross: str, tmp_path: Path
) -> None:
    """Debug builds too; with the packager's text in objects only by the option that drops it."""
    silent = Project(tmp_path / "silent", cross, "-O2 -g -fno-ident")
    named = Project(tmp_path / "named", cross, "-O1")
    wanted, plain = silent.built_here(), named.built_here()
    dropped = Project(tmp_path / "twice", cross, "-fno-ident -O1", str(named.path)).built_here()
    with cluster(tmp_path, workers=0, serve=patient(tmp_path)) as made:
        worker = arm64.join(made, "arm", "--slots", "2", zig=False)
        workers = built(made.build(silent.path, "--place", "cluster"), silent, wanted)
        assert workers == {"arm": 4}, (workers, worker.text())
        assert "toolchain-proven" in worker.text()
        again = made.build(silent.path)
        assert again.summary["cache_hits"] == 4, again.summary
        assert silent.take() == wanted

        done = made.build(named.path)
        assert built(done, named, plain) == {}
        reasons = " ".join(done.summary["local_reasons"])
        assert "differs in the version text of .comment only" in reasons, reasons
        assert "build.no_ident" in reasons, reasons
        done = made.build(named.path, "--no-ident", "--place", "cluster")
        assert built(done, named, dropped) == {"arm": 4}
        told = made.ask("explain", "placement", "-C", str(named.path), "a.c.o")
        assert "arm" in told, told


def test_lua_is_built_by_both_kinds_at_once(arm64: Arm64, cross: str, tmp_path: Path) -> None:
    """For arm64, by make: some units by our cross compiler, some by the other machine's own."""
    try:
        sources = source_package("lua5.4")
    except SourceUnavailable as missing:
        pytest.skip(str(missing))
    project = tmp_path / "lua"
    shutil.copytree(sources, project)
    makefile = project / "src/Makefile"
    text = makefile.read_text().replace("CC= gcc", f"CC= {Path(cross).name}")
    makefile.write_text(text.replace("MYCFLAGS=\n", "MYCFLAGS= -g -fno-ident\n", 1))
    run(["make", "linux"], project)
    wanted = products(project)
    assert len(wanted) > 30
    run(["make", "clean"], project)
    with cluster(tmp_path, workers=0, serve=patient(tmp_path)) as made:
        arm = arm64.join(made, "arm", "--slots", "2", zig=False)
        first = Project(tmp_path / "first", cross, "-O1 -fno-ident", only="a.c")
        assert made.build(first.path, "--place", "cluster").summary["workers"] == {"arm": 1}
        made.add_worker("linux", 1, PATH="/usr/bin:/bin", HOME="/nonexistent")
        done = made.build(project, "--place", "cluster", "-j", "3", "linux")
        assert done.status == 0, done.output + done.errors
        assert products(project) == wanted
        workers = done.summary["workers"]
        assert set(workers) == {"arm", "linux"}, (done.summary, arm.text())
        assert sum(workers.values()) > 30, workers
    lua = arm64.run(project, "/data/src/lua", "-e", "print(_VERSION, 6 * 7)")
    assert lua.stdout == "Lua 5.4\t42\n", lua.stderr


def test_a_cross_compiler_here_serves_an_arm64_client(
    arm64: Arm64, cross: str, tmp_path: Path
) -> None:
    """The client runs there, as its own gcc does; the compiles run on x86-64."""
    home = tmp_path / "there"
    home.mkdir()
    project = Project(home / "project", "gcc", "-O2 -g -fno-ident", "/data/project")
    script = "cd /data/project; " + "; ".join(project.commands.values())
    done = arm64.run(home, "sh", "-ec", script)
    assert done.returncode == 0, done.stderr
    wanted = project.take()
    assert len(wanted) == 8
    with cluster(tmp_path, workers=0, serve=patient(tmp_path)) as made:
        worker = made.add_worker("linux", 2, PATH="/usr/bin:/bin", HOME="/nonexistent")
        (home / "token").write_text(made.token("client"))
        done = arm64.run(
            home, "sh", "-c",
            "CYXMAKE_TOKEN=$(cat /data/token) exec python3 -m cyxmake_cli.main dbuild "
            "-C /data/project --place cluster --summary /data/summary.json",
            CYXMAKE_CACHE_DIR="/data/cache",
            CYXMAKE_CONFIG_DIR="/data/config",
            CYXMAKE_STATE_DIR="/data/state",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        summary = json.loads((home / "summary.json").read_text())
        assert summary["workers"] == {"linux": 4}, (summary, worker.text())
        assert project.take() == wanted
        assert "stand-in" in worker.text()


def test_what_is_not_the_same_gcc_is_refused(arm64: Arm64, cross: str, tmp_path: Path) -> None:
    """Another release is not even asked; one that defines another macro fails its first probe."""
    older = Project(tmp_path / "older", cross.replace("-12", "-11"), "-O2 -fno-ident", only="a.c")
    same = Project(tmp_path / "same", cross, "-O2 -fno-ident")
    wanted = {project.path: project.built_here() for project in (older, same)}
    compiler = "/usr/lib/gcc/aarch64-linux-gnu/12/cc1"
    program = Path(f"{arm64.home.path}/rootfs{compiler}").read_bytes()
    assert program.count(b"\0__ELF__\0") == 1
    changed = tmp_path / "cc1"
    changed.write_bytes(program.replace(b"\0__ELF__\0", b"\0__ELG__\0"))
    changed.chmod(0o755)
    with cluster(tmp_path, workers=0, serve=patient(tmp_path)) as made:
        worker = arm64.join(made, "arm", zig=False, changed={compiler: changed})
        for project, reason in (
            (older, "arm comes nearest, it lacks ISA=x86-64"),
            (same, "toolchain-broken: "),
        ):
            done = made.build(project.path, "--place", "cluster")
            assert built(done, project, wanted[project.path]) == {}
            reasons = " ".join(done.summary["local_reasons"])
            assert reason in reasons, reasons
        assert ".macros: the object has other bytes" in worker.text(), worker.text()
        assert "toolchain-proven" not in worker.text()
