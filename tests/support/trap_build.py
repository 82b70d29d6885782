"""A hand-written build of many small compiles, done by plain ninja and by a cluster, to compare.

A Case is one edge; whatever it leaves in its directory, its text and its verdict are kept.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.processes import Cluster

_LINE = re.compile(r"\[\d+/\d+\] (.*)\n?")
_PLACE = re.compile(r"(.*) \[(cache|local(?:: .*)?|w\d+(?:: .*)?)\]\n?\Z")
_FIGURES = re.compile(r"\d+ actions? in ")
_RULE = """rule run
  command = $command
rule gcc
  command = $command
  depfile = $depfile
  deps = gcc
rule rsp
  command = $command
  rspfile = $rspfile
  rspfile_content = $content
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One edge: `{o}` is its own directory in the build, `{root}` the project's.

    `needs` are outputs of other cases, which come first; `depfile` is given to ninja.
    """

    name: str
    command: str
    outputs: tuple[str, ...] = ("{o}/a.o",)
    needs: tuple[str, ...] = ()
    depfile: str = ""
    rspfile: str = ""
    content: str = ""

    def expand(self, text: str, root: Path) -> str:
        """Fill in the placeholders."""
        return text.replace("{o}", f"o/{self.name}").replace("{root}", str(root))

    def statement(self, root: Path) -> str:
        """Return the case as an edge of build.ninja."""
        outputs = " ".join(_path(self.expand(output, root)) for output in self.outputs)
        needs = " ".join(_path(need) for need in self.needs)
        rule = "rsp" if self.rspfile else "gcc" if self.depfile else "run"
        lines = [f"build {outputs}: {rule}" + (f" || {needs}" if needs else "")]
        lines.append(f"  command = {self.expand(self.command, root).replace('$', '$$')}")
        for name, value in (
            ("depfile", self.depfile),
            ("rspfile", self.rspfile),
            ("content", self.content),
        ):
            if value:
                lines.append(f"  {name} = {self.expand(value, root).replace('$', '$$')}")
        return "\n".join(lines) + "\n"


def _path(text: str) -> str:
    return text.replace("$", "$$").replace(" ", "$ ").replace(":", "$:")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A file as a build left it."""

    data: bytes
    mode: int
    links: int
    modified: float


@dataclass(slots=True)
class Outcome:
    """What a build left: every file below `build`, and for each command what was said and where."""

    status: int
    files: dict[str, Snapshot]
    texts: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    output: str = ""


@dataclass(slots=True)
class Trial:
    """The same tree built by ninja and by the cluster."""

    root: Path
    cases: dict[str, Case]
    ninja: Outcome
    cluster: Outcome

    def place(self, name: str) -> str:
        """Return where a case ran: a worker's name, `cache`, or `local: reason`."""
        return self.cluster.places[self._command(name)]

    def check_equal(self, name: str, *, same_bytes: bool = True) -> None:
        """What the case left and said is what it is with ninja."""
        prefix = f"o/{name}/"
        wanted, got = (
            {
                path: (file.data, file.mode)
                for path, file in files.items()
                if path.startswith(prefix)
            }
            for files in (self.ninja.files, self.cluster.files)
        )
        assert sorted(got) == sorted(wanted), name
        for path, file in wanted.items() if same_bytes else ():
            assert got[path] == file, f"{path} differs from ninja's"
        command = self._command(name)
        assert self.cluster.texts.get(command, "") == self.ninja.texts.get(command, ""), name

    def check_remote(self, name: str) -> None:
        """The case was done by the cluster, and equals ninja's."""
        assert self.place(name) == "cache" or self.place(name).startswith("w"), self.place(name)
        self.check_equal(name)

    def check_local(self, name: str, reason: str, *, same_bytes: bool = True) -> None:
        """The case ran here, for that reason, and left the files that ninja's does.

        Their bytes are not compared where two runs of the tool itself differ.
        """
        place = self.place(name)
        assert place.startswith("local: ") and reason in place, f"{name}: {place}, not {reason}"
        self.check_equal(name, same_bytes=same_bytes)

    def _command(self, name: str) -> str:
        case = self.cases[name]
        return case.expand(case.command, self.root)


class TrapProject:
    """A project at `root`: sources in `src`, the build in `build`."""

    def __init__(self, root: Path, sources: dict[str, str | bytes], cases: Sequence[Case]) -> None:
        self.root = root
        self.build = root / "build"
        self.cases = {case.name: case for case in cases}
        for name, text in sources.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode() if isinstance(text, str) else text)

    def fresh(self) -> None:
        """Begin with an empty build directory."""
        shutil.rmtree(self.build, ignore_errors=True)
        self.build.mkdir(parents=True)
        statements = [case.statement(self.root) for case in self.cases.values()]
        (self.build / "build.ninja").write_text(_RULE + "".join(statements), "utf-8")

    def with_ninja(self, **env: str) -> Outcome:
        """Build everything with ninja alone."""
        self.fresh()
        argv = ["ninja", "-C", str(self.build), "-v", "-k0", "-j2", "-d", "keepdepfile"]
        done = subprocess.run(argv, capture_output=True, check=False, env=os.environ | env)
        return self._outcome(done.returncode, done.stdout.decode("utf-8", "replace"))

    def with_cluster(self, cluster: Cluster, **env: str) -> Outcome:
        """Build everything with the cluster."""
        self.fresh()
        done = cluster.build(self.root, "-v", "-k", "0", "-d", "keepdepfile", **env)
        outcome = self._outcome(done.status, done.output + done.errors)
        outcome.summary = done.summary
        return outcome

    def trial(
        self, cluster: Cluster, before: Callable[[], None] | None = None, **env: str
    ) -> Trial:
        """Build both ways; `before` puts the sources into their first state each time."""
        outcomes = []
        for build in (self.with_ninja, lambda **env: self.with_cluster(cluster, **env)):
            if before is not None:
                before()
            outcomes.append(build(**env))
        return Trial(self.root, self.cases, *outcomes)

    def _outcome(self, status: int, output: str) -> Outcome:
        outcome = Outcome(status, self._files(), output=output)
        commands = {case.expand(case.command, self.root) for case in self.cases.values()}
        current: str | None = None
        for line in output.splitlines(keepends=True):
            if match := _LINE.fullmatch(line):
                command = match[1]
                if place := _PLACE.fullmatch(command):
                    command = place[1]
                    outcome.places[command] = place[2]
                current = command if command in commands else None
            elif line.startswith(("ninja: ", "cyxmake: ")) or _FIGURES.match(line):
                current = None
            elif current is not None and not line.startswith("FAILED: ") and line != current + "\n":
                outcome.texts[current] = outcome.texts.get(current, "") + line
        return outcome

    def _files(self) -> dict[str, Snapshot]:
        found = {}
        for path in self.build.rglob("*"):
            if path.is_file() and not path.name.startswith((".ninja", "build.ninja")):
                state = path.stat()
                found[path.relative_to(self.build).as_posix()] = Snapshot(
                    path.read_bytes(), state.st_mode, state.st_nlink, state.st_mtime
                )
        return found
