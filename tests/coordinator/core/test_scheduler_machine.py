"""Random events against the scheduler: what must hold whatever happens, and that all ends well."""

from __future__ import annotations

import os
from math import inf

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
)

from cyxmake_common.action import ActionResult
from cyxmake_common.digest import Digest
from cyxmake_common.ids import BuildId, LeaseId, Namespace, OperationId, SessionId, WorkerId
from cyxmake_common.outcome import Outcome, OutcomeKind
from cyxmake_coordinator.core.effects import (
    AcceptOperation,
    AssignLease,
    CompleteOperation,
    DisconnectWorker,
    Effect,
    ForgetResult,
    RejectOperation,
    ReportStage,
    RevokeLease,
)
from cyxmake_coordinator.core.events import (
    ClientLeft,
    CoordinatorDrain,
    Finding,
    HeldLease,
    LeaseFinished,
    LeaseStarted,
    OperationCancelled,
    OperationSubmitted,
    PropertySet,
    RefusalReason,
    ToolchainAvailable,
    WorkerDrain,
    WorkerHeartbeat,
)
from cyxmake_coordinator.core.settings import Settings
from support.scheduling import (
    BROKEN,
    CRASH,
    DONE,
    FAILED,
    FULL,
    LINUX,
    MAC,
    NO_HEADER,
    ODD,
    OUT_OF_MEMORY,
    STOPPED,
    Core,
    digest,
    held,
    lease_id,
    pick,
)

NAMES = st.sampled_from(["w0", "w1", "w2", "w3"])
TOOLCHAINS = st.sampled_from([None, None, digest("gcc"), digest("clang")])
NUMBERS = st.integers(0, 9)
OUTCOMES = st.sampled_from([DONE, DONE, FAILED, FAILED, BROKEN, ODD, OUT_OF_MEMORY, FULL, STOPPED])
FINDINGS = st.sampled_from([None, CRASH, NO_HEADER])
RESULTS = st.sampled_from(["", "", "", "strange"])
MEMORY = st.sampled_from([0, 0, 5, 30])
FOREIGN = st.sampled_from("abcdef").map(
    lambda name: HeldLease(lease_id(f"old-{name}"), 2, digest(f"{name} [] None"))
)
EXAMPLES = int(os.environ.get("CYXMAKE_SCHEDULER_EXAMPLES", "60"))
"""Runs of sixty steps each; 2,000 for a long look."""

SMALL = Settings(
    user_slots={"ann": 2},
    hold_after=2,
    hold_most=3.0,
    cause_memory=20.0,
    faults=2,
    user_queue_limit=6,
    light_memory=1,
    audit_every=3,
    audit_patience=5.0,
    canary_pause=1.0,
    quarantine_floor=0.2,
    hedge_least=0.5,
    hedge_share=1.0,
    breaker_pause=1.0,
    kept_leases=5.0,
    queue_limit=8,
    idle_pools=2,
    warm_roots=3,
    remembered=5,
    worker_timeout=10.0,
    lease_grace=2.0,
    overdue_grace=2.0,
)


