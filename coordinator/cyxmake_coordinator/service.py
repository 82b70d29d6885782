"""The whole coordinator, built from top to bottom: directory, keys, stores, core, doors.

Knows nothing of command lines. Everything that is opened here is closed here, in reverse.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Final

import structlog

from cyxmake_common import clock
from cyxmake_common.errors import ConfigError
from cyxmake_common.file_lock import FileLock
from cyxmake_common.net.tls import (
    authority_fingerprint,
    authority_pem,
    create_authority,
    server_context,
)
from cyxmake_common.net.wss import Server, Service
from cyxmake_common.protocol.messages import Goodbye
from cyxmake_coordinator import embedded
from cyxmake_coordinator.auth.sessions import Sessions
from cyxmake_coordinator.closures import Closures
from cyxmake_coordinator.config import CoordinatorConfig
from cyxmake_coordinator.core.scheduler import Scheduler
from cyxmake_coordinator.core.settings import Settings
from cyxmake_coordinator.data_dir import DataDir
from cyxmake_coordinator.door import (
    advertised,
    host_names,
    keep_admin_token,
    keep_worker_token,
    open_tokens,
)
from cyxmake_coordinator.findings import Findings
from cyxmake_coordinator.garbage import collect_between_builds
from cyxmake_coordinator.gateways import http
from cyxmake_coordinator.gateways.house import House
from cyxmake_coordinator.gateways.peers import PeerGateway
from cyxmake_coordinator.intake import Intake
from cyxmake_coordinator.journal import JournallingScheduler, tell_ends
from cyxmake_coordinator.shell import Shell
from cyxmake_coordinator.storage import Storage, open_storage
from cyxmake_coordinator.version import version

_FAREWELL_SECONDS: Final = 0.4
_LOCK_TRIES: Final = 10
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Stopping:
    """The wish to stop, from a signal, the command line or the end of the build we live in."""

    event: asyncio.Event = field(default_factory=asyncio.Event)
    deaf_peers: bool = False
    """Whether some peer had not closed its connection when everything else was done."""

    def wish(self) -> None:
        """Stop in order; the second time, at once."""
        if self.event.is_set():
            os._exit(1)
        self.event.set()


async def serve(
    config: CoordinatorConfig,
    announce: Callable[[str], None],
    *,
    embed: bool = False,
    stopping: Stopping | None = None,
) -> None:
    """Serve until told to stop; `announce` gets the one ready line. Raises ConfigError."""
    stopping = stopping or Stopping()
    data = DataDir(config.data_dir)
    data.prepare()
    lock = await _lock(data)
    try:
        data.stop_wish.unlink(missing_ok=True)
        with data.setup_lock():
            create_authority(data.tls, host_names(config))
        with _signals(stopping):
            await _serve_locked(config, data, stopping, announce, embed)
    finally:
        lock.release()


async def _lock(data: DataDir) -> FileLock:
    lock = data.lock()
    for _ in range(_LOCK_TRIES):
        if lock.try_acquire():
            return lock
        # Another program that only looks whether somebody serves holds it for an instant.
        await asyncio.sleep(0.02)
    raise ConfigError(
        f"another coordinator runs on {data.root}",
        next_step="stop it (cyxmake-coordinator stop), or choose another --data-dir",
    )


async def _serve_locked(
    config: CoordinatorConfig,
    data: DataDir,
    stopping: Stopping,
    announce: Callable[[str], None],
    embed: bool,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        tokens = await open_tokens(data)
        stack.push_async_callback(tokens.close)
        storage = await stack.enter_async_context(open_storage(data, config))
        house = _build_house(config, storage)
        stack.push_async_callback(house.closures.close)
        stack.push_async_callback(house.shell.close)
        sessions = Sessions(tokens)
        gateway = PeerGateway(house, tokens, sessions, config.heartbeat_seconds)
        # An embedded cluster does not come back; any other may just be restarted.
        goodbye = Goodbye(reason="the coordinator stops", retry=not embed)
        server = await stack.enter_async_context(
            _listening(config, data, (gateway, _pages(config, house)), stopping, goodbye)
        )
        address = advertised(config, server.port)
        await keep_admin_token(data, tokens, address)
        await keep_worker_token(config, data, tokens, address)
        stack.enter_context(data.announce(address))
        if config.announce:
            from cyxmake_common.net.discovery import announced

            fingerprint = authority_fingerprint(data.tls)
            await stack.enter_async_context(announced(config.host, server.port, fingerprint))
        work = [
            house.shell.run(),
            sessions.watch(),
            _watch_stop_wish(data, stopping),
            collect_between_builds(lambda: house.shell.idle),
        ]
        line = f"cyxmake-coordinator ready at {address}"
        if embed:
            line = await embedded.announce_line(data, tokens, address)
            stack.callback(data.embedded.unlink, missing_ok=True)
            work.append(embedded.live_with_parent(lambda: house.shell.clients, stopping.wish))
        async with _running(work):
            _log.info("serving", address=address, data_dir=str(data.root))
            if config.host not in _LOOPBACK:
                _log.warning("listening_beyond_this_machine", host=config.host)
            announce(line)
            await stopping.event.wait()
            _log.info("stopping", clients=house.shell.clients)


def _pages(config: CoordinatorConfig, house: House) -> http.Pages:
    secret = http.metrics_secret(config.metrics_token_file)
    if not secret:
        return http.Pages("", lambda: ("", b""))
    from cyxmake_coordinator.gateways.metrics import Figures

    return http.Pages(secret, Figures(house))


def _build_house(config: CoordinatorConfig, storage: Storage) -> House:
    settings = Settings(
        placement=config.placement,
        user_weights=config.user_weights,
        user_slots=config.user_slots,
        queue_limit=config.queue_limit,
        user_queue_limit=config.user_queue_limit,
        audit_every=config.audit_every,
        worker_timeout=config.worker_timeout_seconds,
    )
    debug = config.log_level == "debug"
    kind = JournallingScheduler if debug else Scheduler
    scheduler = kind(settings, incarnation=os.urandom(4).hex(), checked=debug)
    closures = Closures(storage.blobs, clock.monotonic)
    return House(
        shell=Shell(
            scheduler,
            storage.actions,
            closures,
            clock.monotonic,
            ended=tell_ends if debug else None,
        ),
        intake=Intake(storage.blobs, storage, closures),
        closures=closures,
        storage=storage,
        findings=Findings(storage.blobs),
        version=version(),
        now=clock.monotonic,
        started=clock.monotonic(),
    )


@contextlib.asynccontextmanager
async def _listening(
    config: CoordinatorConfig,
    data: DataDir,
    doors: tuple[PeerGateway, http.Pages],
    stopping: Stopping,
    goodbye: Goodbye,
) -> AsyncIterator[Server]:
    gateway, pages = doors
    service = Service(
        authenticate=gateway.authenticate,
        on_connection=gateway.on_connection,
        http_get=pages.answer,
        authority_pem=authority_pem(data.tls),
    )
    try:
        server = await Server.serve(config.host, config.port, server_context(data.tls), service)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {config.host}:{config.port}: {error.strerror or error}",
            next_step="choose another --port (0 takes a free one), or stop what uses it",
        ) from error
    try:
        yield server
    finally:
        # Everyone is told at once; a peer that does not answer must not hold us up.
        try:
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await server.close(goodbye)
        except TimeoutError:
            stopping.deaf_peers = True


@contextlib.asynccontextmanager
async def _running(work: list[Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Run in the background for the length of the block; a failure ends the program."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in work]
        yield
        for task in tasks:
            task.cancel()


async def _watch_stop_wish(data: DataDir, stopping: Stopping) -> None:
    # Where there are no signals that a program could answer, a file asks us to stop.
    while sys.platform == "win32":
        await asyncio.sleep(0.25)
        if data.stop_wish.exists():
            stopping.wish()
            return


@contextlib.contextmanager
def _signals(stopping: Stopping) -> Iterator[None]:
    """Turn the signals that end programs into a wish to stop, for the length of the block."""
    loop = asyncio.get_running_loop()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform == "win32":
        # The loop cannot watch signals there: the handler runs between two bytecodes instead.
        for number in (*numbers, signal.SIGBREAK):
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopping.wish))
        yield
        return
    for number in numbers:
        loop.add_signal_handler(number, stopping.wish)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
