"""Where actions run: real decisions on imagined clusters, held against the same build alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyxmake_cli.cluster import race_events as ev
from cyxmake_cli.cluster.cost_model import CostModel, Link, Queue, Rate
from cyxmake_cli.cluster.racing import Racing
from support.race_track import Course, Run, alone

SLOW = Course([], round_trip=0.1, bytes_per_second=10e6 / 8)


def test_a_fast_cluster_is_used() -> None:
    """With eight slots on a fast line two cores and the cluster share the work by their numbers."""
    course = Course([1.0] * 100, slots=8)
    took = Run(course).drive()
    assert took < alone(course) / 3.5  # ten slots for two, less what begins and ends it


def test_a_slow_cluster_costs_nothing() -> None:
    """100 ms and 10 Mbit/s away, a compiler of 100 MB to send: never 5 % slower than alone."""
    for count in (2, 10, 40, 200):
        course = replace(SLOW, seconds=[1.0] * count, slots=2, tools_bytes=100_000_000)
        run = Run(course)
        assert run.drive() <= alone(course) * 1.05 + 0.2
        assert run.shipped == (count == 200)  # 33 s for 20, 100 s


def test_a_warm_cluster_without_workers_is_no_slower() -> None:
    """A line far slower than believed, hits of 3 MB: idle cores make what does not come."""
    for slots in (0, 2):
        course = Course(
            [1.0] * 50, 8, 0, slots, 0.125, 50e3, 1.0, 3_000_000, joins_at=0.0, known=True
        )
        assert Run(course).drive() <= alone(course) + 4


def test_a_worker_here_behind_a_slow_line_gets_little() -> None:
    """What it really cost to have results made near and brought over the line is what counts."""
    course = Course([1.0] * 14, 1, 0, 2, 0.125, 50e3, 0.3, 723_788, joins_at=1.0, known=False)
    run = Run(course)
    assert run.drive() <= alone(course) + 3
    assert len(run.there) <= 2


def test_a_warm_slow_cluster_is_no_slower() -> None:
    """Results of 1 MB over 10 Mbit/s: what this machine makes sooner than it fetches is made."""
    course = replace(SLOW, seconds=[1.0] * 60, hits=1.0, result_bytes=1_000_000)
    run = Run(course)
    assert run.drive() <= alone(course) * 0.85  # both together beat either
    assert run.racing.totals.hits > 10
    assert run.racing.totals.won_here > 10


def test_a_cluster_of_our_own_cores_is_hardly_used() -> None:
    """A worker on the same cores gets what is worth caching, and the build takes 5 % more."""
    course = Course([1.0] * 100, slots=0, near_slots=2, joins_at=0.0)
    run = Run(course, await_own=True)
    took = run.drive()
    assert took <= alone(course) * 1.05 + 1.5
    assert 10 < len(run.there) < 70


def test_a_small_build_is_cached_whole() -> None:
    """A build of a few seconds on its own cluster leaves every result in its cache."""
    run = Run(Course([0.5] * 8, slots=0, near_slots=2, joins_at=1.5), await_own=True)
    run.drive()
    assert not run.here


def test_eager_sends_everything() -> None:
    """When the cluster is asked for, nothing that can go there runs here."""
    run = Run(replace(SLOW, seconds=[1.0] * 20), eager=True)
    run.drive()
    assert not run.here
    assert run.racing.totals.there == 20


def test_what_was_sent_waits_for_the_coordinator() -> None:
    """A coordinator that is back in three seconds: what it had is not done here as well."""
    course = Course([1.0] * 40, slots=4, leaves_at=2.0, comes_back_at=5.0)
    run = Run(course)
    assert run.drive() < alone(course)
    waited = {name for name, sent in run.there.items() if sent < 2}
    assert waited
    assert all(run.here.get(name, 9) > 6 for name in waited)


def test_a_lost_coordinator_costs_no_build() -> None:
    """One that never comes back: what it had is done here after ten seconds."""
    course = Course([1.0] * 40, slots=4, leaves_at=2.0)
    run = Run(course)
    assert run.drive() <= alone(course) * 1.05 + 1
    assert all(run.ended.values()) or run.racing.totals.there <= 8


def test_a_stuck_worker_is_overtaken() -> None:
    """Idle cores begin what the cluster does not finish, and count who was first."""
    racing = Racing(ev.Rules(cores=1))
    racing.handle(ev.Joined(Link(0.001), slots=4), 0.0)
    racing.handle(ev.Tools("gcc", 0), 0.0)
    racing.handle(ev.Wanted("busy", 9, 5.0), 0.0)
    assert racing.handle(ev.Missed("busy", "gcc"), 0.0) == [
        ev.RunHere("busy", ev.Here.SOONER, "5.0 s here, 5.0 s in the cluster")
    ]
    racing.handle(ev.Wanted("a", 1, 1.0), 0.0)
    assert racing.handle(ev.Missed("a", "gcc"), 0.0) == [ev.Send("a")]
    racing.handle(ev.Executing("a", "w1"), 0.1)
    assert racing.handle(ev.Ended("busy", True, 5.0), 1.5) == []  # overdue, but by too little
    assert racing.handle(ev.Tick(), 4.0) == [
        ev.RunHere("a", ev.Here.SLOW, "3.0 s left there, 1.0 s here")
    ]
    racing.handle(ev.Ended("a", True, 1.0), 5.0)
    assert (racing.totals.won_here, racing.totals.regret) == (1, 5.0)


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 60),
    each=st.floats(0.05, 4.0),
    cores=st.integers(1, 8),
    slots=st.integers(0, 16),
    near=st.booleans(),
    round_trip=st.floats(0.0005, 0.5),
    bandwidth=st.floats(50e3, 100e6),
    hits=st.sampled_from([0.0, 0.3, 1.0]),
    result=st.integers(1_000, 3_000_000),
    tools=st.sampled_from([0, 1_000_000, 100_000_000]),
    joins_at=st.floats(0.0, 5.0),
    leaves_at=st.none() | st.floats(5.1, 20.0),
    known=st.booleans(),
)
def test_never_much_slower_than_alone(
    count: int, each: float, cores: int, slots: int, near: bool, round_trip: float,
    bandwidth: float, hits: float, result: int, tools: int, joins_at: float,
    leaves_at: float | None, known: bool,
) -> None:  # fmt: skip
    """Whatever the cluster is like, a build ends, and takes little longer than without it."""
    course = Course(
        [each] * count, cores, slots, 2 if near else 0, round_trip, bandwidth, hits, result,
        tools_bytes=tools, joins_at=joins_at, leaves_at=leaves_at, known=known,
    )  # fmt: skip
    took = Run(course).drive()
    lost = 12 if leaves_at is not None else 0  # ten seconds for the coordinator to come back
    caching = 1.6 + each if near else 0  # what results may cost that are only made to be kept
    assert took <= alone(course) * 1.05 + 0.7 * each + 0.5 + caching + lost


def test_a_rate_is_what_was_transferred() -> None:
    """Transfers at the same time count once; a guess is outweighed by what is seen."""
    rate = Rate(50e6)
    rate.begin(0.0)
    rate.begin(0.0)
    rate.end(4.0, 2_000_000)
    rate.end(4.0, 2_000_000)
    assert rate.value == pytest.approx(1e6, rel=0.1)
    rate.begin(100.0)  # the pause before counts for nothing
    rate.end(101.0, 1_000_000)
    assert rate.value == pytest.approx(1e6, rel=0.1)


def test_a_prediction_counts_the_line() -> None:
    """What is under way before an action, and its own bytes, are part of its time."""
    fast, slow = CostModel(Link(0.001), 4), CostModel(Link(0.1), 4)
    assert fast.there(1.0) < 1.1
    assert slow.there(1.0) > 1.4
    assert slow.there(1.0, Queue(sent=40)) > 5
    assert not slow.shipping_pays(100_000_000, 60.0, 2)
    assert slow.shipping_pays(100_000_000, 600.0, 2)
