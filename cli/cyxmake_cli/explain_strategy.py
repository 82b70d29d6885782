"""`cyxmake explain strategy`: how the next hybrid build would be cut into actions, and why.

Puts together the project's plan, what its edges took before, and the workers; runs nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

from cyxmake_cli import config
from cyxmake_cli.analysis.detectors import detect
from cyxmake_cli.build import shared_root
from cyxmake_cli.cluster.history import History
from cyxmake_cli.cluster.joined import Joined
from cyxmake_cli.cluster.session import client_token
from cyxmake_cli.ninja.disk import RealDisk
from cyxmake_cli.ninja.graph import Edge
from cyxmake_cli.ninja.session import BuildGraph, Options
from cyxmake_cli.settings import Settings
from cyxmake_cli.strategies.hybrid import ClusterSize, choose, cluster_size, whole_because
from cyxmake_cli.strategies.targets import plan_groups
from cyxmake_cli.systems.detect import detect_systems


def explain(directory: Path, settings: Settings) -> Iterator[str]:
    """Yield the lines of the answer; raises CyxError."""
    whole = whole_project_reason(directory, elsewhere=False)
    if whole:
        yield f"whole-project: {whole}"
        return
    named = settings.build.directory
    project = detect(directory, None if named is None else Path(named))
    if project.system.uses_make:
        yield "compile-units: make runs the build, and only its compiles can be seen"
        return
    if not (project.build / "build.ninja").is_file():
        yield "compile-units: the project is not configured yet, so nothing is known of its targets"
        return
    size, where = _cluster(settings)
    yield f"{where}: {size.workers} workers, {size.slots} slots, at most {size.largest} of one"
    graph = BuildGraph.load(RealDisk(str(project.build)), Options(dry_run=True))
    try:
        graph.plan()
        groups = plan_groups(graph.wanted())
        kept = config.cache_directory() / "history"
        history = History(kept, shared_root(project), str(project.source))

        def seconds(edge: Edge) -> float | None:
            return history.seconds(os.path.join(project.build, edge.outputs[0].path))  # noqa: PTH118

        for decision in choose(groups, seconds, size):
            yield f"{decision.group.link.outputs[0].path}: {decision.strategy}"
            yield f"  {decision.reason}"
        together = sum(len(group.compiles) + 1 for group in groups)
        rest = len(graph.wanted()) - together
        if rest > 0:
            yield f"{rest} other edges: compile-units, where they can be sent"
        elif not groups:
            yield "nothing is to be done"
    finally:
        graph.close()


def whole_project_reason(directory: Path, *, elsewhere: bool) -> str:
    """Say why hybrid builds a project as a whole; empty when it does not."""
    found = detect_systems(directory)
    return whole_because(found[0].system if found else None, elsewhere=elsewhere)


def _cluster(settings: Settings) -> tuple[ClusterSize, str]:
    """Return the cluster's size, and what it is."""
    token = client_token(settings.cluster.coordinator) if settings.cluster.enabled else None
    if token is None:
        cores = os.cpu_count() or 1
        return cluster_size((cores,)), "the cluster of this machine alone"

    async def ask() -> ClusterSize:
        joined = await Joined.with_token(token, config.cache_directory())
        try:
            return cluster_size(worker.slots for worker in joined.workers)
        finally:
            await joined.close()

    return asyncio.run(ask()), token.address
