"""Questions about a graph of files: what one needs, what a change reaches, cycles, order.

Knows nothing of where the graph comes from. Nothing here recurses: a project may be deep.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FileGraph:
    """Each file with the files that it includes itself; `units` are those that are compiled."""

    needs: Mapping[str, frozenset[str]]
    units: frozenset[str]
    sizes: Mapping[str, int] = field(default_factory=dict)

    def reversed(self) -> dict[str, set[str]]:
        """Return each file with those that include it themselves."""
        found: dict[str, set[str]] = defaultdict(set)
        for path, needed in self.needs.items():
            for one in needed:
                found[one].add(path)
        return found


@dataclass(frozen=True, slots=True)
class Hotspot:
    """A file that many compiles read: `units` of them; `bytes` are read for it in all."""

    file: str
    units: int
    bytes: int


def reach(arrows: Mapping[str, Iterable[str]], start: str) -> dict[str, int]:
    """Return every file that arrows lead to, with the least number of them; not the start."""
    found = {start: 0}
    waiting = deque([start])
    while waiting:
        path = waiting.popleft()
        for one in arrows.get(path, ()):
            if one not in found:
                found[one] = found[path] + 1
                waiting.append(one)
    del found[start]
    return found


def impact(graph: FileGraph, path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a change of a file reaches: the compiles to do again, and files between."""
    found = reach(graph.reversed(), path)
    touched = {*found, path}
    return tuple(sorted(touched & graph.units)), tuple(sorted(found.keys() - graph.units))


def hotspots(graph: FileGraph, most: int) -> tuple[Hotspot, ...]:
    """Return the files whose change costs most compiles, the worst first."""
    readers: dict[str, int] = defaultdict(int)
    for unit in graph.units:
        for path in reach(graph.needs, unit):
            readers[path] += 1
    found = [Hotspot(p, units, units * graph.sizes.get(p, 0)) for p, units in readers.items()]
    return tuple(sorted(found, key=lambda one: (-one.units, -one.bytes, one.file))[:most])


def components(graph: FileGraph) -> list[tuple[str, ...]]:
    """Return groups of files that need each other, each after what it needs (Tarjan's way)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    result: list[tuple[str, ...]] = []
    for root in sorted({*graph.needs, *graph.units}):
        if root in index:
            continue
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        work = [(root, iter(sorted(graph.needs.get(root, ()))))]
        while work:
            path, rest = work[-1]
            for one in rest:
                if one not in index:
                    index[one] = low[one] = len(index)
                    stack.append(one)
                    on_stack.add(one)
                    work.append((one, iter(sorted(graph.needs.get(one, ())))))
                    break
                if one in on_stack:
                    low[path] = min(low[path], index[one])
            else:
                work.pop()
                if work:
                    above = work[-1][0]
                    low[above] = min(low[above], low[path])
                if low[path] == index[path]:
                    group: list[str] = []
                    while not group or group[-1] != path:
                        group.append(stack.pop())
                        on_stack.discard(group[-1])
                    result.append(tuple(sorted(group)))
    return result


def cycles(graph: FileGraph) -> tuple[tuple[str, ...], ...]:
    """Return groups of files that include each other in a circle, the largest first."""
    found = [
        group
        for group in components(graph)
        if len(group) > 1 or group[0] in graph.needs.get(group[0], ())
    ]
    return tuple(sorted(found, key=lambda group: (-len(group), group)))


def order(graph: FileGraph) -> tuple[str, ...]:
    """Return all files so that each comes after those it includes, as far as there is no circle."""
    return tuple(path for group in components(graph) for path in group)
