"""A build in virtual time: the real decisions, imagined cores, line and workers.

Knows nothing of how it is decided. The line carries one thing after the other; a race is over with
its first result, and frees what the other run held.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from cyxmake_cli.cluster import race_events as ev
from cyxmake_cli.cluster.cost_model import PACKED, Link
from cyxmake_cli.cluster.racing import Racing

_TICK = 0.1


@dataclass(frozen=True)
class Course:
    """What a build meets: seconds of its commands, and the cluster's slots and line."""

    seconds: Sequence[float]
    cores: int = 2
    slots: int = 4
    near_slots: int = 0
    round_trip: float = 0.001
    bytes_per_second: float = 50e6
    hits: float = 0.0
    result_bytes: int = 100_000
    input_bytes: int = 20_000
    tools_bytes: int = 0
    joins_at: float = 0.5
    leaves_at: float | None = None
    comes_back_at: float | None = None
    near_cost: float = 0.15
    known: bool = True


@dataclass
class _Line:
    free_at: float = 0.0

    def carry(self, now: float, size: float, rate: float) -> float:
        self.free_at = max(self.free_at, now) + size / rate
        return self.free_at


@dataclass
class Run:
    """One build as it went; `here` and `there` are the actions that were begun, and when."""

    course: Course
    eager: bool = False
    await_own: bool = False
    now: float = 0.0
    here: dict[str, float] = field(default_factory=dict)
    there: dict[str, float] = field(default_factory=dict)
    ended: dict[str, bool] = field(default_factory=dict)
    shipped: bool = False

    def __post_init__(self) -> None:
        rules = ev.Rules(self.course.cores, eager=self.eager, await_own=self.await_own)
        self.racing = Racing(rules)
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = count()
        self._up, self._down = _Line(), _Line()
        self._queue: list[str] = []
        self._busy: set[str] = set()
        self._cluster = False
        self._looking: list[str] = []
        self._coming: list[str] = []

    def drive(self) -> float:
        """Build everything; return the seconds it took."""
        course = self.course
        for number, seconds in enumerate(course.seconds):
            name = str(number)
            self._looking.append(name)
            rank = sum(course.seconds) - number
            self.feed(ev.Wanted(name, rank, seconds if course.known else None))
        self.at(course.joins_at, self._join)
        if course.leaves_at is not None:
            self.at(course.leaves_at, self._lose)
        self.at(_TICK, self._tick)
        while len(self.ended) < len(course.seconds):
            assert self._agenda, f"stuck: {self.racing!r}"
            self.now, _, deed = heapq.heappop(self._agenda)
            assert self.now < 10_000, f"never ends: {self.racing!r}"
            deed()
        return self.now

    def at(self, when: float, deed: Callable[[], None]) -> None:
        """Do something at a time."""
        heapq.heappush(self._agenda, (when, next(self._serial), deed))

    def feed(self, event: ev.Event) -> None:
        """Tell the core what happens, and do what it decides."""
        for effect in self.racing.handle(event, self.now):
            match effect:
                case ev.RunHere(name):
                    assert name not in self.ended
                    assert name not in self.here, f"{name} begun here twice"
                    self.here[name] = self.now
                    busy = len(self.here.keys() - self.ended.keys())
                    assert busy <= self.course.cores, "more here than there are cores"
                    self.at(self.now + self._seconds(name), partial(self._end, name, True))
                case ev.Send(name):
                    self.there[name] = self.now
                    self.racing.model.link.up.begin(self.now)
                    sent = self._up.carry(self.now, self.course.input_bytes, self._rate)
                    self.at(sent, self._uploaded)
                    trips = 3 * self.course.round_trip
                    self.at(sent + trips, partial(self._arrive, name))
                case ev.Ship(tools):
                    self.shipped = True
                    size = self.course.tools_bytes * PACKED
                    self.racing.model.link.up.begin(self.now)
                    done = self._up.carry(self.now, size, self._rate)
                    self.at(done, partial(self._ship, tools, int(size)))
                case ev.StopShipping():
                    self._up.free_at = self.now

    @property
    def _rate(self) -> float:
        return self.course.bytes_per_second

    def _seconds(self, name: str) -> float:
        return self.course.seconds[int(name)]

    def _tick(self) -> None:
        self.feed(ev.Tick())
        self.at(self.now + _TICK, self._tick)

    def _uploaded(self) -> None:
        self.racing.model.link.up.end(self.now, self.course.input_bytes)
        self.racing.model.uploaded(self.course.input_bytes)

    def _ship(self, tools: str, size: int) -> None:
        self.racing.model.link.up.end(self.now, size)
        self.feed(ev.Tools(tools, 0))

    # ── the cluster ─────────────────────────────────────────────────────────────────────────────

    def _join(self) -> None:
        course = self.course
        self._cluster = True
        link = Link(course.round_trip)
        self.feed(ev.Joined(link, course.slots, course.near_slots, frozenset({"near"})))
        for name in self._looking:
            self.at(self.now + course.round_trip, partial(self._answer, name))
        self._looking = []
        self.at(self.now + 2 * course.round_trip, lambda: self.feed(
            ev.Tools("gcc", course.tools_bytes)))  # fmt: skip

    def _lose(self) -> None:
        self._cluster = False
        self.feed(ev.Away())
        if self.course.comes_back_at is not None:
            self.at(self.course.comes_back_at, self._come_back)

    def _come_back(self) -> None:
        self._cluster = True
        course = self.course
        link = Link(course.round_trip)
        self.feed(ev.Joined(link, course.slots, course.near_slots, frozenset({"near"})))
        self._fill()

    def _answer(self, name: str) -> None:
        if name in self.ended:
            return
        if int(name) < self.course.hits * len(self.course.seconds):
            self._bring(name, hit=True)
        else:
            self.feed(ev.Missed(name, "gcc"))

    def _arrive(self, name: str) -> None:
        if name not in self.ended:
            self._queue.append(name)
            self._fill()

    def _fill(self) -> None:
        slots = self.course.slots + self.course.near_slots
        while self._cluster and self._queue and len(self._busy) < slots:
            name = self._queue.pop(0)
            if name in self.ended:
                continue
            self._busy.add(name)
            worker = "far" if self.course.slots else "near"
            self.feed(ev.Executing(name, worker))
            more = 0.0 if self.course.slots else self.course.near_cost
            self.at(self.now + self._seconds(name) + more, partial(self._done, name))

    def _done(self, name: str) -> None:
        self._busy.discard(name)
        if name not in self.ended:
            if self._cluster:
                self._bring(name, hit=False)
            else:
                self.at(self.now + 1, lambda: self._done(name))  # kept until somebody asks
        self._fill()

    def _bring(self, name: str, *, hit: bool) -> None:
        self._coming.append(name)
        self.racing.model.link.down.begin(self.now)
        self.feed(ev.Coming(name, self.course.result_bytes, hit, self._seconds(name)))
        self._fetch()

    def _fetch(self) -> None:
        """Let the next result come that is still wanted, when the line is free."""
        while self._coming and self._down.free_at <= self.now:
            name, size = self._coming.pop(0), self.course.result_bytes
            down = self.racing.model.link.down
            if name in self.ended:
                down.end(self.now, 0)
                continue
            here = self._down.carry(self.now, size, self._rate) + self.course.round_trip

            self.at(here, partial(self._fetched, name))
            self.at(self._down.free_at, self._fetch)

    def _fetched(self, name: str) -> None:
        down = self.racing.model.link.down
        down.end(self.now, self.course.result_bytes, self.course.round_trip)
        self._end(name, False)

    def _end(self, name: str, here: bool) -> None:
        if name not in self.ended:
            self.ended[name] = here
            self._busy.discard(name)
            self.feed(ev.Ended(name, here, self._seconds(name)))
            self._fill()


def alone(course: Course) -> float:
    """Return what the same build takes on this machine's cores and nothing else."""
    free = [0.0] * course.cores
    for seconds in course.seconds:
        heapq.heappush(free, heapq.heappop(free) + seconds)
    return max(free)
