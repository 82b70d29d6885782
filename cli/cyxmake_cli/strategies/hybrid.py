"""Strategy hybrid: for each target of a plan, whether its compiles go one by one or together.

Knows no files and no cluster; durations and workers are handed in. A target goes together where
that should end sooner: together it has one worker, one by one it has all, but each compile costs
the cluster something of its own. What is not known is done as by default, one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from cyxmake_cli.ninja.graph import Edge
from cyxmake_cli.settings import Strategy
from cyxmake_cli.strategies.targets import Group
from cyxmake_cli.systems.model import SystemName

UNIT_SECONDS: Final = 0.03
"""What a compile of its own costs a worker beside the compiler: sandbox, inputs, messages."""

GROUP_SECONDS: Final = 0.06
"""What an action of several compiles and their link costs a worker beside them.

Both from the processor time of whole builds with and without groups: leveldb, 40 compiles in two
large targets; fribidi, 41 in twenty small ones.
"""

_WORTH: Final = 0.9
"""Together must be expected to take no more than this part of the time."""

_GRAPH: Final = frozenset((
    SystemName.CMAKE, SystemName.MESON, SystemName.NINJA, SystemName.MAKE, SystemName.AUTOTOOLS,
))  # fmt: skip
"""Build systems whose compiles can be told apart."""


@dataclass(frozen=True, slots=True)
class ClusterSize:
    """The cluster as far as time goes: `largest` is the most slots of one worker."""

    workers: int
    slots: int
    largest: int


def cluster_size(slots: Iterable[int]) -> ClusterSize:
    """Return the size of a cluster from the slots of its workers."""
    each = tuple(slots)
    return ClusterSize(len(each), sum(each), max(each, default=0))


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done with a target, and why."""

    group: Group
    strategy: Strategy
    reason: str


Seconds = Callable[[Edge], float | None]
"""How long an edge took when it last ran, None where that is not known."""


def choose(groups: Sequence[Group], seconds: Seconds, cluster: ClusterSize) -> tuple[Decision, ...]:
    """Decide for every target of a plan."""
    known = {group: _sum(group, seconds) for group in groups}
    total = sum(time for time in known.values() if time is not None)
    return tuple(_decide(group, known[group], total, cluster) for group in groups)


def whole_because(system: SystemName | None, *, elsewhere: bool) -> str:
    """Say why a project is built as a whole; empty when its compiles can be told apart."""
    if elsewhere:
        return "it is for another platform than this machine's"
    if system is not None and system not in _GRAPH:
        return f"{system} does not tell its compiles apart"
    return ""


def _decide(group: Group, own: float | None, total: float, cluster: ClusterSize) -> Decision:
    count = len(group.compiles)
    if own is None:
        return Decision(
            group, Strategy.COMPILE_UNITS, f"how long its {count} compiles take is not known yet"
        )
    if not cluster.slots:
        return Decision(group, Strategy.COMPILE_UNITS, "there is no worker")
    alike = total / own if own else 1.0  # how many such targets the plan would be made of
    together = max(
        (own + GROUP_SECONDS) / cluster.largest, (total + GROUP_SECONDS * alike) / cluster.slots
    )
    alone = (total + UNIT_SECONDS * count * alike) / cluster.slots
    figures = (
        f"{count} compiles of {own:.1f} s: about {together:.2f} s together on "
        f"{cluster.largest} slots, {alone:.2f} s one by one on {cluster.slots}"
    )
    better = together < alone * _WORTH
    return Decision(group, Strategy.TARGETS if better else Strategy.COMPILE_UNITS, figures)


def _sum(group: Group, seconds: Seconds) -> float | None:
    times = [seconds(edge) for edge in group.compiles]
    known = [time for time in times if time is not None]
    return sum(known) if len(known) == len(times) else None
