"""Load on one coordinator: many clients with tiny actions, workers that answer at once.

    python tests/bench/load_coordinator.py [--clients 200] [--actions 100] [--window 8]
    python tests/bench/load_coordinator.py --workers 1000 --clients 20 --actions 1500 --rate 1500

Coordinator, workers and clients are three processes, all real protocol over TLS on loopback. Every
action has its own Action and Command blob, is accepted, leased, executed (by a worker that only
uploads one small output), recorded in the action cache and reported; the clients check each result.

With `--rate` clients ask for so many actions a second, whether earlier ones have ended or not, and
workers upload nothing: it measures the scheduling alone, and how long an action takes from the
client's request to a worker's having its lease and back. What the generators themselves need is
told, too: a client that asks later than it should, or generators as busy as the coordinator, mean
that the machine was too small for the rate, not the coordinator.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
for part in ("common", "coordinator", "tests"):
    sys.path.insert(0, str(ROOT / part))

from cyxmake_common.action import (  # noqa: E402
    Action,
    ActionResult,
    Command,
    Directory,
    OutputFile,
    OutputSymlink,
)
from cyxmake_common.digest import Digest  # noqa: E402
from cyxmake_common.loop import run  # noqa: E402
from cyxmake_common.net.blobs import BlobClient  # noqa: E402
from cyxmake_common.net.connection import Connection  # noqa: E402
from cyxmake_common.net.token import JoinToken  # noqa: E402
from cyxmake_common.net.wss import Introduction, connect  # noqa: E402
from cyxmake_common.outcome import OutcomeKind  # noqa: E402
from cyxmake_common.protocol.messages import (  # noqa: E402
    Channel,
    Heartbeat,
    JobComplete,
    JobFailed,
    JobReject,
    JobRequest,
    LeaseAccept,
    LeaseOffer,
    LeaseProgress,
    LeaseResult,
    WorkerFacts,
)
from support.processes import Program, environment, python, start  # noqa: E402

SOURCE = b"int main(void) { return 0; }\n"
TREE = Directory(files=(("a.c", Digest.of(SOURCE), False),)).to_bytes()
SLOTS = 32


@dataclass
class Figures:
    """What a run showed."""

    actions: int
    seconds: float
    p50_ms: float
    p99_ms: float
    dispatch_p50_ms: float
    """From a client's request to a worker's having the lease; 0 where it was not told."""
    dispatch_p99_ms: float
    late_p99_ms: float
    """How long after its time a client asked; 0 without a rate."""
    generator_ms_per_action: float
    """CPU time of clients and workers together."""
    connect_seconds: float
    upload_cpu_seconds: float
    cpu_ms_per_action: float
    max_rss_mib: float

    @property
    def rate(self) -> float:
        """Return actions per second."""
        return self.actions / self.seconds

    def text(self) -> str:
        """Return the figures for people."""
        dispatch = ""
        if self.dispatch_p50_ms:
            dispatch = (
                f"from request to a worker's having it: p50 {self.dispatch_p50_ms:.1f} ms,"
                f" p99 {self.dispatch_p99_ms:.1f} ms\n"
            )
        return (
            f"{self.actions} actions in {self.seconds:.1f} s: {self.rate:.0f}/s,"
            f" p50 {self.p50_ms:.0f} ms, p99 {self.p99_ms:.0f} ms (queue included)\n"
            f"{dispatch}"
            f"coordinator: {self.cpu_ms_per_action:.2f} ms CPU per action,"
            f" max RSS {self.max_rss_mib:.0f} MiB\n"
            f"generators: {self.generator_ms_per_action:.2f} ms CPU per action,"
            f" p99 {self.late_p99_ms:.1f} ms behind their schedule\n"
            f"before: clients connected and uploaded in {self.connect_seconds:.1f} s,"
            f" coordinator {self.upload_cpu_seconds:.1f} s CPU"
        )


def bulk_of(token: JoinToken, control: Connection, cache: Path) -> BlobClient:
    """Return the blob client that belongs to a control connection."""
    introduction = Introduction(Channel.BULK, session=control.session)
    return BlobClient(lambda: connect(token, introduction, authority_cache=cache))


# ── workers ─────────────────────────────────────────────────────────────────────────────────────


async def work(control: Connection, blobs: BlobClient, uploads: bool) -> None:
    """Answer every lease at once: with one small output, or with a link that names the moment."""
    held: set[str] = set()
    tasks: set[asyncio.Task[None]] = set()

    async def answer(offer: LeaseOffer, offered: float) -> None:
        held.add(offer.lease)
        control.send_soon(LeaseAccept(lease=offer.lease, epoch=offer.epoch))
        stage = LeaseProgress(lease=offer.lease, epoch=offer.epoch, stage="executing")
        control.send_soon(stage)
        if uploads:
            output = b"object of " + offer.action.hash.encode()
            digest = Digest.of(output)
            await blobs.put_many([(digest, output)])
            result = ActionResult(0, outputs=(OutputFile("a.o", digest),), seconds=0.001)
        else:
            moment = OutputSymlink("offered", repr(offered))
            result = ActionResult(0, symlinks=(moment,), seconds=0.001)
        control.send_soon(
            LeaseResult(
                lease=offer.lease,
                epoch=offer.epoch,
                kind=OutcomeKind.TOOL,
                result=result.to_bytes(),
            )
        )
        held.discard(offer.lease)

    async def beat() -> None:
        # Machines do not start in the same instant.
        await asyncio.sleep(random.uniform(0, control.welcome.heartbeat_seconds))
        while True:
            await asyncio.sleep(control.welcome.heartbeat_seconds)
            control.send_soon(Heartbeat(leases=tuple(held)))

    beating = asyncio.ensure_future(beat())
    async for envelope in control.messages():
        if isinstance(envelope.message, LeaseOffer):
            task = asyncio.ensure_future(answer(envelope.message, time.perf_counter()))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    beating.cancel()


async def run_workers(token: JoinToken, cache: Path, count: int, uploads: bool) -> None:
    """Run workers until the coordinator goes."""
    room = asyncio.Semaphore(16)

    async def join(number: int) -> Connection:
        async with room:
            facts = WorkerFacts(name=f"w{number}", slots=SLOTS)
            return await connect(token, Introduction(worker=facts), authority_cache=cache)

    joined = await asyncio.gather(*(join(number) for number in range(count)))
    works = [work(control, bulk_of(token, control, cache), uploads) for control in joined]
    print("workers ready", flush=True)
    await asyncio.gather(*works)


# ── clients ─────────────────────────────────────────────────────────────────────────────────────


class Client:
    """One client with its own actions, a bounded number of them in flight."""

    def __init__(self, number: int, control: Connection, blobs: BlobClient) -> None:
        self.number = number
        self.control = control
        self.blobs = blobs
        self.latencies: list[float] = []
        self.dispatched: list[float] = []
        """Seconds from each request to the worker's having it, where workers tell the moment."""
        self.late: list[float] = []
        """Seconds that each request was behind the schedule."""
        self._begun: dict[str, float] = {}
        self._ends: dict[str, asyncio.Future[None]] = {}
        self._reader = asyncio.ensure_future(self._read())

    async def prepare(self, count: int) -> list[Digest]:
        """Upload the blobs of this client's actions."""
        actions: list[Digest] = []
        items: list[tuple[Digest, bytes]] = [(Digest.of(blob), blob) for blob in (SOURCE, TREE)]
        for number in range(count):
            argv = ("cc", "-c", "a.c", f"-DN={self.number}_{number}")
            command = Command(argv, output_paths=("a.o",)).to_bytes()
            action = Action(Digest.of(command), Digest.of(TREE)).to_bytes()
            items += [(Digest.of(command), command), (Digest.of(action), action)]
            actions.append(Digest.of(action))
        await self.blobs.put_many(items)
        return actions

    async def build(self, actions: list[Digest], window: int) -> None:
        """Have all actions done, so many at a time."""
        room = asyncio.Semaphore(window)

        async def one(name: str, action: Digest) -> None:
            async with room:
                await self._ask(name, action)

        await asyncio.gather(*(one(str(i), action) for i, action in enumerate(actions)))

    async def ask_steadily(self, actions: list[Digest], begin: float, every: float) -> None:
        """Ask for an action every so many seconds, from a moment on, and wait for all."""
        ends: list[asyncio.Future[None]] = []
        for number, action in enumerate(actions):
            wait = begin + number * every - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            self.late.append(time.perf_counter() - begin - number * every)
            ends.append(self._ask(str(number), action))
        await asyncio.gather(*ends)

    def _ask(self, name: str, action: Digest) -> asyncio.Future[None]:
        self._begun[name] = time.perf_counter()
        end = self._ends[name] = asyncio.get_running_loop().create_future()
        self.control.send_soon(JobRequest(operation=name, build="b", action=action))
        return end

    async def close(self) -> None:
        """Close both connections."""
        await self.blobs.close()
        await self.control.close()
        await self._reader

    async def _read(self) -> None:
        async for envelope in self.control.messages():
            message = envelope.message
            if isinstance(message, JobComplete):
                result = ActionResult.from_bytes(message.result)
                assert result.exit_code == 0
                begun = self._begun.pop(message.operation)
                if result.symlinks:
                    self.dispatched.append(float(result.symlinks[0].target) - begun)
                else:
                    assert len(result.outputs) == 1
                self.latencies.append(time.perf_counter() - begun)
                self._ends.pop(message.operation).set_result(None)
            elif isinstance(message, JobFailed | JobReject):
                error = AssertionError(f"{message.type} {message}")
                self._ends.pop(message.operation).set_exception(error)


