"""Any order of events leaves the worker's machine consistent, and no lease is ever lost in it."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cyxmake_common.digest import Digest
from cyxmake_common.ids import LeaseId
from cyxmake_common.outcome import OutcomeKind
from cyxmake_common.protocol.messages import LeaseAccept, LeaseReject, LeaseResult
from cyxmake_worker.core import effects as do
from cyxmake_worker.core import events as ev
from cyxmake_worker.core.invariants import check_invariants
from cyxmake_worker.core.state import CoreConfig, WorkerState

JITTER = st.floats(0, 1)
WORK = {do.Prepare: "prepare", do.Execute: "execute", do.Upload: "upload", do.Abort: "abort"}


class WorkerMachine(RuleBasedStateMachine):
    """Plays coordinator and shell: offers, revokes, cuts, and ends the work that was begun."""

    def __init__(self) -> None:
        super().__init__()
        self.state = WorkerState(CoreConfig(slots=2, prefetch=1))
        self.now = 0.0
        self.up = False
        self.connecting = False
        self.flights: dict[LeaseId, str] = {}
        self.owed: set[LeaseId] = set()
        self.reported: set[LeaseId] = set()
        self.names = 0
        self._handle(ev.Started(self.now))

    def _handle(self, event: ev.Event) -> None:
        for effect in self.state.handle(event):
            self._carry_out(effect)

    def _carry_out(self, effect: do.Effect) -> None:
        match effect:
            case do.Connect(running):
                assert not self.up and not self.connecting, "one connection at a time"
                assert {r.lease for r in running} >= {str(x) for x in self.owed}
                self.connecting = True
            case do.Disconnect():
                assert self.up
                self.up = False
            case do.Send(message):
                assert self.up, f"nothing is sent without a connection: {message!r}"
                if isinstance(message, LeaseAccept):
                    self.owed.add(LeaseId(message.lease))
                elif isinstance(message, LeaseResult):
                    self.owed.discard(LeaseId(message.lease))
                    self.reported.add(LeaseId(message.lease))
            case do.Beat():
                assert self.up
            case do.Prepare(lease) | do.Execute(lease) | do.Upload(lease):
                assert lease not in self.flights, "one thing at a time for a lease"
                self.flights[lease] = WORK[type(effect)]
            case do.Abort(lease):
                assert lease in self.flights, "only work in flight is aborted"
                self.flights[lease] = "abort"
                self.owed.discard(lease)
            case do.Forget(lease):
                assert lease not in self.flights, "what is forgotten has no work in flight"
                self.owed.discard(lease)
            case do.Exit():
                pass

    @rule(dt=st.sampled_from([0.0, 0.1, 1.0, 4.0, 20.0]))
    def time_passes(self, dt: float) -> None:
        """Ticks come when they were asked for."""
        end = self.now + dt
        for _ in range(200):
            deadline = self.state.deadline()
            if deadline is None or deadline > end:
                break
            self.now = max(self.now, deadline)
            self._handle(ev.Tick(self.now, 0.5))
            assert (self.state.deadline() or end + 1) > self.now - 1e-9
        self.now = end

    @precondition(lambda self: self.connecting)
    @rule(ok=st.booleans(), jitter=JITTER)
    def connect_ends(self, ok: bool, jitter: float) -> None:
        """A try succeeds or fails."""
        self.connecting, self.up = False, ok
        if ok:
            self._handle(ev.Connected(self.now, 1.0))
        else:
            self._handle(ev.ConnectFailed(self.now, jitter, "refused"))

    @precondition(lambda self: self.up)
    @rule(goodbye=st.booleans(), jitter=JITTER)
    def connection_ends(self, goodbye: bool, jitter: float) -> None:
        """The line is cut, or the coordinator restarts in good order."""
        if goodbye:
            self._handle(ev.GoodbyeReceived(self.now, jitter, "restart", True))
        else:
            self.up = False
            self._handle(ev.Disconnected(self.now, jitter, "cut"))

    @precondition(lambda self: self.up)
    @rule()
    def heard(self) -> None:
        """The coordinator gives a sign."""
        self._handle(ev.Heard(self.now))

    @precondition(lambda self: self.up)
    @rule(again=st.booleans(), epoch=st.integers(1, 3), data=st.data())
    def offer(self, again: bool, epoch: int, data: st.DataObject) -> None:
        """A new lease is offered, or a known one once more; it is answered at once."""
        known = sorted(self.state.leases)
        if again and known:
            name = data.draw(st.sampled_from(known))
        else:
            self.names += 1
            name = LeaseId(f"L{self.names:03}")
        effects = self.state.handle(ev.Offered(self.now, name, epoch, Digest.of(name.encode())))
        answers = [
            e
            for e in effects
            if isinstance(e, do.Send) and isinstance(e.message, LeaseAccept | LeaseReject)
        ]
        assert len(answers) == (not self.state.exited or bool(effects))
        for effect in effects:
            self._carry_out(effect)

    @precondition(lambda self: self.up and self.state.leases)
    @rule(epoch=st.integers(1, 3), data=st.data())
    def revoke(self, epoch: int, data: st.DataObject) -> None:
        """A lease is taken back."""
        name = data.draw(st.sampled_from(sorted(self.state.leases)))
        self._handle(ev.Revoked(self.now, name, epoch))

    @precondition(lambda self: self.flights)
    @rule(how=st.sampled_from(["well", "badly", "interrupted"]), data=st.data())
    def work_ends(self, how: str, data: st.DataObject) -> None:
        """Something in flight comes to an end."""
        lease = data.draw(st.sampled_from(sorted(self.flights)))
        phase = self.flights.pop(lease)
        report = LeaseResult(lease=lease, epoch=1, kind=OutcomeKind.TOOL)
        if phase == "abort":
            self._handle(ev.Stopped(self.now, lease))
        elif how == "badly" or (phase == "upload" and how == "well"):
            self._handle(ev.Finished(self.now, lease, report))
        elif how == "interrupted" and phase != "execute":
            self._handle(ev.Interrupted(self.now, lease))
        elif phase == "prepare":
            self._handle(ev.Prepared(self.now, lease))
        else:
            self._handle(ev.Executed(self.now, lease))

    @rule(on=st.booleans())
    def drain(self, on: bool) -> None:
        """Somebody drains the worker or wants it back."""
        self._handle(ev.DrainAsked(self.now, on))

    @precondition(lambda self: not self.state.leaving and self.now > 40)
    @rule()
    def leave(self) -> None:
        """SIGTERM."""
        self._handle(ev.LeaveAsked(self.now))

    @invariant()
    def consistent(self) -> None:
        """The machine's own invariants hold, and it owes exactly what it accepted."""
        check_invariants(self.state)
        if not self.state.exited:
            assert self.owed <= set(self.state.leases), "an accepted lease vanished"

    def teardown(self) -> None:
        """Given a good connection and work that ends, every accepted lease is reported."""
        for _ in range(400):
            if self.state.exited or not self.owed:
                return
            if self.connecting:
                self.connecting, self.up = False, True
                self._handle(ev.Connected(self.now, 1.0))
            elif self.flights:
                lease, phase = self.flights.popitem()
                report = LeaseResult(lease=lease, epoch=1, kind=OutcomeKind.TOOL)
                end: ev.Event = ev.Finished(self.now, lease, report)
                if phase == "abort":
                    end = ev.Stopped(self.now, lease)
                self._handle(end)
            else:
                self.now = max(self.now, self.state.deadline() or self.now)
                self._handle(ev.Tick(self.now, 0.5))
        raise AssertionError(f"still owed: {self.owed} by {self.state!r}")


TestWorkerMachine = WorkerMachine.TestCase
TestWorkerMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
