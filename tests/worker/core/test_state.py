"""The worker's machine, decision by decision; the properties are in test_state_properties."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import pytest

from cyxmake_common.digest import Digest
from cyxmake_common.errors import ExitStatus
from cyxmake_common.ids import LeaseId
from cyxmake_common.outcome import OutcomeKind
from cyxmake_common.protocol.messages import (
    Drain,
    Goodbye,
    LeaseAccept,
    LeaseProgress,
    LeaseReject,
    LeaseResult,
    Message,
)
from cyxmake_worker.core import effects as do
from cyxmake_worker.core import events as ev
from cyxmake_worker.core.invariants import check_invariants
from cyxmake_worker.core.link import BACKOFF_LAST, backoff
from cyxmake_worker.core.state import LEAVE_PATIENCE, CoreConfig, WorkerState

_E = TypeVar("_E", bound=do.Effect)
ACTION = Digest.of(b"action")


class Driver:
    """A machine with a clock of its own, checked after every event."""

    def __init__(self, slots: int = 2, prefetch: int = 1, once: bool = False) -> None:
        self.state = WorkerState(CoreConfig(slots, prefetch, once))
        self.now = 100.0
        self.effects: list[do.Effect] = []

    def feed(self, event: ev.Event) -> list[do.Effect]:
        """Handle one event."""
        self.effects = self.state.handle(event)
        check_invariants(self.state)
        return self.effects

    def of(self, kind: type[_E]) -> list[_E]:
        """Return the last effects of one kind."""
        return [e for e in self.effects if isinstance(e, kind)]

    def sent(self) -> list[Message]:
        """Return the messages among the last effects."""
        return [e.message for e in self.of(do.Send)]

    def join(self) -> None:
        """Start and connect."""
        self.feed(ev.Started(self.now))
        self.feed(ev.Connected(self.now, 1.0))

    def offer(self, name: str, epoch: int = 1) -> list[do.Effect]:
        """Offer an action under a lease."""
        return self.feed(ev.Offered(self.now, LeaseId(name), epoch, ACTION))

    def lose(self) -> None:
        """Cut the connection."""
        self.feed(ev.Disconnected(self.now, 0.5, "cut"))

    def reconnect(self) -> list[do.Effect]:
        """Let time pass until the machine tries again, and let it succeed."""
        deadline = self.state.deadline()
        assert deadline is not None
        self.now = max(self.now, deadline)
        self.feed(ev.Tick(self.now, 0.5))
        assert self.of(do.Connect)
        return self.feed(ev.Connected(self.now, 1.0))

    def run_to_result(self, name: str) -> list[do.Effect]:
        """Drive an offered lease through all its stages."""
        self.feed(ev.Prepared(self.now, LeaseId(name)))
        self.feed(ev.Executed(self.now, LeaseId(name)))
        return self.feed(ev.Finished(self.now, LeaseId(name), report(name)))


def report(name: str, epoch: int = 1) -> LeaseResult:
    """Return a result as the shell would build it."""
    return LeaseResult(lease=name, epoch=epoch, kind=OutcomeKind.TOOL, result=b"r")


def kinds(messages: Iterable[Message]) -> list[type[Message]]:
    """Return the classes of messages."""
    return [type(m) for m in messages]


def test_a_lease_goes_from_offer_to_result() -> None:
    """The inputs come first, then the command, then the upload, and the report last."""
    d = Driver()
    d.join()
    d.offer("a")
    assert kinds(d.sent()) == [LeaseAccept]
    assert d.of(do.Prepare) == [do.Prepare(LeaseId("a"), ACTION)]
    d.feed(ev.Prepared(d.now, LeaseId("a")))
    assert kinds(d.sent()) == [LeaseProgress]
    assert d.of(do.Execute) == [do.Execute(LeaseId("a"))]
    d.feed(ev.Executed(d.now, LeaseId("a")))
    assert d.effects == [do.Upload(LeaseId("a"))]
    d.feed(ev.Finished(d.now, LeaseId("a"), report("a")))
    assert d.sent() == [report("a")]


def test_one_lease_beyond_the_slots_is_prefetched_and_the_next_is_refused() -> None:
    """The prefetched lease gets its inputs but no slot; the one after it is told `busy`."""
    d = Driver(slots=1, prefetch=1)
    d.join()
    d.offer("a")
    d.feed(ev.Prepared(d.now, LeaseId("a")))
    d.offer("b")
    assert d.of(do.Prepare)
    d.feed(ev.Prepared(d.now, LeaseId("b")))
    assert not d.of(do.Execute)
    d.offer("c")
    assert d.sent() == [LeaseReject(lease="c", epoch=1, reason="busy")]
    d.feed(ev.Executed(d.now, LeaseId("a")))
    assert do.Execute(LeaseId("b")) in d.effects


def test_a_revoked_command_is_killed_and_keeps_its_slot_until_it_is_dead() -> None:
    """No new command starts beside one that is still dying."""
    d = Driver(slots=1, prefetch=1)
    d.join()
    d.offer("a")
    d.feed(ev.Prepared(d.now, LeaseId("a")))
    d.offer("b")
    d.feed(ev.Prepared(d.now, LeaseId("b")))
    d.feed(ev.Revoked(d.now, LeaseId("a"), 1))
    assert d.effects == [do.Abort(LeaseId("a"))]
    d.feed(ev.Stopped(d.now, LeaseId("a")))
    assert do.Execute(LeaseId("b")) in d.effects
    assert do.Forget(LeaseId("a")) in d.effects
    (answer, _) = d.sent()
    assert isinstance(answer, LeaseResult)
    assert answer.kind is OutcomeKind.CANCELLED, "the coordinator waits for this"


def test_a_revoked_lease_that_does_not_run_is_let_go_at_once() -> None:
    """One that waits is answered; one that is reported needs no answer; an unknown one gets it."""
    d = Driver(slots=1, prefetch=1)
    d.join()
    for name in ("a", "b"):
        d.offer(name)
        d.feed(ev.Prepared(d.now, LeaseId(name)))
    d.feed(ev.Revoked(d.now, LeaseId("b"), 1))
    assert kinds(d.sent()) == [LeaseResult]
    assert do.Forget(LeaseId("b")) in d.effects
    d.feed(ev.Executed(d.now, LeaseId("a")))
    d.feed(ev.Finished(d.now, LeaseId("a"), report("a")))
    d.feed(ev.Revoked(d.now, LeaseId("a"), 1))
    assert d.effects == [do.Forget(LeaseId("a"))]
    d.feed(ev.Revoked(d.now, LeaseId("zzz"), 1))
    assert kinds(d.sent()) == [LeaseResult]


def test_a_revoke_of_an_older_epoch_is_ignored() -> None:
    """A promise that was renewed is not taken back by the message about the old one."""
    d = Driver()
    d.join()
    d.offer("a", epoch=2)
    assert d.feed(ev.Revoked(d.now, LeaseId("a"), 1)) == []


def test_news_about_aborted_work_changes_nothing() -> None:
    """A command that ends while it is being killed is not reported."""
    d = Driver()
    d.join()
    d.offer("a")
    d.feed(ev.Prepared(d.now, LeaseId("a")))
    d.feed(ev.Revoked(d.now, LeaseId("a"), 1))
    assert d.feed(ev.Executed(d.now, LeaseId("a"))) == []
    assert d.feed(ev.Finished(d.now, LeaseId("a"), report("a"))) == []
    assert d.feed(ev.Interrupted(d.now, LeaseId("a"))) == []
    d.feed(ev.Stopped(d.now, LeaseId("a")))
    assert not d.state.leases


def test_running_leases_are_named_at_reconnect_and_their_results_delivered() -> None:
    """A command survives the loss of the connection; its report is sent after WELCOME."""
    d = Driver()
    d.join()
    d.offer("a")
    d.feed(ev.Prepared(d.now, LeaseId("a")))
    d.lose()
    d.feed(ev.Executed(d.now, LeaseId("a")))
    d.feed(ev.Interrupted(d.now, LeaseId("a")))
    assert d.effects == []
    deadline = d.state.deadline()
    assert deadline is not None
    d.now = deadline
    d.feed(ev.Tick(d.now, 0.5))
    assert [r.lease for r in d.of(do.Connect)[0].running] == ["a"]
    d.feed(ev.Connected(d.now, 1.0))
    assert do.Upload(LeaseId("a")) in d.effects
    d.feed(ev.Finished(d.now, LeaseId("a"), report("a")))
    assert d.sent() == [report("a")]


def test_a_report_sent_on_a_dying_connection_is_sent_again() -> None:
    """Only a sign of the coordinator well after the report proves that it arrived."""
    d = Driver()
    d.join()
    d.offer("a")
    d.run_to_result("a")
    d.lose()
    d.reconnect()
    assert d.sent() == [report("a")]
    d.now += 2
    d.feed(ev.Heard(d.now))
    assert d.state.leases
    d.now += 2
    d.feed(ev.Heard(d.now))
    assert d.effects == [do.Forget(LeaseId("a"))]


def test_a_report_made_while_disconnected_waits_for_the_connection() -> None:
    """Nothing is sent into a closed connection."""
    d = Driver()
    d.join()
    d.offer("a")
    d.feed(ev.Prepared(d.now, LeaseId("a")))
    d.lose()
    assert d.feed(ev.Finished(d.now, LeaseId("a"), report("a"))) == []
    d.reconnect()
    assert report("a") in d.sent()


def test_an_offer_of_a_known_lease_renews_its_epoch() -> None:
    """A coordinator that comes back may promise again; the work is not done twice."""
    d = Driver()
    d.join()
    d.offer("a", epoch=1)
    d.feed(ev.Prepared(d.now, LeaseId("a")))
    d.offer("a", epoch=5)
    assert d.sent() == [LeaseAccept(lease="a", epoch=5)]
    assert not d.of(do.Prepare)
    d.feed(ev.Executed(d.now, LeaseId("a")))
    d.feed(ev.Finished(d.now, LeaseId("a"), report("a")))
    assert d.sent() == [report("a", epoch=5)]
    d.offer("a", epoch=6)
    assert d.sent() == [LeaseAccept(lease="a", epoch=6), report("a", epoch=6)]
    d.offer("a", epoch=2)
    assert kinds(d.sent()) == [LeaseReject]


def test_a_transfer_that_fails_again_and_again_gives_the_lease_up() -> None:
    """While the control connection stands, a transfer is tried a few times, not for ever."""
    d = Driver()
    d.join()
    d.offer("a")
    for _ in range(3):
        d.feed(ev.Interrupted(d.now, LeaseId("a")))
        assert d.of(do.Prepare)
    d.feed(ev.Interrupted(d.now, LeaseId("a")))
    (result,) = d.sent()
    assert isinstance(result, LeaseResult)
    assert result.kind is OutcomeKind.INFRASTRUCTURE


def test_silence_of_the_coordinator_counts_as_a_lost_connection() -> None:
    """Heartbeats go out every second; after four silent ones the worker connects anew."""
    d = Driver()
    d.join()
    beats = 0
    for _ in range(20):
        deadline = d.state.deadline()
        assert deadline is not None
        d.now = deadline
        d.feed(ev.Tick(d.now, 0.5))
        beats += len(d.of(do.Beat))
        if d.of(do.Disconnect):
            break
    assert d.now == pytest.approx(104.0)
    assert beats in (3, 4)
    d.reconnect()


def test_the_back_off_doubles_to_its_limit_and_never_ends() -> None:
    """0.2 s, 0.4 s, … 15 s; a connection that dies young does not start it anew."""
    d = Driver()
    d.feed(ev.Started(d.now))
    waits = []
    for _ in range(40):
        d.feed(ev.ConnectFailed(d.now, 0.5, "refused"))
        deadline = d.state.deadline()
        assert deadline is not None
        waits.append(deadline - d.now)
        d.now = deadline
        d.feed(ev.Tick(d.now, 0.5))
        assert d.of(do.Connect)
    assert waits[:3] == pytest.approx([0.2, 0.4, 0.8])
    assert waits[-1] == pytest.approx(BACKOFF_LAST)
    d.feed(ev.Connected(d.now, 1.0))
    d.lose()
    assert (d.state.deadline() or 0) - d.now == pytest.approx(BACKOFF_LAST)
    d.reconnect()
    d.now += 10
    d.lose()
    assert (d.state.deadline() or 0) - d.now == pytest.approx(0.2)


def test_jitter_moves_the_back_off_by_a_quarter() -> None:
    """A hundred workers do not knock at the same instant."""
    assert backoff(0, 0.0) == pytest.approx(0.15)
    assert backoff(0, 1.0) == pytest.approx(0.25)


def test_a_denied_worker_leaves_with_its_own_status() -> None:
    """No endless retry with a token that is not good."""
    d = Driver()
    d.feed(ev.Started(d.now))
    d.feed(ev.ConnectFailed(d.now, 0.5, "the token is revoked", final=True))
    assert d.effects == [do.Exit(ExitStatus.DENIED, "the token is revoked")]
    assert d.feed(ev.Tick(d.now, 0.5)) == []
    assert d.state.deadline() is None


def test_a_leaving_worker_finishes_refuses_and_says_goodbye() -> None:
    """SIGTERM: Drain is announced, the running command ends, its result goes out, then Goodbye."""
    d = Driver()
    d.join()
    d.offer("a")
    d.feed(ev.Prepared(d.now, LeaseId("a")))
    d.feed(ev.LeaveAsked(d.now))
    assert d.sent() == [Drain(on=True)]
    d.offer("b")
    assert kinds(d.sent()) == [LeaseReject]
    d.feed(ev.Executed(d.now, LeaseId("a")))
    d.feed(ev.Finished(d.now, LeaseId("a"), report("a")))
    assert kinds(d.sent()) == [LeaseResult, Goodbye]
    assert d.of(do.Exit) == [do.Exit(ExitStatus.OK, "drained")]


def test_a_leaving_worker_without_work_leaves_at_once() -> None:
    """Nothing runs: Drain and Goodbye in one breath; disconnected, not even that."""
    d = Driver()
    d.join()
    d.feed(ev.LeaveAsked(d.now))
    assert kinds(d.sent()) == [Drain, Goodbye]
    d = Driver()
    d.feed(ev.Started(d.now))
    d.feed(ev.LeaveAsked(d.now))
    assert d.effects == [do.Exit(ExitStatus.OK, "drained")]


def test_asked_twice_it_leaves_at_once() -> None:
    """The second SIGTERM does not wait for the running command."""
    d = Driver()
    d.join()
    d.offer("a")
    d.feed(ev.Prepared(d.now, LeaseId("a")))
    d.feed(ev.LeaveAsked(d.now))
    d.feed(ev.LeaveAsked(d.now))
    assert kinds(d.sent()) == [Goodbye]
    assert d.of(do.Exit)[0].status is ExitStatus.OK


def test_a_leaving_worker_does_not_wait_for_ever_for_a_coordinator() -> None:
    """An undelivered report is tried for a while, then given up."""
    d = Driver()
    d.join()
    d.offer("a")
    d.feed(ev.Prepared(d.now, LeaseId("a")))
    d.lose()
    d.feed(ev.LeaveAsked(d.now))
    d.feed(ev.Finished(d.now, LeaseId("a"), report("a")))
    begun = d.now
    while not d.state.exited:
        d.now = d.state.deadline() or d.now
        d.feed(ev.Tick(d.now, 0.5))
        if d.of(do.Connect):
            d.feed(ev.ConnectFailed(d.now, 0.5, "refused"))
    assert d.now - begun == pytest.approx(LEAVE_PATIENCE)
    assert d.of(do.Exit)[0].status is ExitStatus.CLUSTER_UNREACHABLE


def test_a_drained_worker_stays_connected_and_may_work_again() -> None:
    """The coordinator's Drain is a state, not an end; a later connection repeats it."""
    d = Driver()
    d.join()
    d.feed(ev.DrainAsked(d.now, True))
    d.offer("a")
    assert kinds(d.sent()) == [LeaseReject]
    d.lose()
    d.reconnect()
    assert Drain(on=True) in d.sent()
    d.feed(ev.DrainAsked(d.now, False))
    d.offer("a")
    assert kinds(d.sent()) == [LeaseAccept]


