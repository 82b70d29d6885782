"""Who is next: priority classes, round-robin between the builds of a class, FIFO inside a build.

Knows nothing of what waits, nor whether it could run now.

Theory of operation. An item waits in one or more *lanes*, a lane being a priority and a build: an
item that several builds want waits in the lane of each, so that it is served at the best of their
places and no build waits behind another one's backlog for an action they share. Serving removes it
from all lanes. A class is an ordered map of builds, the next one first; serving a build sends it to
the end. Every operation costs the number of lanes of the item, never the length of the queue.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from cyxmake_common.ids import BuildId

T = TypeVar("T")

Lane = tuple[int, BuildId]
"""A priority (lower is sooner) and a build."""

# Linked maps: taking the first of a plain dict over and over would walk its deleted entries.
_Items = OrderedDict[T, None]
_Builds = OrderedDict[BuildId, "_Items[T]"]


class FairQueue(Generic[T]):
    """Waiting items in the order they are to be served; items are told apart by hash."""

    __slots__ = ("_classes", "_lanes", "_priorities")

    def __init__(self) -> None:
        self._classes: dict[int, _Builds[T]] = {}
        self._priorities: list[int] = []
        self._lanes: dict[T, tuple[Lane, ...]] = {}

    def __repr__(self) -> str:
        builds = sum(map(len, self._classes.values()))
        return f"<FairQueue {len(self)} waiting, {builds} builds, priorities {self._priorities}>"

    def __len__(self) -> int:
        return len(self._lanes)

    def __contains__(self, item: T) -> bool:
        return item in self._lanes

    def __iter__(self) -> Iterator[T]:
        """Yield every waiting item once, in no promised order."""
        return iter(self._lanes)

    @property
    def best_priority(self) -> int:
        """The priority of the item to be served next; the queue must not be empty."""
        return self._priorities[0]

    def lanes(self, item: T) -> tuple[Lane, ...]:
        """Return the lanes in which an item waits."""
        return self._lanes.get(item, ())

    def push(self, item: T, lanes: Iterable[Lane], *, front: bool = False) -> None:
        """Add an item to the ends of its lanes, or to the front with its builds' turns next."""
        distinct = tuple(dict.fromkeys(lanes))
        self._lanes[item] = distinct
        for lane in distinct:
            self._enter(item, lane, front)

    def join(self, item: T, lane: Lane) -> None:
        """Let a waiting item wait in one more lane."""
        if lane not in self._lanes[item]:
            self._lanes[item] += (lane,)
            self._enter(item, lane, front=False)

    def leave(self, item: T, lane: Lane) -> None:
        """Take a waiting item out of one of its lanes; it must have another."""
        self._lanes[item] = tuple(kept for kept in self._lanes[item] if kept != lane)
        self._exit(item, lane)

    def remove(self, item: T) -> None:
        """Take a waiting item out of all its lanes."""
        for lane in self._lanes.pop(item):
            self._exit(item, lane)

    def pop(self) -> T:
        """Take out the item to be served next; the queue must not be empty."""
        builds = self._classes[self._priorities[0]]
        build, items = next(iter(builds.items()))
        item = next(iter(items))
        builds.move_to_end(build)
        self.remove(item)
        return item

    def _enter(self, item: T, lane: Lane, front: bool) -> None:
        priority, build = lane
        builds = self._classes.get(priority)
        if builds is None:
            builds = self._classes[priority] = OrderedDict()
            insort(self._priorities, priority)
        items = builds.get(build)
        if items is None:
            items = builds[build] = OrderedDict()
        items[item] = None
        if front:
            items.move_to_end(item, last=False)
            builds.move_to_end(build, last=False)

    def _exit(self, item: T, lane: Lane) -> None:
        priority, build = lane
        builds = self._classes[priority]
        items = builds[build]
        del items[item]
        if not items:
            del builds[build]
            if not builds:
                del self._classes[priority]
                del self._priorities[bisect_left(self._priorities, priority)]
