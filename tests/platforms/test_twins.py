"""gcc for arm64 on two kinds of machines: an x86-64 one's cross compiler, an arm64 one's own.

Run with `pytest -m platforms`; what it needs is set up by prepare.sh.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from support.builds import products, run
from support.platforms import Arm64, patient
from support.processes import BuildRun, Cluster, Program, cluster

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
    """Four units, with a ninja file; `prefix` runs a command where the client is."""

    def __init__(self, path: Path, gcc: str, options: str, place: str = "") -> None:
        """Write it; `place` is where it stands for its client, if not at its path."""
        self.path = path
        path.mkdir()
        place = place or str(path)
        gxx = gcc.replace("gcc", "g++")
        self.commands = {}
        for name, text in _SOURCES.items():
            (path / name).write_text(text)
            if not name.endswith(".h"):
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
    """Debug builds too; with the packager's text in the objects only by the option that drops it."""
    silent = Project(tmp_path / "silent", cross, "-O2 -g -fno-ident")
    named = Project(tmp_path / "named", cross, "-O1")
    wanted, plain = silent.built_here(), named.built_here()
    with cluster(tmp_path, workers=0, serve=patient(tmp_path)) as made:
        worker = arm64.join(made, "arm", "--slots", "2", zig=False)
        workers = built(made.build(silent.path, "--place", "cluster"), silent, wanted)
        assert workers == {"arm": 4}, (workers, worker.text())
        assert "toolchain-proven" in worker.text()
        again = made.build(silent.path)
        assert again.summary["cache_hits"] == 4, again.summary
        assert project_is(silent, wanted)

        done = made.build(named.path)
        assert built(done, named, plain) == {}
        reasons = " ".join(done.summary["local_reasons"])
        assert "differs in the version text of .comment only" in reasons, reasons
        assert "build.no_ident" in reasons, reasons
        workers = built(
            made.build(named.path, "--no-ident", "--place", "cluster"),
            named,
            Project(tmp_path / "twice", cross, "-fno-ident -O1", str(named.path)).built_here(),
        )
        assert workers == {"arm": 4}


def project_is(project: Project, wanted: dict[str, str]) -> bool:
    """Tell whether a project's products are these, and remove them."""
    return project.take() == wanted
