"""Who is next: priority classes, users and their builds by what they have had, then the urgent.

Knows nothing of what waits, nor whether it could run now.

Theory of operation. An item waits in one or more *lanes*, a lane being a priority, a user and a
build: an item that several builds want waits in the lane of each, so that it is served at the best
of their places and no build waits behind another one's backlog for an action they share. Serving
removes it from all lanes. Of a class the user served least is next, of the user the build served
least, of the build the item with the earliest deadline, then the highest rank, then the oldest.
What waited before and came back goes before all that. Classes are strict, but one service in
sixteen goes to each class in turn, so that none starves. An item's cost is logarithmic in its lane.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf
from typing import Final, Generic, NamedTuple, TypeVar

from cyxmake_common.ids import BuildId
from cyxmake_coordinator.core.shares import Account, Payer

T = TypeVar("T")

_EVERY: Final = 16
"""One service in so many is for a class that is not the most urgent."""


class Lane(NamedTuple):
    """Where an item waits; a lower priority is sooner."""

    priority: int
    user: str
    build: BuildId


class Urgency(NamedTuple):
    """What puts an item before others of its build: the smallest is first."""

    deadline: float = inf
    rank: float = 0.0
    """The negated upward rank: seconds of work that cannot end before this item has."""


Blocked = Callable[[str], bool]
"""Whether a user may get nothing now."""


class _Line(Generic[T]):
    """The items of one lane by urgency; those taken out of the middle are skipped later."""

    __slots__ = ("_heap", "_live")

    def __init__(self) -> None:
        self._heap: list[tuple[Urgency, int, T]] = []
        self._live: dict[T, int] = {}

    def __len__(self) -> int:
        return len(self._live)

    def add(self, item: T, urgency: Urgency, serial: int) -> None:
        self._live[item] = serial
        heappush(self._heap, (urgency, serial, item))

    def discard(self, item: T) -> None:
        del self._live[item]

    def first(self) -> T:
        while True:
            _, serial, item = self._heap[0]
            if self._live.get(item) == serial:
                return item
            heappop(self._heap)


@dataclass(frozen=True, slots=True)
class Served(Generic[T]):
    """An item whose turn it is, the lane it was served from, and who pays for it."""

    item: T
    lane: Lane
    payer: Payer


@dataclass(slots=True, eq=False)
class _Builds(Generic[T]):
    """The lanes of one user in one class."""

    account: Account
    lines: dict[BuildId, tuple[Account, _Line[T]]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Class(Generic[T]):
    """What waits in one priority."""

    front: OrderedDict[T, list[Lane]] = field(default_factory=OrderedDict)
    users: dict[str, _Builds[T]] = field(default_factory=dict)


class FairQueue(Generic[T]):
    """Waiting items in the order they are to be served; items are told apart by hash."""

    __slots__ = ("_classes", "_group", "_lanes", "_priorities", "_serial", "_served", "_weight")

    def __init__(
        self, group: Account | None = None, weight: Callable[[str], float] = lambda _: 1.0
    ) -> None:
        self._group = group if group is not None else Account()
        self._weight = weight
        self._classes: dict[int, _Class[T]] = {}
        self._priorities: list[int] = []
        self._lanes: dict[T, tuple[Lane, ...]] = {}
        self._serial = 0
        self._served = 0

    def __repr__(self) -> str:
        users = {user for kind in self._classes.values() for user in kind.users}
        return f"<FairQueue {len(self)} waiting, {len(users)} users, priorities {self._priorities}>"

    def __len__(self) -> int:
        return len(self._lanes)

    def __contains__(self, item: T) -> bool:
        return item in self._lanes

    def __iter__(self) -> Iterator[T]:
        """Yield every waiting item once, in no promised order."""
        return iter(self._lanes)

    def lanes(self, item: T) -> tuple[Lane, ...]:
        """Return the lanes in which an item waits."""
        return self._lanes.get(item, ())

    def push(
        self,
        item: T,
        lanes: Iterable[Lane],
        urgency: Urgency = Urgency(),  # noqa: B008 (it never changes)
        *,
        front: bool = False,
    ) -> None:
        """Add an item to its lanes, or before everything else of its priorities."""
        distinct = tuple(dict.fromkeys(lanes))
        self._lanes[item] = distinct
        for lane in distinct:
            if front:
                waiting = self._class(lane.priority).front
                waiting.setdefault(item, []).append(lane)
                waiting.move_to_end(item, last=False)
            else:
                self._enter(item, lane, urgency)

    def join(self, item: T, lane: Lane, urgency: Urgency = Urgency()) -> None:  # noqa: B008
        """Let a waiting item wait in one more lane."""
        if lane not in self._lanes[item]:
            self._lanes[item] += (lane,)
            self._enter(item, lane, urgency)

    def leave(self, item: T, lane: Lane) -> None:
        """Take a waiting item out of one of its lanes; it must have another."""
        self._lanes[item] = tuple(kept for kept in self._lanes[item] if kept != lane)
        self._exit(item, lane)

    def remove(self, item: T) -> None:
        """Take a waiting item out of all its lanes."""
        for lane in self._lanes.pop(item):
            self._exit(item, lane)

    def pop(self, blocked: Blocked | None = None) -> Served[T] | None:
        """Take out the item to be served next, if there is one of a user who is not blocked.

        The payer is for the caller to charge.
        """
        found = self._next(blocked)
        if found is None:
            return None
        item, lane = found
        payer = user, build = self.payer(lane)
        if item not in self._classes[lane.priority].front:
            self._group.turn_of(user)
            user.turn_of(build)
        self._served += 1
        self.remove(item)
        return Served(item, lane, payer)

    def payer(self, lane: Lane) -> Payer:
        """Return who pays for what is served from a lane."""
        user = self._group.member(lane.user, self._weight(lane.user))
        return user, user.member(lane.build)

    def urgency(self, blocked: Blocked | None = None) -> tuple[int, float] | None:
        """Return the priority of what is next and what its user has had; the smallest is first."""
        found = self._next(blocked)
        if found is None:
            return None
        item, lane = found
        if item in self._classes[lane.priority].front:
            return lane.priority, -inf
        return lane.priority, self._group.members[lane.user].served

    def _next(self, blocked: Blocked | None) -> tuple[T, Lane] | None:
        for priority in self._order():
            kind = self._classes[priority]
            for item, lanes in kind.front.items():
                for lane in lanes:
                    if blocked is None or not blocked(lane.user):
                        return item, lane
            users = [
                (builds.account.served, user)
                for user, builds in kind.users.items()
                if blocked is None or not blocked(user)
            ]
            if users:
                user = min(users)[1]
                lines = kind.users[user].lines
                build = min(lines, key=lambda build: (lines[build][0].served, build))
                return lines[build][1].first(), Lane(priority, user, build)
        return None

    def _order(self) -> list[int]:
        turn, rest = divmod(self._served + 1, _EVERY)
        if rest or len(self._priorities) < 2:
            return self._priorities
        chosen = self._priorities[turn % len(self._priorities)]
        return [chosen, *(other for other in self._priorities if other != chosen)]

    def _class(self, priority: int) -> _Class[T]:
        kind = self._classes.get(priority)
        if kind is None:
            kind = self._classes[priority] = _Class()
            insort(self._priorities, priority)
        return kind

    def _enter(self, item: T, lane: Lane, urgency: Urgency) -> None:
        kind = self._class(lane.priority)
        if item in kind.front:
            kind.front[item].append(lane)
            return
        builds = kind.users.get(lane.user)
        if builds is None:
            account = self._group.member(lane.user, self._weight(lane.user))
            account.waiting += 1
            builds = kind.users[lane.user] = _Builds(account)
        found = builds.lines.get(lane.build)
        if found is None:
            account = builds.account.member(lane.build)
            account.waiting += 1
            found = builds.lines[lane.build] = account, _Line()
        self._serial += 1
        found[1].add(item, urgency, self._serial)

    def _exit(self, item: T, lane: Lane) -> None:
        kind = self._classes[lane.priority]
        if item in kind.front:
            kind.front[item].remove(lane)
            if not kind.front[item]:
                del kind.front[item]
        else:
            self._leave_line(kind, item, lane)
        if not kind.front and not kind.users:
            del self._classes[lane.priority]
            del self._priorities[bisect_left(self._priorities, lane.priority)]

    def _leave_line(self, kind: _Class[T], item: T, lane: Lane) -> None:
        builds = kind.users[lane.user]
        account, line = builds.lines[lane.build]
        line.discard(item)
        if not line:
            account.waiting -= 1
            del builds.lines[lane.build]
            if not builds.lines:
                builds.account.waiting -= 1
                del kind.users[lane.user]
