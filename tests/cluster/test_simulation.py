"""The scheduler core with simulated workers in virtual time: whatever happens, everything ends."""

from __future__ import annotations

import pytest

from cyxmake_common.digest import Digest
from cyxmake_common.outcome import Cause, OutcomeKind
from cyxmake_coordinator.simulate.cluster import Cluster
from cyxmake_coordinator.simulate.machine import Model, Weather

FINE = Weather(until=0.0)
CRASHES = Weather(crash_every=1.5)
CUTS = Weather(cut_every=1.0, freeze_every=3.0)
LOSSES = Weather(lost_messages=0.1)
EVERYTHING = Weather(
    lost_messages=0.05,
    crash_every=4.0,
    cut_every=3.0,
    freeze_every=6.0,
    failing=0.1,
    refusing=0.1,
    cancelling=0.1,
)


def cluster(
    seed: int, weather: Weather, *, workers: int = 8, operations: int = 250, check_every: int = 1
) -> Cluster:
    """Return a cluster with operations to come over half a minute, many of them equal."""
    made = Cluster(seed, weather, check_every=check_every)
    for _ in range(workers):
        slots, speed = made.random.choice([1, 2, 4]), made.random.uniform(0.3, 3)
        made.add_worker(Model(slots, speed))

    for number in range(operations):
        # Waves, as of builds that start: a queue forms, drains, and forms again.
        when = made.random.choice([0.0, 5.0, 15.0]) + made.random.uniform(0, 3)
        client = made.random.randrange(6)
        action = f"action {made.random.randrange(operations)}"
        made.submit_later(when, number, client=client, action=action, root=f"root {client}")
    made.after(16.0, lambda: made.leave(0))
    return made


def check_the_end(made: Cluster) -> None:
    """Check that everything ended, and that every verdict is one that a worker gave."""
    missing = made.accepted.keys() - made.completed.keys()
    assert not missing, made.core.operation_story(next(iter(missing)))
    state = made.core.state
    assert not (state.operations or state.waiting or state.flights or state.orphans)
    assert len(made.accepted) + len(made.rejected) == state.totals.submitted
    for done in made.completed.values():
        assert done.attempts <= 3
        if done.outcome.kind is OutcomeKind.TOOL:
            assert done.worker is not None
            assert done.action in made.workers[done.worker].verdicts


@pytest.mark.parametrize("seed", range(2))
def test_fine_weather(seed: int) -> None:
    """Nothing is lost, tried twice, or run twice."""
    made = cluster(seed, FINE)
    made.run()
    check_the_end(made)
    kinds = {done.outcome.kind for done in made.completed.values()}
    assert kinds <= {OutcomeKind.TOOL, OutcomeKind.CANCELLED}
    assert {done.attempts for done in made.completed.values()} <= {0, 1}
    assert made.core.state.totals.retried == 0


@pytest.mark.parametrize("weather", [CRASHES, CUTS, LOSSES, EVERYTHING])
@pytest.mark.parametrize("seed", range(3))
def test_bad_weather(seed: int, weather: Weather) -> None:
    """Kills, cuts, freezes, lost messages, failures: every operation ends exactly once."""
    made = cluster(seed, weather)
    made.run()
    check_the_end(made)
    totals = made.core.state.totals
    assert totals.retried > 0
    assert totals.completed[OutcomeKind.TOOL] > 100


def test_reconnecting_workers_keep_their_work() -> None:
    """Cuts alone lead to adopted leases."""
    made = cluster(1, CUTS)
    made.run()
    assert made.core.state.totals.adopted > 0


def test_poison_is_contained() -> None:
    """An action that kills its workers is given up; the rest of the build is done."""
    poison = Digest.of(b"poison")
    made = cluster(3, Weather(poison=frozenset({poison}), until=0.0))
    made.submit_later(4.0, 9999, client=1, action="poison", root="root 1")
    made.run()
    check_the_end(made)
    (bad,) = [name for name, action in made.accepted.items() if action == poison]
    outcome = made.completed[bad].outcome
    assert (outcome.kind, outcome.cause) == (OutcomeKind.AMBIGUOUS, Cause.WORKER_LOST)
    others = [done for name, done in made.completed.items() if name != bad]
    assert all(d.outcome.kind in (OutcomeKind.TOOL, OutcomeKind.CANCELLED) for d in others)


def test_the_same_seed_gives_the_same_run() -> None:
    """A failing run can be repeated: nothing depends on hashing or on the clock."""
    first, second = cluster(5, EVERYTHING), cluster(5, EVERYTHING)
    first.run()
    second.run()
    assert first.completed == second.completed
    assert (first.events, first.now) == (second.events, second.now)


def test_a_large_cluster() -> None:
    """Two hundred workers and crashes; the invariants are looked at now and then."""
    made = cluster(7, CRASHES, workers=200, operations=3000, check_every=500)
    made.run()
    check_the_end(made)
    assert made.core.state.totals.completed[OutcomeKind.TOOL] > 2500
