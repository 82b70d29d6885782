"""Runs a BuildGraph's edges one after the other through /bin/sh, for comparisons with ninja.

Knows nothing of clusters; a stand-in for the real driver.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cyxmake_cli.ninja.disk import RealDisk
from cyxmake_cli.ninja.errors import GraphError
from cyxmake_cli.ninja.session import BuildGraph, Options, Result

NINJA = shutil.which("ninja")
VERSION = (
    subprocess.run([NINJA, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if NINJA is not None
    else "1.11.1"
)
DRY = Options(ninja_version=VERSION, dry_run=True, explain=True, keep_going=0)
LIKE_NINJA = Options(ninja_version=VERSION, keep_going=0)


@dataclass
class Ran:
    """What a build did."""

    commands: list[str] = field(default_factory=list)
    output: bytes = b""
    failure: str = ""


class Preview(NamedTuple):
    """The commands that a build would run, and the reasons given."""

    commands: list[str]
    reasons: set[str]
    error: str = ""


def load(root: Path, options: Options | None = None) -> BuildGraph:
    """Open the build directory."""
    return BuildGraph.load(RealDisk(root), options or LIKE_NINJA)


def run_edges(graph: BuildGraph, root: Path, ran: Ran) -> None:
    """Run a plan to its end."""
    clock = 0
    while graph.more_to_do():
        edge = graph.next_ready()
        if edge is None:
            break
        graph.started(edge, clock)
        clock += 1
        done = subprocess.run(
            ["/bin/sh", "-c", edge.command()],
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        ran.commands.append(edge.command())
        finished = graph.finished(edge, Result(done.returncode == 0, done.stdout), clock)
        ran.output += finished.output
    ran.failure = graph.failure()


def build(root: Path, *targets: str, options: Options | None = None) -> Ran:
    """Build as `ninja` would, manifest first."""
    ran = Ran()
    for _ in range(10):
        graph = load(root, options)
        if graph.plan_manifest():
            run_edges(graph, root, ran)
            if graph.manifest_rebuilt():
                graph.close()
                continue
        break
    try:
        if graph.plan(targets):
            run_edges(graph, root, ran)
    except GraphError as error:
        ran.failure = error.message
    graph.close()
    return ran


def planned(root: Path, *targets: str) -> Preview:
    """Return what we would run and why, changing nothing."""
    graph = load(root, DRY)
    commands: list[str] = []
    try:
        if not graph.plan_manifest():
            graph.plan(targets)
        while (edge := graph.next_ready()) is not None:
            graph.started(edge, 0)
            commands.append(edge.command())
            graph.finished(edge, Result(True), 0)
    except GraphError as error:
        return Preview(sorted(commands), set(graph.explain_lines()), error.message)
    return Preview(sorted(commands), set(graph.explain_lines()))


def ninja(root: Path, *arguments: str) -> str:
    """Run the real ninja and return what it printed."""
    done = subprocess.run(
        [NINJA or "ninja", *arguments],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def ninja_commands(text: str) -> list[str]:
    """Return the commands in what `ninja -v` printed."""
    return sorted(re.findall(r"^\[\d+/\d+\] (.*)$", text, re.MULTILINE))


def ninja_planned(root: Path, *targets: str) -> Preview:
    """Return what the real ninja would run and why."""
    text = ninja(root, "-n", "-v", "-d", "explain", "-k0", *targets)
    reasons = re.findall(r"^ninja explain: (.*)$", text, re.MULTILINE)
    error = re.search(r"^ninja: (?:error: (.*)|build stopped: (.*)\.)$", text, re.MULTILINE)
    said = (error[1] or error[2]) if error is not None else ""
    return Preview(ninja_commands(text), set(reasons), said)


def ninja_build(root: Path, *targets: str) -> Ran:
    """Let the real ninja build, one command at a time."""
    text = ninja(root, "-v", "-j1", "-k0", *targets)
    return Ran(ninja_commands(text), text.encode())
