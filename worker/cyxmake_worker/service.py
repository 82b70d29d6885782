"""The whole worker, built from top to bottom: directory, facts, store, sandbox, connection.

Knows nothing of command lines. Everything that is opened here is closed here, in reverse.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from cyxmake_common.cas.disk import DiskStore
from cyxmake_common.compound import COMPOUND
from cyxmake_common.digest import Digest
from cyxmake_common.execution.executor import ExecutionRequest, Executor
from cyxmake_common.net.blobs import BlobClient
from cyxmake_common.net.connection import Connection
from cyxmake_common.net.token import JoinToken
from cyxmake_common.protocol.messages import TreesGone, WorkerFacts
from cyxmake_worker import host
from cyxmake_worker.config import STDIN, WorkerConfig
from cyxmake_worker.control import Control, Door
from cyxmake_worker.core.effects import Exit
from cyxmake_worker.core.state import CoreConfig
from cyxmake_worker.data_dir import DataDir, occupied
from cyxmake_worker.entries import EntryRecorder
from cyxmake_worker.executors.compound import Allowed
from cyxmake_worker.executors.sandboxed import ExecutorSettings, SandboxedExecutor
from cyxmake_worker.fetch import Fetcher
from cyxmake_worker.host_tools import HostTools, find_host_tools, find_own_tools
from cyxmake_worker.inputs import InputRoots
from cyxmake_worker.probe_cache import ProbeCache
from cyxmake_worker.proofs import ToolchainProofs
from cyxmake_worker.report import ReportFile, WorkerReport
from cyxmake_worker.sandbox.base import SandboxKind
from cyxmake_worker.sandbox.probe import Chosen, choose_sandbox
from cyxmake_worker.shell import Surroundings, WorkerShell
from cyxmake_worker.stand_ins import StandInExecutor, StandIns, find_local_tools, offered
from cyxmake_worker.substitutes import LocalTool
from cyxmake_worker.toolchains import NAMES, LocalToolchains, find_toolchains
from cyxmake_worker.work import LeaseJobs, NoEntries, Recorder, Workshop

PROGRAM: Final = "cyxmake-worker"
_log = structlog.get_logger(__name__)


async def serve(config: WorkerConfig, announce: Callable[[str], None]) -> Exit:
    """Work until told to stop; `announce` gets the one ready line. Raises CyxError."""
    early = None if config.token_file == STDIN else config.join_token()
    data = DataDir(config.effective_data_dir)
    data.prepare()
    with occupied(data):
        async with AsyncExitStack() as stack:
            machine = await _Machine.open(config, data, stack)
            # Whoever starts us with a pipe may still have to make the token: be ready by then.
            token = early or await _in_daemon(config.join_token)
            if config.discover:
                from cyxmake_common.net.discovery import locate

                token = await locate(token, data.authorities)
            report = ReportFile(data.root)
            report.clear()
            stack.callback(report.clear)
            shell = await _build(config, data, machine, _Joining(token, announce, report), stack)
            with _signals(shell.leave):
                return await shell.run()


@dataclass(frozen=True, slots=True)
class _Machine:
    """What stands here whether or not a coordinator can be reached."""

    facts: WorkerFacts
    toolchains: LocalToolchains
    equals: tuple[LocalTool, ...]
    store: DiskStore
    sandbox: Chosen
    shown: HostTools | None

    @classmethod
    async def open(cls, config: WorkerConfig, data: DataDir, stack: AsyncExitStack) -> _Machine:
        """Look at the machine and open the store, all at the same time."""
        limit = config.cas_limit_bytes or data.default_limit()
        cache = ProbeCache(data.probes)
        store, sandbox, tools, toolchains, equals = await asyncio.gather(
            DiskStore(data.cas, limit).open(),
            choose_sandbox(
                data.run / "sandbox",
                allow_mapped=config.allow_mapped,
                network=config.allow_network,
                slots=config.effective_slots,
            ),
            host.find_tools(cache),
            _toolchains(config, data),
            find_local_tools(cache),
        )
        stack.push_async_callback(store.close)
        stack.push_async_callback(sandbox.sandbox.close)
        cache.save()
        if sandbox.kind is SandboxKind.NONE:
            _log.error("no-sandbox", reason="; ".join(sandbox.tried))
        for step in sandbox.advice:
            _log.warning("sandbox-advice", next=step)
        shown = None
        if config.host_tools and sandbox.kind is SandboxKind.NAMESPACE:
            shown = find_host_tools(
                data.run / "host",
                extra=config.host_dirs,
                variables=config.host_env,
                jobs=config.effective_slots,
            )
        elif config.host_tools and sandbox.kind is SandboxKind.MAPPED and sys.platform == "win32":
            shown = find_own_tools(
                data.run / "host", variables=config.host_env, jobs=config.effective_slots
            )
        facts = host.worker_facts(
            config.effective_name,
            config.effective_slots,
            host.offered_properties(
                sandbox.kind.value,
                config.labels,
                shown.tools if shown is not None else (),
                network=config.allow_network,
                equals=offered(equals, toolchains),
            ),
            data.root,
            toolchains.facts(),
            tools,
        )
        return cls(facts, toolchains, equals, store, sandbox, shown)


@dataclass(frozen=True, slots=True)
class _Joining:
    """How to come in, and whom to tell."""

    token: JoinToken
    announce: Callable[[str], None]
    report: ReportFile


async def _build(
    config: WorkerConfig, data: DataDir, machine: _Machine, joining: _Joining, stack: AsyncExitStack
) -> WorkerShell:
    """Put the worker together around an open machine."""
    facts, store = machine.facts, machine.store
    control = Control(Door(joining.token, data.authorities, PROGRAM), facts, data.root)
    blobs = BlobClient(control.connect_bulk)
    stack.push_async_callback(blobs.close)
    fetcher = Fetcher(blobs, store)

    def evicted(tree: Digest) -> None:
        if tree not in machine.toolchains:
            control.tell(TreesGone(trees=(tree,)))

    roots = InputRoots(store, data.run / "roots", fetcher.ensure, evicted=evicted)
    await roots.open()
    stack.push_async_callback(roots.close)
    settings = ExecutorSettings(
        worker=facts.name,
        timeout=config.max_action_seconds,
        allowed=Allowed(machine.shown, config.allow_network, facts.slots),
    )
    sandboxed = SandboxedExecutor(
        roots, machine.sandbox.sandbox, store, data.run / "scratch", settings
    )
    await sandboxed.open()
    stack.push_async_callback(sandboxed.close)
    stand_ins = StandIns(machine.equals, fetcher, store, machine.toolchains)
    executor = StandInExecutor(sandboxed, stand_ins)

    async def seed(tree: Digest) -> None:
        await machine.toolchains.seed(tree, store)
        await stand_ins.seed(tree)

    identity = host.machine_identity(machine.sandbox.kind.value)
    proofs = ToolchainProofs(executor, store, data.proofs, identity)
    stack.push_async_callback(proofs.close)
    recorder = _recorder(store, executor, stack)
    work = LeaseJobs(
        Workshop(
            name=facts.name,
            fetcher=fetcher,
            store=store,
            roots=roots,
            seed=seed,
            stand_ins=stand_ins,
            executor=executor,
            proofs=proofs,
            uploader=blobs,
            recorder=recorder,
            ask=control.ask,
            tell=control.tell,
            unfit=_unfit(stand_ins),
            can_execute=machine.sandbox.kind is not SandboxKind.NONE,
        )
    )
    return WorkerShell(
        CoreConfig(slots=facts.slots, prefetch=config.prefetch, once=config.once),
        Surroundings(
            connect=control.connect,
            work=work,
            read_load=functools.partial(_beat, joining.report, data.root),
            joined=_Welcome(facts, machine.sandbox.kind, joining),
            debug=config.log_level == "debug",
        ),
    )


def _unfit(stand_ins: StandIns) -> Callable[[ExecutionRequest], str]:
    """Return what tells why a command is not run on this system, empty if it is."""
    if sys.platform != "win32":
        return lambda request: ""
    from cyxmake_worker.sandbox.windows_rules import refusal

    def unfit(request: ExecutionRequest) -> str:
        # A whole project is built by programs of this machine, whatever they are.
        if request.action.property(COMPOUND):
            return ""
        return refusal(stand_ins.request(request).command.arguments)

    return unfit


def _recorder(store: DiskStore, executor: Executor, stack: AsyncExitStack) -> Recorder:
    if sys.platform == "win32":
        return NoEntries()
    recorder = EntryRecorder(store, store.path_of, executor)
    stack.callback(recorder.close)
    return recorder


def _beat(report: ReportFile, data_dir: Path) -> host.Load:
    report.beat()
    return host.read_load(data_dir)


class _Welcome:
    """Tells that the worker has joined: on standard output the first time, else in the log."""

    def __init__(self, facts: WorkerFacts, sandbox: SandboxKind, joining: _Joining) -> None:
        self._facts = facts
        self._sandbox = sandbox
        self._joining = joining
        self._told = False

    def __call__(self, connection: Connection) -> None:
        address = self._joining.token.address
        self._joining.report.joined(
            WorkerReport(
                pid=os.getpid(),
                name=self._facts.name,
                address=address,
                slots=self._facts.slots,
                sandbox=self._sandbox.value,
                heartbeat_seconds=connection.welcome.heartbeat_seconds,
            )
        )
        if not self._told:
            self._told = True
            slots = self._facts.slots
            self._joining.announce(f"{PROGRAM} {self._facts.name} joined {address} ({slots} slots)")
        _log.info("joined", address=address, session=connection.session)


async def _toolchains(config: WorkerConfig, data: DataDir) -> LocalToolchains:
    """Return the compilers to offer; for the coordinator of one build not those for others."""
    if not config.probe_toolchains:
        return LocalToolchains()
    return await find_toolchains(data.toolchains, names=NAMES if config.once else None)


async def _in_daemon(read: Callable[[], JoinToken]) -> JoinToken:
    """Call what may block for ever, in a thread that does not keep the program alive."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[JoinToken] = loop.create_future()

    def settle(token: JoinToken | None, error: Exception | None) -> None:
        if done.done():
            return
        if token is not None:
            done.set_result(token)
        elif error is not None:
            done.set_exception(error)

    def run() -> None:
        token: JoinToken | None = None
        error: Exception | None = None
        try:
            token = read()
        except Exception as raised:  # handed to whoever waits
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(settle, token, error)

    threading.Thread(target=run, daemon=True).start()
    return await done


@contextlib.contextmanager
def _signals(leave: Callable[[], None]) -> Iterator[None]:
    """Let SIGTERM and SIGINT ask the worker to leave; a second one makes it leave at once."""
    loop = asyncio.get_running_loop()
    if sys.platform == "win32":
        before = {
            number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(leave))
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