async def run_clients(
    token: JoinToken,
    cache: Path,
    clients: int,
    actions: int,
    window: int,
    rate: float,
    uploaded: Callable[[], None],
) -> tuple[float, float, list[Client]]:
    """Return the seconds for set-up, for all builds, and the clients with what they saw."""
    begun = time.perf_counter()

    async def open_client(number: int) -> tuple[Client, list[Digest]]:
        control = await connect(token, Introduction(program="load"), authority_cache=cache)
        client = Client(number, control, bulk_of(token, control, cache))
        return client, await client.prepare(actions)

    room = asyncio.Semaphore(16)

    async def bounded(number: int) -> tuple[Client, list[Digest]]:
        async with room:
            return await open_client(number)

    made = await asyncio.gather(*(bounded(number) for number in range(clients)))
    uploaded()
    print("clients ready", file=sys.stderr, flush=True)
    ready = time.perf_counter()
    if rate:
        every = clients / rate
        starts = ((ready + number / rate, each) for number, each in enumerate(made))
        builds = [each[0].ask_steadily(each[1], start, every) for start, each in starts]
    else:
        builds = [client.build(digests, window) for client, digests in made]
    await asyncio.gather(*builds)
    ended = time.perf_counter()
    await asyncio.gather(*(client.close() for client, _ in made))
    return ready - begun, ended - ready, [client for client, _ in made]