@pytest.mark.parametrize("retry", [True, False])
def test_a_goodbye_ends_the_worker_unless_it_may_come_back(retry: bool) -> None:
    """A restarting coordinator says retry; one that wants us gone says so."""
    d = Driver()
    d.join()
    d.feed(ev.GoodbyeReceived(d.now, 0.5, "restart", retry))
    assert d.of(do.Disconnect)
    assert bool(d.of(do.Exit)) is not retry


def test_a_worker_of_an_embedded_cluster_lives_as_long_as_its_coordinator() -> None:
    """With `once`, goodbye ends it well, a lost connection ends it with a status of its own."""
    d = Driver(once=True)
    d.join()
    d.feed(ev.GoodbyeReceived(d.now, 0.5, "done", True))
    assert d.of(do.Exit)[0].status is ExitStatus.OK
    d = Driver(once=True)
    d.join()
    d.lose()
    assert d.of(do.Exit)[0].status is ExitStatus.CLUSTER_UNREACHABLE


def test_a_worker_of_an_embedded_cluster_waits_a_little_for_the_first_connection() -> None:
    """Both programs may be started at the same moment."""
    d = Driver(once=True)
    d.feed(ev.Started(d.now))
    begun = d.now
    while not d.state.exited:
        d.feed(ev.ConnectFailed(d.now, 0.5, "refused"))
        d.now = d.state.deadline() or d.now
        d.feed(ev.Tick(d.now, 0.5))
    assert d.now - begun == pytest.approx(10.0)


def test_a_worker_whose_name_was_taken_leaves() -> None:
    """Coming back would push the other one out."""
    d = Driver()
    d.feed(ev.Replaced(d.now))
    assert d.effects == []
    d.join()
    d.feed(ev.Replaced(d.now))
    assert d.of(do.Exit)[0].status is ExitStatus.CONFIG


def test_events_out_of_place_are_ignored() -> None:
    """A late event about an older connection or lease does no harm."""
    d = Driver()
    for event in (
        ev.Connected(d.now, 1.0),
        ev.ConnectFailed(d.now, 0.5, "x"),
        ev.Disconnected(d.now, 0.5, "x"),
        ev.GoodbyeReceived(d.now, 0.5, "x", True),
        ev.Heard(d.now),
        ev.Tick(d.now, 0.5),
        ev.Offered(d.now, LeaseId("a"), 1, ACTION),
        ev.Stopped(d.now, LeaseId("a")),
        ev.Prepared(d.now, LeaseId("a")),
    ):
        assert d.feed(event) == []
