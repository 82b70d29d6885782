"""Strategy targets: which edges of a plan make up one target, and the action that does them all.

Knows no files and no cluster. A target is a link with the compiles that nothing else wants: what
several links share stays an action of its own.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from cyxmake_cli.ninja.graph import Edge
from cyxmake_cli.strategies.compile_units import EdgeFacts, looks_like_compile
from cyxmake_cli.strategies.link_units import split_link
from cyxmake_common.compound import Compound, Step
from cyxmake_common.toolchain.local import LocalOnly

_FEWEST: Final = 2
"""Compiles that make an action of their own worth while."""


@dataclass(frozen=True, slots=True)
class Group:
    """One target: its link, and the compiles that are for it alone, in the plan's order."""

    link: Edge
    compiles: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One command of a target: `outputs` are relative to its directory."""

    argv: tuple[str, ...]
    directory: str
    environment: tuple[tuple[str, str], ...]
    outputs: tuple[str, ...]


def plan_groups(wanted: Sequence[Edge]) -> tuple[Group, ...]:
    """Return the targets of a plan."""
    compiles = {edge for edge in wanted if _is_compile(edge)}
    users: dict[Edge, set[Edge]] = {edge: set() for edge in compiles}
    for edge in wanted:
        for maker in _makers(edge):
            if maker in compiles:
                users[maker].add(edge)
    found: list[Group] = []
    for edge in wanted:
        if edge in compiles or edge.is_phony or not _is_link(edge):
            continue
        own = tuple(m for m in _makers(edge) if m in compiles and users[m] == {edge})
        if len(own) >= _FEWEST:
            found.append(Group(edge, own))
    return tuple(found)


def combine(compiles: Sequence[Part], link: Part | None) -> tuple[Compound, tuple[str, ...]]:
    """Return the action that runs all compiles, then the link; and its outputs, below `/`."""
    steps = [Step(p.argv, p.directory, dict(p.environment)) for p in compiles]
    parts = list(compiles)
    if link is not None:
        after = tuple(range(len(steps)))
        steps.append(Step(link.argv, link.directory, dict(link.environment), after))
        parts.append(link)
    outputs = tuple(absolute(p, o)[1:] for p in parts for o in p.outputs)
    return Compound(tuple(steps), apart=True, keep_going=True), outputs


def absolute(part: Part, output: str) -> str:
    """Return the path of an output as the action names it."""
    return posixpath.normpath(posixpath.join(part.directory, output))


def _makers(edge: Edge) -> Iterable[Edge]:
    """Return who makes what an edge reads, through phony names, each once."""
    seen: dict[Edge, None] = {}
    pending = [node.in_edge for node in edge.blocking_inputs]
    passed: set[Edge] = set()
    while pending:
        maker = pending.pop(0)
        if maker is None or maker in seen or maker in passed:
            continue
        if maker.is_phony:
            passed.add(maker)
            pending += [node.in_edge for node in maker.inputs]
        else:
            seen[maker] = None
    return seen


def _is_compile(edge: Edge) -> bool:
    return not edge.is_phony and looks_like_compile(edge.command())


def _is_link(edge: Edge) -> bool:
    outputs = tuple(node.path for node in edge.outputs)
    facts = EdgeFacts(edge.command(), outputs, edge.use_console)
    return not isinstance(split_link(facts), LocalOnly)
