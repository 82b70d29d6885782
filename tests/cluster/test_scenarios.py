"""What the scheduler promises, held against simulated builds with the real core."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from cyxmake_common.errors import UsageError
from cyxmake_coordinator.core.placement import ALGORITHMS
from cyxmake_coordinator.core.settings import Settings
from cyxmake_coordinator.main import cli
from cyxmake_coordinator.simulate.machine import Model, Weather
from cyxmake_coordinator.simulate.run import Playing
from cyxmake_coordinator.simulate.scenario import Scenario, simulate_text
from cyxmake_coordinator.simulate.workload import (
    Build,
    Step,
    critical_path,
    flat,
    lognormal,
    project,
    read_recording,
    recorded_durations,
    work,
)

NEAR = Model(8, latency=0.002)
SECONDS = lognormal(Random(1), 1.5, 0.6)
MEAN = sum(SECONDS) / len(SECONDS)


def steps(count: int, seed: int = 1, factor: float = 1.0) -> tuple[Step, ...]:
    """Return steps that do not need each other."""
    return flat(Random(seed), [seconds * factor for seconds in SECONDS], count)


def test_a_build_is_as_short_as_it_can_be() -> None:
    """Within a twentieth of the bounds, with the recorded durations of a real build."""
    scenario = Scenario(workers=40, slots=16, speed=0.1, actions=8_000)
    measures = scenario.play("weighted-locality")
    assert measures.actions == 8_000
    assert measures.stretch <= 1.05
    assert measures.totals.retried == 0


def test_losing_workers_costs_little() -> None:
    """One in twenty is lost, half of them without a word."""
    scenario = Scenario(workers=20, slots=16, speed=0.1, actions=8_000, failing=0.05)
    measures = scenario.play("weighted-locality")
    assert measures.totals.workers_left == 1
    assert measures.totals.retried > 0
    assert measures.stretch <= 1.15


@pytest.mark.load
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("failing", "limit"), [(0.0, 1.05), (0.05, 1.15)])
def test_a_thousand_workers(failing: float, limit: float) -> None:
    """Sixteen thousand slots, two hundred thousand actions, 150 µs of the scheduler for each."""
    scenario = Scenario(1_000, 16, speed=0.1, actions=200_000, failing=failing)
    measures = scenario.play("weighted-locality")
    assert measures.actions == 200_000
    assert measures.stretch <= limit
    assert measures.core_micros <= 150


def test_three_users_share_the_time() -> None:
    """A third each under saturation, though the actions of one are three times as long."""
    builds = [
        Build("ann", steps(1_500)),
        Build("bob", steps(1_500)),
        Build("eve", steps(500, factor=3.0)),
    ]
    measures = Playing(1, builds, [NEAR] * 4).play()
    for _, share in measures.shares:
        assert share == pytest.approx(1 / 3, rel=0.1)


def test_weights_are_kept() -> None:
    """A user of weight two gets twice as much as another."""
    builds = [Build("ci", steps(1_500)), Build("ann", steps(1_000))]
    settings = Settings(user_weights={"ci": 2.0})
    measures = Playing(1, builds, [NEAR] * 4, settings=settings).play()
    assert dict(measures.shares)["ci"] == pytest.approx(2 / 3, rel=0.1)


@pytest.mark.parametrize("user", ["ann", "bob"])
def test_a_small_build_does_not_wait_for_a_large_one(user: str) -> None:
    """Five steps beside five thousand begin within two lengths of an action, whoever asks."""
    builds = [Build("ann", steps(5_000)), Build(user, steps(5, seed=2), at=20.0)]
    measures = Playing(1, builds, [NEAR] * 8).play()
    assert measures.build_waits[1] < 2 * MEAN
    assert measures.build_waits[0] > 20 * MEAN


def test_the_tail_is_hedged() -> None:
    """Runs that take ten times as long are overtaken; without second runs the build waits."""
    spans = []
    for share in (0.0001, 0.1):
        playing = Playing(
            4,
            [Build("ann", steps(1_000))],
            [NEAR] * 8,
            settings=Settings(hedge_share=share, hedge_least=0.1 if share > 0.01 else 1e9),
            weather=Weather(until=0.0, straggling=0.01),
        )
        spans.append(playing.play())
    alone, hedged = spans
    assert alone.totals.hedged == 0
    assert hedged.totals.hedges_won > 0
    assert hedged.makespan - hedged.bound < 0.5 * (alone.makespan - alone.bound)


def test_a_restart_of_the_coordinator_loses_no_work() -> None:
    """Workers go on, clients ask again, both meet; little is run twice."""
    playing = Playing(1, [Build("ann", steps(2_000))], [NEAR] * 16, check_every=200)
    playing.after(8.0, playing.restart_coordinator)
    measures = playing.play()
    assert measures.actions == 2_000
    assert measures.totals.resumed > 64
    twice = sum(playing.runs.values()) - len(playing.runs)
    assert twice <= 0.05 * 2_000
    assert measures.stretch < 1.25


def test_a_lying_worker_is_quarantined() -> None:
    """One whose results differ is found by audits, and gets nothing more but tests."""
    fleet = [NEAR, NEAR, NEAR, Model(8, latency=0.002, liar=True)]
    settings = Settings(audit_every=5)
    builds = [Build("ann", steps(30)), Build("ann", steps(300), at=60.0)]
    playing = Playing(1, builds, fleet, settings=settings, check_every=50)
    measures = playing.play()
    conditions = [worker.condition for worker in playing.core.state.workers.values()]
    assert conditions == ["ready", "ready", "ready", "quarantined"]
    assert measures.totals.quarantined == 1
    assert measures.totals.readmitted == 0


@pytest.mark.parametrize("placement", ALGORITHMS)
def test_every_algorithm_ends_every_build(placement: str) -> None:
    """On uneven machines that fail; the invariants hold all the time."""
    scenario = Scenario(workers=6, slots=4, actions=120, users=2, uneven=True, failing=0.2)
    measures = scenario.play(placement, check_every=10)
    assert measures.actions == 120


def test_inputs_go_to_few_machines_when_locality_counts() -> None:
    """A build that one machine can hold does not make all machines fetch its inputs."""
    fetched = {}
    for placement in ("round-robin", "weighted-locality"):
        builds = [Build(f"u{n}", steps(6, seed=n), input_bytes=1e6) for n in range(8)]
        settings = Settings(placement=placement)
        measures = Playing(1, builds, [NEAR] * 16, settings=settings).play()
        fetched[placement] = measures.fetched_bytes
    assert fetched["weighted-locality"] < 0.6 * fetched["round-robin"]


def test_fast_machines_get_more() -> None:
    """Measured speed makes a mixed fleet faster than a blind choice does."""
    fleet = [Model(4, speed=2.0), Model(4, speed=0.5)] * 4
    spans = {}
    for placement in ("random", "weighted"):
        builds = [Build("ann", steps(16, seed=n), at=6.0 * n) for n in range(20)]
        settings = Settings(placement=placement)
        measures = Playing(1, builds, fleet, settings=settings).play()
        spans[placement] = sum(measures.build_spans)
    assert spans["weighted"] < 0.8 * spans["random"]


# ── what is played ──────────────────────────────────────────────────────────────────────────────


def test_bounds_and_ranks() -> None:
    """The longest chain, from each step to the end."""
    chain = (Step(1.0), Step(2.0), Step(3.0, (0, 1)), Step(0.5, (0,)), Step(4.0, (2,)))
    build = Build("ann", chain, at=10.0)
    assert build.ranks() == [8.0, 9.0, 7.0, 0.5, 4.0]
    assert work([build]) == 10.5
    assert critical_path([build]) == 19.0


def test_a_project_has_layers() -> None:
    """Compiles need nothing, every one is needed by a library, every library by a program."""
    made = project(Random(1), recorded_durations(), 1_000)
    assert len(made) == 1_000
    needed = [need for step in made for need in step.needs]
    assert sorted(needed) == list(range(995))
    assert sum(not step.needs for step in made) == 955


def test_a_ninja_log_is_played(tmp_path: Path) -> None:
    """The last duration of each output counts."""
    log = tmp_path / ".ninja_log"
    log.write_text("# ninja log v6\n0\t900\t0\ta.o\tx\n0\t500\t0\ta.o\tx\n0\t2000\t0\tb.o\tx\n")
    assert read_recording(log) == (Step(0.5), Step(2.0))
    measures = Scenario(workers=1, slots=2, recording=log).play("least-loaded")
    assert measures.makespan == pytest.approx(2.0, abs=0.1)


def test_a_graph_is_played(tmp_path: Path) -> None:
    """JSON says what needs what."""
    recording = tmp_path / "build.json"
    recording.write_text('[{"seconds": 1}, {"seconds": 2.5, "needs": [0]}]')
    assert read_recording(recording) == (Step(1.0), Step(2.5, (0,)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '[{"needs": []}]',
        '[{"seconds": -1}]',
        '[{"seconds": 1, "needs": [0]}]',
        "# ninja log v6\nnonsense\n",
        "# ninja log v6\n",
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, text: str) -> None:
    """With a sentence and a next step."""
    path = tmp_path / "log"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_recording(path)
    assert caught.value.next_step


# ── the command ─────────────────────────────────────────────────────────────────────────────────


def test_the_same_seed_prints_the_same() -> None:
    """All but the processor time."""
    scenario = Scenario(workers=4, slots=4, actions=100, uneven=True, users=2)
    first, second = (simulate_text(scenario, "all", as_json=False) for _ in range(2))
    assert first == second
    assert all(name in first for name in ALGORITHMS)


def test_the_command_reports() -> None:
    """In words or as JSON."""
    small = ["simulate", "--workers", "2", "--actions", "50", "--users", "2"]
    text = CliRunner().invoke(cli, small).output
    assert "50 actions in" in text
    assert "shares while all had work waiting: user 1" in text
    told = json.loads(CliRunner().invoke(cli, [*small, "--json"]).output)
    assert told["weighted-locality"]["actions"] == 50


def test_an_unknown_algorithm_is_refused() -> None:
    """The known ones are named."""
    with pytest.raises(UsageError) as caught:
        simulate_text(Scenario(), "best", as_json=False)
    assert "weighted-locality" in (caught.value.next_step or "")