class SchedulerMachine(RuleBasedStateMachine):
    """Fires events and keeps its own, simpler books about what the core may do."""

    def __init__(self) -> None:
        super().__init__()
        self.core = Core(SMALL)
        self.open: dict[OperationId, SessionId] = {}
        self.ended: set[OperationId] = set()
        self.sessions: dict[WorkerId, SessionId] = {}
        self.assigned: dict[LeaseId, AssignLease] = {}
        self.counted: set[LeaseId] = set()
        self.count = 0

    @initialize(slots=st.integers(1, 3))
    def first_workers(self, slots: int) -> None:
        """Start with workers, or most operations would be rejected."""
        self.take(self.core.join("w1", slots=slots))
        self.take(self.core.join("w2"))
        self.take(self.core.join("w3", slots=slots))

    # Books

    def take(self, effects: list[Effect]) -> list[AssignLease]:
        """Check the effects against the books, and keep these."""
        for name, worker in self.core.state.workers.items():
            self.sessions[name] = worker.session
        for effect in effects:
            match effect:
                case AssignLease():
                    self.on_assign(effect)
                case RevokeLease():
                    facts = self.core.scheduler.lease_facts(effect.lease, effect.epoch)
                    assert facts is None or facts.worker != effect.worker
                case AcceptOperation():
                    assert effect.operation not in self.open
                    self.open[effect.operation] = effect.session
                case CompleteOperation():
                    assert self.open.pop(effect.operation) == effect.session, "exactly once"
                    self.ended.add(effect.operation)
                case ReportStage():
                    assert effect.operation in self.open
                case RejectOperation():
                    assert effect.detail
                case ForgetResult():
                    pass
                case DisconnectWorker():
                    assert self.core.state.workers.get(effect.worker) is None or (
                        self.sessions[effect.worker] != effect.session
                    )
        assert self.open.keys() == self.core.state.operations.keys()
        return pick(effects, AssignLease)

    def on_assign(self, lease: AssignLease) -> None:
        """Check that a lease is new and goes to a live worker that takes work."""
        assert lease.lease not in self.assigned, "one lease, one worker, one epoch"
        worker = self.core.state.workers[lease.worker]
        assert worker.session == lease.session
        execution = self.core.state.leases[lease.lease].execution
        if execution.audit is None:
            assert not worker.draining
            assert not worker.health.quarantined
            assert worker.session not in execution.excluded, "a failure is tried elsewhere"
        assert worker.away_since is None
        self.assigned[lease.lease] = lease

    def is_current(self, lease: AssignLease) -> bool:
        """Tell whether a result for a lease is to count."""
        return self.core.scheduler.lease_facts(lease.lease, lease.epoch) is not None

    def recent(self, number: int) -> AssignLease | None:
        """Return a lease, counted from the end: those in force, then all that ever were."""
        known = [*self.assigned.values(), *filter(self.is_current, self.assigned.values())]
        return known[-1 - number] if number < len(known) else None

    # Clients

    @rule(
        action=st.sampled_from("abcdef"),
        client=st.sampled_from(["c1", "c2", "c3"]),
        requirements=st.sampled_from([frozenset(), frozenset(), LINUX, MAC]),
        toolchain=TOOLCHAINS,
        priority=st.integers(-1, 1),
        do_not_cache=st.booleans(),
        timeout=st.sampled_from([0.0, 1.0]),
        user=st.sampled_from(["", "ann", "bob"]),
        wait_at_most=st.sampled_from([inf, inf, 2.0]),
        alike=st.sampled_from(["", "c", "c++"]),
    )
    def submit(
        self,
        action: str,
        client: str,
        requirements: PropertySet,
        toolchain: Digest | None,
        priority: int,
        do_not_cache: bool,
        timeout: float,
        user: str,
        wait_at_most: float,
        alike: str = "",
    ) -> None:
        """A client submits one of a few actions, so that many are merged."""
        self.count += 1
        name = OperationId(f"o{self.count}")
        effects = self.core.do(
            OperationSubmitted(
                now=self.core.now,
                operation=name,
                session=SessionId(client),
                namespace=Namespace("team"),
                build=BuildId(f"build of {client}"),
                action=digest(f"{action} {sorted(requirements)} {toolchain}"),
                input_root=digest(action),
                toolchain=toolchain,
                requirements=requirements,
                priority=priority,
                timeout=timeout,
                do_not_cache=do_not_cache,
                user=user,
                kin=digest(action),
                rank=float(ord(action[0])),
                deadline=self.core.now + wait_at_most,
                alike=alike,
            )
        )
        answers = [e for e in effects if isinstance(e, AcceptOperation | RejectOperation)]
        assert [answer.operation for answer in answers] == [name]
        self.take(effects)

    @rule(
        first=st.sampled_from(["g", "m"]),
        size=st.integers(3, 6),
        alike=st.sampled_from(["", "c", "c"]),
    )
    def burst(self, first: str, size: int, alike: str) -> None:
        """A build wants so many actions at once that some have to wait."""
        for letter in range(ord(first), ord(first) + size):
            self.submit(chr(letter), "c1", frozenset(), None, 0, False, 0.0, "", inf, alike)

    @rule(count=st.integers(1, 4), finding=FINDINGS)
    def fail_alike(self, count: int, finding: Finding | None) -> None:
        """What runs fails for one cause, one after another."""
        for lease in [*filter(self.is_current, self.assigned.values())][:count]:
            if self.is_current(lease):
                self.take(self.core.finish(lease, FAILED, 0, finding))

    @rule(number=st.integers(0, 8))
    def cancel(self, number: int) -> None:
        """A client cancels one of its latest operations, ended or not."""
        operation = OperationId(f"o{self.count - number}")
        effects = self.core.do(OperationCancelled(self.core.now, operation))
        assert operation not in self.core.state.operations
        self.take(effects)

    @rule(client=st.sampled_from(["c1", "c2", "c3"]))
    def client_leaves(self, client: str) -> None:
        """A client's session ends and takes its operations with it."""
        self.take(self.core.do(ClientLeft(self.core.now, SessionId(client))))
        assert SessionId(client) not in self.open.values()

    # Workers

    @rule(
        name=NAMES,
        slots=st.integers(1, 3),
        properties=st.sampled_from([LINUX, LINUX, MAC]),
        toolchain=TOOLCHAINS,
        keeps=st.lists(NUMBERS, max_size=3),
        draining=st.sampled_from([False, False, True]),
        memory=st.sampled_from([0, 10, 40]),
        foreign=st.lists(FOREIGN, max_size=2),
    )
    def join(
        self,
        name: str,
        slots: int,
        properties: PropertySet,
        toolchain: Digest | None,
        keeps: list[int],
        draining: bool,
        memory: int,
        foreign: list[HeldLease],
    ) -> None:
        """A worker joins, anew or in place of its own older session, with leases it kept."""
        effects = self.core.join(
            name,
            slots=slots,
            properties=properties,
            toolchains=[] if toolchain is None else [toolchain],
            held=(*(held(lease) for lease in map(self.recent, keeps) if lease), *foreign),
            draining=draining,
            memory=memory,
        )
        self.take(effects)

    @rule(name=NAMES, between=st.sampled_from(["cut", "lost", "replaced", "work"]))
    def rejoin(self, name: str, between: str) -> None:
        """A worker's connection is cut and made again; it kept its leases meanwhile."""
        worker = self.core.state.workers.get(WorkerId(name))
        if worker is None:
            return
        kept = tuple(
            HeldLease(lease.id, lease.epoch, lease.execution.action)
            for lease in worker.leases.values()
        )
        if between == "lost":
            self.take(self.core.leave(name))
        elif between != "replaced":
            self.take(self.core.cut(name))
        if between == "work":
            self.take(self.core.join("w0"))
        self.take(self.core.join(name, slots=worker.slots, held=kept))

    @rule(name=NAMES)
    def leave(self, name: str) -> None:
        """A live worker's session ends."""
        if WorkerId(name) not in self.core.state.workers:
            return
        self.take(self.core.leave(name))

    @rule(name=NAMES)
    def cut(self, name: str) -> None:
        """A live worker's connection breaks."""
        if WorkerId(name) not in self.core.state.workers:
            return
        self.take(self.core.cut(name))

    @rule(name=NAMES, stray=FOREIGN, outcome=OUTCOMES, starts=st.booleans())
    def stray(self, name: str, stray: HeldLease, outcome: Outcome, starts: bool) -> None:
        """A worker tells of what it began before the coordinator did."""
        now, worker = self.core.now, WorkerId(name)
        if starts:
            self.take(self.core.do(LeaseStarted(now, worker, stray.lease, stray.epoch)))
        else:
            event = LeaseFinished(now, worker, stray.lease, stray.epoch, outcome)
            self.take(self.core.do(event))

    @rule(name=NAMES, on=st.booleans())
    def drain(self, name: str, on: bool) -> None:
        """A worker is drained or takes work again."""
        event = WorkerDrain(self.core.now, WorkerId(name), on)
        self.take(self.core.do(event))

    @rule(
        name=NAMES,
        lies=st.lists(NUMBERS, max_size=2),
        honest=st.booleans(),
        free=st.sampled_from([None, 0, 20]),
        room=st.sampled_from([None, 0, 1 << 30]),
    )
    def beat(
        self, name: str, lies: list[int], honest: bool, free: int | None, room: int | None
    ) -> None:
        """A worker sends a heartbeat that may leave out leases and name old ones."""
        if WorkerId(name) not in self.core.state.workers:
            return
        holds = [lease for lease in self.assigned.values() if lease.worker == name and honest]
        worker = self.core.worker(name)
        strays = [HeldLease(s.lease, s.epoch, s.action) for s in worker.strays.values() if honest]
        named = [*map(held, [*holds, *filter(None, map(self.recent, lies))]), *strays]
        event = WorkerHeartbeat(
            self.core.now, worker.name, worker.session, tuple(named), free, room
        )
        effects = self.core.do(event)
        self.take(effects)

    # Leases: any that ever was, in any order, so that most messages are stale

    def silent(self, lease: AssignLease) -> bool:
        """Tell whether any word of a lease's worker lets it have work again."""
        worker = self.core.state.workers.get(lease.worker)
        return worker is not None and worker.hushed

    @rule(number=NUMBERS)
    def accept(self, number: int) -> None:
        """A worker accepts a lease; one that was silent before gets work again."""
        lease = self.recent(number)
        if lease is None:
            return
        silent = self.silent(lease)
        given = self.take(self.core.accept(lease))
        assert silent or not given, given

    @rule(number=NUMBERS)
    def start(self, number: int) -> None:
        """A worker starts a lease."""
        lease = self.recent(number)
        if lease is None:
            return
        silent = self.silent(lease)
        given = self.take(self.core.start(lease))
        assert silent or not given, given

    @rule(number=NUMBERS, outcome=OUTCOMES, text=RESULTS, memory=MEMORY, finding=FINDINGS)
    def finish(
        self, number: int, outcome: Outcome, text: str, memory: int, finding: Finding | None
    ) -> None:
        """A worker finishes a lease; a result that is not current completes nothing."""
        lease = self.recent(number)
        if lease is None:
            return
        current = self.is_current(lease)
        if text and outcome == DONE:
            outcome = Outcome(outcome.kind, ActionResult(exit_code=0, stdout=digest(text)))
        effects = self.core.finish(lease, outcome, memory, finding)
        completions = pick(effects, CompleteOperation)
        assert current or not completions
        if completions:
            assert lease.lease not in self.counted, "one result for each lease and epoch"
            self.counted.add(lease.lease)
        assert not self.is_current(lease)
        self.take(effects)

    @rule(seconds=st.sampled_from([0.5, 2.0]), liar=st.sampled_from(["w1", "w1", "w2", "nobody"]))
    def work(self, seconds: float, liar: str) -> None:
        """The cluster works for a while; one of the workers may get everything wrong."""
        for lease in [*filter(self.is_current, self.assigned.values())]:
            self.take(self.core.start(lease))
        self.take(self.core.tick(seconds))
        wrong = Outcome(OutcomeKind.TOOL, ActionResult(exit_code=0, stdout=digest(liar)))
        for lease in [*filter(self.is_current, self.assigned.values())][::2]:
            self.take(self.core.finish(lease, wrong if lease.worker == liar else DONE))
        self.take(self.core.tick(0.25))

    @rule(
        number=NUMBERS,
        reason=st.sampled_from(RefusalReason),
        toolchain=st.booleans(),
    )
    def reject(self, number: int, reason: RefusalReason, toolchain: bool) -> None:
        """A worker hands a lease back."""
        lease = self.recent(number)
        if lease is None:
            return
        missing = [digest("header")]
        if toolchain and lease.toolchain is not None:
            missing.append(lease.toolchain)
        current = self.is_current(lease)
        effects = self.core.reject(lease, reason, tuple(missing))
        assert current or not pick(effects, CompleteOperation)
        self.take(effects)

    @rule(number=NUMBERS, shift=st.sampled_from([-1, 1]))
    def wrong_epoch(self, number: int, shift: int) -> None:
        """A result of another epoch is fenced off without any effect on its execution."""
        lease = self.recent(number)
        if lease is None:
            return
        epoch = lease.epoch + shift
        assert self.core.scheduler.lease_facts(lease.lease, epoch) is None
        other = AssignLease(
            worker=lease.worker,
            session=lease.session,
            lease=lease.lease,
            epoch=epoch,
            action=lease.action,
            input_root=lease.input_root,
            toolchain=lease.toolchain,
            timeout=lease.timeout,
            attempt=lease.attempt,
        )
        silent = self.silent(lease)
        effects = self.core.finish(other)
        assert silent or not effects, effects
        assert self.take(effects) == effects

    # The rest

    @rule(toolchain=st.sampled_from(["gcc", "clang"]))
    def toolchain(self, toolchain: str) -> None:
        """A toolchain's tree becomes complete in the CAS."""
        event = ToolchainAvailable(self.core.now, digest(toolchain))
        self.take(self.core.do(event))

    @rule(on=st.booleans())
    def coordinator_drain(self, on: bool) -> None:
        """The coordinator is drained or not."""
        assert self.take(self.core.do(CoordinatorDrain(self.core.now, on))) == []

    @rule(seconds=st.sampled_from([0.0, 0.25, 1.0, 3.0, 3.0, 40.0, -20.0]))
    def tick(self, seconds: float) -> None:
        """Time passes, or the clock is set back."""
        self.take(self.core.tick(seconds))

    def teardown(self) -> None:
        """With one healthy worker for each system that answers, everything ends."""
        for name in list(self.core.state.workers):
            self.take(self.core.drain(name, on=False))
        self.take(self.core.join("linux", toolchains=[digest("gcc"), digest("clang")]))
        self.take(self.core.join("mac", properties=MAC, toolchains=[digest("gcc")]))
        for name in [n for n in self.core.state.workers if n not in ("linux", "mac")]:
            if name in self.core.state.workers:
                self.take(self.core.leave(name))
        # A clock that was set back stands still until it is past what it was.
        self.core.now = max(self.core.now, self.core.state.now)
        for _ in range(200):
            if not (self.open or self.core.state.leases):
                break
            for lease in [*self.core.state.leases]:
                if lease in self.assigned:
                    self.take(self.core.finish(self.assigned[lease]))
            self.take(self.core.tick(0.25))
        assert not self.open, "every accepted operation is completed"
        state = self.core.state
        assert not (state.waiting or state.leases or state.flights or state.orphans)
        assert not state.holding_back
        ended = sum(state.totals.completed.values())
        assert ended == len(self.ended) == state.totals.submitted - state.totals.rejected
        assert state.totals.completed[OutcomeKind.CANCELLED] <= ended


TestScheduler = SchedulerMachine.TestCase
TestScheduler.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
