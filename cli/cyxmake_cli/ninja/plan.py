"""Which edges are still to run, which can start now, and what each finished edge sets free.

Knows nothing of the disk and of time: the scan it is given answers what is dirty.

An edge in the plan is wanted or merely on the way to a wanted one. When its last input is ready a
wanted edge joins the ready queue (or waits in its pool), any other is passed over at once.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Protocol

from cyxmake_cli.ninja.errors import GraphError
from cyxmake_cli.ninja.graph import Edge, Mark, Node, Pool


class Discovered(Protocol):
    """What a dyndep file added to an edge."""

    @property
    def inputs(self) -> Sequence[Node]:
        """The inputs it added."""


class Scan(Protocol):
    """What a plan asks of the dirtiness scan."""

    def recompute_dirty(self, node: Node) -> list[Node]:
        """Set the dirtiness of a node and all below it; return validations."""

    def outputs_dirty(self, edge: Edge, newest_input: Node | None) -> bool:
        """Tell whether an edge with clean inputs must run because of its outputs."""

    def load_dyndep(self, node: Node) -> Mapping[Edge, Discovered]:
        """Read a dyndep file and extend the graph by it."""


class Want(IntEnum):
    """What the plan intends with an edge."""

    NOTHING = 0
    TO_START = 1
    TO_FINISH = 2


class _PoolUse:
    """How many edges of a pool are scheduled, and which ones wait."""

    __slots__ = ("delayed", "used")

    def __init__(self) -> None:
        self.used = 0
        self.delayed: list[tuple[int, int, Edge]] = []


def unit_cost(edge: Edge) -> int:
    """Return the cost of an edge when nothing is known of durations: all commands are equal."""
    return 0 if edge.is_phony else 1


class Plan:
    """The work left between the disk's state and the targets."""

    def __init__(self, scan: Scan, cost: Callable[[Edge], int] = unit_cost) -> None:
        self._scan = scan
        self._cost = cost
        self._want: dict[Edge, Want] = {}
        self._targets: list[Node] = []
        self._ready: list[tuple[int, int, Edge]] = []
        self._pools: dict[Pool, _PoolUse] = {}
        self._blockers: dict[Edge, Edge] = {}
        self.wanted_edges = 0
        self.command_edges = 0

    def __repr__(self) -> str:
        return f"Plan({self.wanted_edges} wanted, {len(self._ready)} ready)"

    def more_to_do(self) -> bool:
        """Tell whether an edge with a command is still wanted."""
        return self.wanted_edges > 0 and self.command_edges > 0

    def wanted(self) -> list[Edge]:
        """Return the edges with commands that are to run or running, by id."""
        found = [edge for edge, want in self._want.items() if want and not edge.is_phony]
        return sorted(found, key=lambda edge: edge.id)

    def add_target(self, node: Node) -> None:
        """Plan a target whose dirtiness is known; raises GraphError for a missing source."""
        self._targets.append(node)
        self._add(node, None, None)

    def prepare_queue(self) -> None:
        """Rank the edges and queue those that can start; call once, after the targets."""
        self._rank()
        for edge in sorted(self._want, key=lambda edge: edge.id):
            if self._want[edge] is Want.TO_START and edge.blocker() is None:
                self._want[edge] = Want.TO_FINISH
                self._enqueue(edge)
        for pool in self._pools:
            self._admit(pool)

    def find_work(self) -> Edge | None:
        """Take the most urgent ready edge."""
        return heapq.heappop(self._ready)[2] if self._ready else None

    def edge_finished(self, edge: Edge, ok: bool) -> None:
        """Note the end of an edge that `find_work` gave; raises GraphError from dyndep files."""
        pending = [self._finish(edge, ok)]
        while pending:
            passed_over = next(pending[-1], None)
            if passed_over is None:
                pending.pop()
            elif passed_over in self._want:
                pending.append(self._finish(passed_over, True))

    def clean_node(self, node: Node) -> list[Edge]:
        """Mark a node as unchanged after all; return the edges that need not run any more."""
        cleaned: list[Edge] = []
        pending = [node]
        while pending:
            known = pending.pop()
            known.dirty = False
            for edge in known.out_edges:
                if self._want.get(edge) and not edge.deps_missing and self._is_clean(edge):
                    self._want[edge] = Want.NOTHING
                    self.wanted_edges -= 1
                    self.command_edges -= not edge.is_phony
                    cleaned.append(edge)
                    pending += edge.outputs
        return cleaned

    def _is_clean(self, edge: Edge) -> bool:
        newest: Node | None = None
        for known in edge.blocking_inputs:
            if known.dirty:
                return False
            if newest is None or known.mtime > newest.mtime:
                newest = known
        return not self._scan.outputs_dirty(edge, newest)

    def _add(self, target: Node, dependent: Node | None, walk: set[Edge] | None) -> None:
        """Walk down from a node, depth first; `walk` collects edges when a dyndep is loaded."""
        pending = [(target, dependent)]
        while pending:
            node, user = pending.pop()
            edge = node.in_edge
            if edge is None:
                self._check_source(node, user)
                continue
            want = self._want.get(edge)
            if edge.outputs_ready or (walk is not None and want is Want.TO_FINISH):
                continue
            self._want.setdefault(edge, Want.NOTHING)
            if node.dirty and not want:
                self._start_wanting(edge)
            if walk is not None:
                walk.add(edge)
            if want is None:
                pending += [(known, node) for known in reversed(edge.inputs)]

    @staticmethod
    def _check_source(node: Node, user: Node | None) -> None:
        if node.dirty and not node.from_deps:
            needed = f", needed by '{user.path}'," if user is not None else ""
            raise GraphError(f"'{node.path}'{needed} missing and no known rule to make it")

    def _start_wanting(self, edge: Edge) -> None:
        self._want[edge] = Want.TO_START
        self.wanted_edges += 1
        self.command_edges += not edge.is_phony

    def _schedule(self, edge: Edge) -> None:
        # Seen twice when an edge and one of its dependencies share an order-only input.
        if self._want[edge] is Want.TO_START:
            self._want[edge] = Want.TO_FINISH
            self._enqueue(edge)
            self._admit(edge.pool)

    def _enqueue(self, edge: Edge) -> None:
        entry = (-edge.urgency, edge.id, edge)
        if edge.pool.depth == 0:
            heapq.heappush(self._ready, entry)
        else:
            heapq.heappush(self._pools.setdefault(edge.pool, _PoolUse()).delayed, entry)

    def _admit(self, pool: Pool) -> None:
        """Move waiting edges of a pool to the ready queue while it has room."""
        use = self._pools.get(pool)
        while use is not None and use.delayed and use.used < pool.depth:
            heapq.heappush(self._ready, heapq.heappop(use.delayed))
            use.used += 1

    def _finish(self, edge: Edge, ok: bool) -> Iterator[Edge]:
        """Note the end of an edge; yield those that are not wanted and so end at once as well.

        They must be finished before this goes on: one may load a dyndep file that makes another
        edge wanted, which would be passed over otherwise.
        """
        directly_wanted = self._want[edge] is not Want.NOTHING
        if directly_wanted and edge.pool in self._pools:
            self._pools[edge.pool].used -= 1
        self._admit(edge.pool)
        if not ok:
            return
        self.wanted_edges -= directly_wanted
        del self._want[edge]
        edge.outputs_ready = True
        dyndeps = [node for node in edge.outputs if node.dyndep_pending]
        if dyndeps:
            yield from self._load_dyndeps(dyndeps)
        for node in edge.outputs:
            for user in node.out_edges:
                if user in self._want and self._passes_over(user):
                    yield user

    def _passes_over(self, edge: Edge) -> bool:
        """Queue an edge if it is ready and wanted; True when it is ready and not wanted."""
        # A link of thousands of objects is asked once per object: remember what it waits for.
        blocker = self._blockers.get(edge)
        if blocker is None or blocker.outputs_ready:
            blocker = edge.blocker()
        if blocker is not None:
            self._blockers[edge] = blocker
            return False
        if self._want[edge]:
            self._schedule(edge)
            return False
        return True

    def _load_dyndeps(self, nodes: list[Node]) -> Iterator[Edge]:
        """Take newly written dyndep files into the plan."""
        found: dict[Edge, Discovered] = {}
        for node in nodes:
            found.update(self._scan.load_dyndep(node))
        self._refresh(self._unmark(nodes))
        walk: set[Edge] = set()
        roots = [e for e in found if not e.outputs_ready and e in self._want]
        for edge in roots:
            for known in found[edge].inputs:
                self._add(known, edge.outputs[0], walk)
        walk.update(user for node in nodes for user in node.out_edges)
        for edge in sorted(walk, key=lambda edge: edge.id):
            if edge in self._want and self._passes_over(edge):
                yield edge

    def _unmark(self, nodes: Iterable[Node]) -> list[Node]:
        """Make the scan look again at everything planned above the nodes; return those outputs."""
        found: dict[Node, None] = {}
        pending = list(nodes)
        while pending:
            for edge in pending.pop().out_edges:
                if edge in self._want and edge.mark is not Mark.NONE:
                    edge.mark = Mark.NONE
                    pending += [node for node in edge.outputs if node not in found]
                    found.update(dict.fromkeys(edge.outputs))
        return list(found)

    def _refresh(self, nodes: list[Node]) -> None:
        for node in nodes:
            for validation in self._scan.recompute_dirty(node):
                maker = validation.in_edge
                if maker is not None and not maker.outputs_ready:
                    self.add_target(validation)
            edge = node.in_edge
            if node.dirty and edge is not None and self._want.get(edge) is Want.NOTHING:
                self._start_wanting(edge)

    def _rank(self) -> None:
        """Set each edge's urgency: the cost of the longest way from it to a target."""
        order = self._topological()
        costs = {edge: self._cost(edge) for edge in order}
        for edge in order:
            edge.urgency = costs[edge]
        for edge in reversed(order):
            for known in edge.inputs:
                maker = known.in_edge
                if maker is not None and maker in costs:
                    maker.urgency = max(maker.urgency, edge.urgency + costs[maker])

    def _topological(self) -> list[Edge]:
        """Return the planned edges, each one after the makers of its inputs."""
        order: list[Edge] = []
        seen: set[Edge] = set()
        pending = [(node.in_edge, False) for node in reversed(self._targets)]
        while pending:
            edge, expanded = pending.pop()
            if edge is None or edge not in self._want:
                continue
            if expanded:
                order.append(edge)
            elif edge not in seen:
                seen.add(edge)
                pending.append((edge, True))
                makers = {known.in_edge: None for known in edge.inputs}
                pending += [(maker, False) for maker in makers]
        return order
