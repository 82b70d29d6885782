"""Runs a BuildGraph's edges one after the other through /bin/sh, for comparisons with ninja.

Knows nothing of clusters; a stand-in for the real driver.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from cyxmake_cli.ninja.disk import RealDisk
from cyxmake_cli.ninja.session import BuildGraph, Options, Result

NINJA = shutil.which("ninja")


@dataclass
class Ran:
    """What a build did."""

    commands: list[str] = field(default_factory=list)
    output: bytes = b""
    failure: str = ""


def load(root: Path, options: Options | None = None) -> BuildGraph:
    """Open the build directory."""
    return BuildGraph.load(RealDisk(root), options or Options(explain=True))


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
    if graph.plan(targets):
        run_edges(graph, root, ran)
    graph.close()
    return ran


def planned(root: Path, *targets: str) -> set[str]:
    """Return the commands that we would run, changing nothing."""
    graph = load(root, Options(dry_run=True, explain=True))
    if graph.plan_manifest():
        return {edge.command() for edge in graph.wanted()}
    graph.plan(targets)
    return {edge.command() for edge in graph.wanted()}


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


def ninja_planned(root: Path, *targets: str) -> set[str]:
    """Return the commands that the real ninja would run."""
    text = ninja(root, "-n", "-v", *targets)
    return set(re.findall(r"^\[\d+/\d+\] (.*)$", text, re.MULTILINE))
