"""Measures what processor time an event costs the scheduler core: clients × operations, workers.

Knows nothing of the network; run it as `python tests/bench/bench_scheduler.py [--workers N]`.
"""

from __future__ import annotations

import argparse
import heapq
import time
from collections import defaultdict
from statistics import quantiles

from cyxmake_common.action import ActionResult
from cyxmake_common.digest import Digest
from cyxmake_common.ids import BuildId, Namespace, OperationId, SessionId, WorkerId
from cyxmake_common.outcome import Outcome, OutcomeKind
from cyxmake_coordinator.core.effects import AssignLease, CompleteOperation
from cyxmake_coordinator.core.events import (
    Event,
    HeldLease,
    LeaseFinished,
    LeaseStarted,
    OperationSubmitted,
    Tick,
    WorkerHeartbeat,
    WorkerJoined,
)
from cyxmake_coordinator.core.scheduler import Scheduler

DONE = Outcome(OutcomeKind.TOOL, ActionResult(exit_code=0))
LINUX = frozenset({("OSFamily", "linux"), ("ISA", "x86-64")})


class Bench:
    """A scheduler with virtual workers, and the time each kind of event took."""

    def __init__(self, workers: int, slots: int) -> None:
        self.scheduler = Scheduler()
        self.costs: dict[str, list[float]] = defaultdict(list)
        self.agenda: list[tuple[float, int, Event]] = []
        self.order = 0
        self.completed = 0
        self.held: dict[WorkerId, dict[str, HeldLease]] = defaultdict(dict)
        self.names = [WorkerId(f"w{number:04}") for number in range(workers)]
        for name in self.names:
            self.handle(WorkerJoined(0.0, name, SessionId(f"s-{name}"), slots, LINUX))

    def handle(self, event: Event) -> None:
        """Handle one event, measured, and answer its effects as workers would."""
        before = time.thread_time()
        effects = self.scheduler.handle(event)
        self.costs[type(event).__name__].append(time.thread_time() - before)
        for effect in effects:
            if isinstance(effect, AssignLease):
                self.answer(event.now, effect)
            elif isinstance(effect, CompleteOperation):
                self.completed += 1

    def answer(self, now: float, lease: AssignLease) -> None:
        """Let a worker start an action at once and finish it a little later."""
        self.held[lease.worker][lease.lease] = HeldLease(lease.lease, lease.epoch, lease.action)
        start = now + 0.001
        end = start + 0.05 + (int(lease.action.hash[:4], 16) % 100) / 1000
        self.plan(LeaseStarted(start, lease.worker, lease.lease, lease.epoch))
        self.plan(LeaseFinished(end, lease.worker, lease.lease, lease.epoch, DONE))

    def plan(self, event: Event) -> None:
        """Put an event on the agenda."""
        self.order += 1
        heapq.heappush(self.agenda, (event.now, self.order, event))

    def run(self) -> None:
        """Work the agenda off, with ticks and heartbeats in between."""
        next_tick, next_beat = 0.0, 1.0
        while self.agenda:
            now, _, event = heapq.heappop(self.agenda)
            if now >= next_tick:
                next_tick = now + 0.25
                self.handle(Tick(now))
            if now >= next_beat:
                next_beat = now + 1.0
                for name in self.names:
                    held = tuple(self.held[name].values())
                    self.handle(WorkerHeartbeat(now, name, SessionId(f"s-{name}"), held))
            if isinstance(event, LeaseFinished):
                self.held[event.worker].pop(event.lease, None)
            self.handle(event)


def submissions(clients: int, each: int, now: float) -> list[OperationSubmitted]:
    """Return every client's operations, the clients taking turns."""
    return [
        OperationSubmitted(
            now=now,
            operation=OperationId(f"{client}-{number}"),
            session=SessionId(f"c{client}"),
            namespace=Namespace("team"),
            build=BuildId(f"b{client}"),
            action=Digest.of(f"{client}/{number}".encode()),
            input_root=Digest.of(f"root {client}".encode()),
            requirements=LINUX,
        )
        for number in range(each)
        for client in range(clients)
    ]


def report(bench: Bench) -> None:
    """Print the cost per event, by kind and in all."""
    everything: list[float] = []
    print(f"{'event':<20}{'count':>8}{'mean µs':>10}{'p50':>8}{'p99':>8}{'max':>9}")
    for kind, costs in [*sorted(bench.costs.items()), ("all", everything)]:
        micros = [cost * 1e6 for cost in costs]
        cuts = quantiles(micros, n=100) if len(micros) > 1 else micros * 99
        mean, worst = sum(micros) / len(micros), max(micros)
        print(
            f"{kind:<20}{len(micros):>8}{mean:>10.1f}{cuts[49]:>8.1f}{cuts[98]:>8.1f}{worst:>9.1f}"
        )
        everything.extend(costs)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=50)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--operations", type=int, default=100, help="of each client")
    options = parser.parse_args()
    bench = Bench(options.workers, options.slots)
    for event in submissions(options.clients, options.operations, now=0.0):
        bench.handle(event)
    bench.run()
    print(f"{bench.completed} operations on {options.workers} workers of {options.slots} slots")
    report(bench)
    print(bench.scheduler)


if __name__ == "__main__":
    main()