# ── the run ─────────────────────────────────────────────────────────────────────────────────────


class Watch:
    """Watches a process from a thread: its largest resident set, its CPU time."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.max_rss = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            while not self._ended.wait(0.2):
                self.max_rss = max(self.max_rss, self._process.memory_info().rss)

    def cpu(self) -> float:
        """Return the CPU seconds so far."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def stop(self) -> None:
        """Stop watching."""
        self._ended.set()
        self._thread.join()


@contextlib.contextmanager
def programs(
    home: Path, workers: int, serve: list[str], uploads: bool
) -> Iterator[tuple[Program, Program, JoinToken]]:
    """Run a coordinator and the workers' process; yield them with a client's token."""
    data = str(home / "data")
    env = environment()
    coordinator = start(
        [
            *(serve or python("cyxmake_coordinator.main")),
            "serve",
            "--port",
            "0",
            "--data-dir",
            data,
        ],
        home / "coordinator.log",
        env,
    )

    def token(role: str) -> str:
        argv = python("cyxmake_coordinator.main", "token", "create", "--role", role)
        argv += ["--data-dir", data]
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout

    env["CYXMAKE_LOAD_TOKEN"] = token("worker")
    argv = [sys.executable, str(Path(__file__)), "--as-workers", str(workers), "--home", str(home)]
    argv += [] if uploads else ["--rate", "1"]
    hands = start(argv, home / "workers.log", env)
    try:
        yield coordinator, hands, JoinToken.parse(token("client"))
    finally:
        coordinator.stop()
        hands.stop()


