"""What becomes of an action after an outcome, a refusal or a loss."""

from __future__ import annotations

import pytest

from cyxmake_common.outcome import Cause, Outcome, OutcomeKind
from cyxmake_coordinator.core.effects import (
    AssignLease,
    CompleteOperation,
    ReportStage,
    Stage,
)
from cyxmake_coordinator.core.events import RefusalReason
from cyxmake_coordinator.core.settings import Settings
from support.scheduling import (
    BROKEN,
    FAILED,
    ODD,
    OUT_OF_MEMORY,
    STOPPED,
    Core,
    assigned,
    completed,
    digest,
    pick,
)


def test_any_exit_code_of_the_tool_is_final() -> None:
    """A compiler that says no is believed."""
    core = Core()
    core.join()
    assert completed(core.finish(core.run(), FAILED)).outcome == FAILED


@pytest.mark.parametrize("outcome", [BROKEN, ODD, STOPPED])
def test_what_says_nothing_of_the_action_is_tried_elsewhere(outcome: Outcome) -> None:
    """Another worker gets it; the client sees it queued again if it had been running."""
    core = Core()
    core.join("w1")
    core.join("w2")
    lease = core.run()
    core.start(lease)
    effects = core.finish(lease, outcome)
    (stage,) = pick(effects, ReportStage)
    assert (stage.stage, stage.worker) == (Stage.QUEUED, None)
    again = assigned(effects)
    assert (again.worker, again.epoch, again.attempt) == ("w2", 2, 2)
    assert completed(core.finish(again)).attempts == 2


def test_all_workers_tried() -> None:
    """When every worker has failed with it, the client gets the last outcome."""
    core = Core()
    core.join("w1")
    core.join("w2")
    again = assigned(core.finish(core.run(), BROKEN))
    assert completed(core.finish(again, ODD)).outcome == ODD


def test_attempts_are_limited() -> None:
    """After three attempts no fourth worker is tried."""
    core = Core()
    for name in ("w1", "w2", "w3", "w4"):
        core.join(name)
    lease = core.run()
    for _ in range(2):
        lease = assigned(core.finish(lease, BROKEN))
    completion = completed(core.finish(lease, BROKEN))
    assert (completion.attempts, completion.outcome) == (3, BROKEN)


def test_a_rejoined_worker_may_try_again() -> None:
    """What failed was a session; a worker that comes back is a new chance."""
    core = Core(Settings(prefetch=0))
    core.join("w1")
    core.join("w2")
    lease, _ = core.run("o1"), core.run("o2")
    core.finish(lease, BROKEN)
    core.leave("w1")
    assert assigned(core.join("w1")).action == digest("o1")


def test_waiting_action_is_completed_when_its_last_hope_goes() -> None:
    """With only workers left that failed it, an action waits no longer."""
    core = Core(Settings(prefetch=0))
    core.join("w1")
    core.join("w2")
    lease, _ = core.run("o1"), core.run("o2")
    assert core.finish(lease, BROKEN) == []
    done = pick(core.leave("w2"), CompleteOperation)
    assert ("o1", BROKEN) in [(d.operation, d.outcome) for d in done]


def test_out_of_resources_is_tried_once_elsewhere() -> None:
    """A second worker may be larger; a third is not asked."""
    core = Core()
    for name in ("w1", "w2", "w3"):
        core.join(name)
    again = assigned(core.finish(core.run(), OUT_OF_MEMORY))
    assert again.worker == "w2"
    assert completed(core.finish(again, OUT_OF_MEMORY)).outcome == OUT_OF_MEMORY


def test_out_of_resources_on_the_only_worker() -> None:
    """Without another worker the outcome is final."""
    core = Core()
    core.join()
    assert completed(core.finish(core.run(), OUT_OF_MEMORY)).outcome == OUT_OF_MEMORY


def test_cancelling_that_we_did_not_ask_for() -> None:
    """A worker that gives up is a lost worker for the client, not a cancelled operation."""
    core = Core()
    core.join()
    outcome = completed(core.finish(core.run(), STOPPED)).outcome
    assert (outcome.kind, outcome.cause) == (OutcomeKind.INFRASTRUCTURE, Cause.WORKER_LOST)


def test_missing_inputs_go_to_the_client() -> None:
    """The blobs are named, and no other worker is bothered."""
    core = Core()
    core.join("w1")
    core.join("w2")
    effects = core.reject(core.run(), RefusalReason.MISSING_INPUTS, (digest("header"),))
    completion = completed(effects)
    assert completion.missing == (digest("header"),)
    assert (completion.outcome.kind, completion.outcome.cause) == (
        OutcomeKind.INFRASTRUCTURE,
        Cause.MISSING_INPUT,
    )
    assert not pick(effects, AssignLease)


def test_input_missing_while_running_goes_to_the_client() -> None:
    """A finished action that lacked an input lacks it everywhere."""
    core = Core()
    core.join("w1")
    core.join("w2")
    outcome = Outcome(OutcomeKind.INFRASTRUCTURE, cause=Cause.MISSING_INPUT)
    assert completed(core.finish(core.run(), outcome)).outcome == outcome


def test_unsupported_goes_elsewhere() -> None:
    """A worker that cannot run an action is not asked again."""
    core = Core()
    core.join("w1")
    core.join("w2")
    again = assigned(core.reject(core.run(), RefusalReason.UNSUPPORTED))
    assert again.worker == "w2"
    outcome = completed(core.reject(again, RefusalReason.UNSUPPORTED)).outcome
    assert outcome.detail == "worker w2 did not take the action: unsupported"


def test_refusing_a_revoked_lease_frees_its_slot() -> None:
    """A worker may answer a revoke with a refusal."""
    core = Core(Settings(prefetch=0))
    core.join()
    lease = core.run("o1")
    core.cancel("o1")
    core.submit("o2")
    assert assigned(core.reject(lease, RefusalReason.UNSUPPORTED)).action == digest("o2")


def test_losing_a_worker_with_a_revoked_lease() -> None:
    """Nobody waits for what was revoked: nothing moves."""
    core = Core()
    core.join("w1")
    core.join("w2")
    core.run("o1")
    core.cancel("o1")
    assert core.leave("w1") == []


def test_action_that_kills_workers_is_given_up() -> None:
    """After three workers were lost with it running, nobody runs it again."""
    core = Core()
    for name in ("w1", "w2", "w3", "w4"):
        core.join(name)
    lease = core.run()
    for _ in range(2):
        core.start(lease)
        lease = assigned(core.leave(lease.worker))
    core.start(lease)
    outcome = completed(core.leave(lease.worker)).outcome
    assert (outcome.kind, outcome.cause) == (OutcomeKind.AMBIGUOUS, Cause.WORKER_LOST)
    assert outcome.detail == "3 workers were lost while they ran this action"


def test_losses_before_the_start_only_use_up_attempts() -> None:
    """Workers lost with an action they had not begun do not make it suspicious."""
    core = Core()
    for name in ("w1", "w2", "w3", "w4"):
        core.join(name)
    lease = core.run()
    for _ in range(2):
        lease = assigned(core.leave(lease.worker))
    assert completed(core.leave(lease.worker)).outcome.kind is OutcomeKind.INFRASTRUCTURE