def measure(
    home: Path,
    *,
    clients: int = 200,
    actions: int = 100,
    window: int = 8,
    workers: int = 2,
    rate: float = 0.0,
    serve: list[str] | None = None,
) -> Figures:
    """Run the load once."""
    raise_file_limit()
    with programs(home, workers, serve or [], uploads=not rate) as (coordinator, hands, token):
        watch, hands_watch, own = Watch(coordinator.pid), Watch(hands.pid), psutil.Process()
        cpu: list[tuple[float, float]] = []

        def note() -> None:
            times = own.cpu_times()
            cpu.append((watch.cpu(), hands_watch.cpu() + times.user + times.system))

        note()
        setup, seconds, done = run(
            asyncio.wait_for(
                run_clients(token, home, clients, actions, window, rate, note),
                300,
            )
        )
        note()
        watch.stop()
        hands_watch.stop()
    latencies = sorted(latency for client in done for latency in client.latencies)
    dispatched = sorted(seconds for client in done for seconds in client.dispatched)
    late = sorted(seconds for client in done for seconds in client.late)
    total = len(latencies)
    return Figures(
        actions=total,
        seconds=seconds,
        p50_ms=_share(latencies, 0.5) * 1000,
        p99_ms=_share(latencies, 0.99) * 1000,
        dispatch_p50_ms=_share(dispatched, 0.5) * 1000,
        dispatch_p99_ms=_share(dispatched, 0.99) * 1000,
        late_p99_ms=_share(late, 0.99) * 1000,
        generator_ms_per_action=(cpu[2][1] - cpu[1][1]) * 1000 / total,
        connect_seconds=setup,
        upload_cpu_seconds=cpu[1][0] - cpu[0][0],
        cpu_ms_per_action=(cpu[2][0] - cpu[1][0]) * 1000 / total,
        max_rss_mib=watch.max_rss / 2**20,
    )


def _share(ordered: list[float], share: float) -> float:
    return ordered[int(len(ordered) * share)] if ordered else 0.0


def raise_file_limit() -> None:
    """Let this process have a few thousand sockets, where that is limited."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--actions", type=int, default=100)
    parser.add_argument("--window", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rate", type=float, default=0.0, help="actions a second; 0: as they end")
    parser.add_argument("--profile", type=Path, help="write a cProfile of the coordinator here")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--as-workers", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    raise_file_limit()
    gc.disable()  # a walk through a thousand connections would count as the coordinator's delay
    if options.as_workers:
        token = JoinToken.parse(os.environ["CYXMAKE_LOAD_TOKEN"])
        run(run_workers(token, options.home, options.as_workers, not options.rate))
        return
    serve = None
    if options.profile:
        serve = [sys.executable, "-m", "cProfile", "-o", str(options.profile)]
        serve += ["-m", "cyxmake_coordinator.main"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        figures = measure(
            Path(home),
            clients=options.clients,
            actions=options.actions,
            window=options.window,
            workers=options.workers,
            rate=options.rate,
            serve=serve,
        )
    print(json.dumps(vars(figures)) if options.json else figures.text())


if __name__ == "__main__":
    main()
