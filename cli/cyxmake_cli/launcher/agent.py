"""The resident agent: serves the stubs of one user, all projects and clusters together.

Knows nothing of compilers: rooms do the compiles, links hold the connections. It ends by itself
when nobody has asked for a while. It never fails a compile: whatever goes wrong here, the stub
becomes the real compiler.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cyxmake_cli import config
from cyxmake_cli.cluster.results import RemoteResult
from cyxmake_cli.cluster.session import client_token
from cyxmake_cli.launcher import protocol
from cyxmake_cli.launcher.channel import is_ours, listen
from cyxmake_cli.launcher.counts import Counts
from cyxmake_cli.launcher.home import BUILD, DEPTH, IDLE, Home
from cyxmake_cli.launcher.links import Links
from cyxmake_cli.launcher.maps import Maps
from cyxmake_cli.launcher.protocol import CompileRequest, Header
from cyxmake_cli.launcher.rooms import Rooms, refusal
from cyxmake_cli.launcher.settings import FreshSettings
from cyxmake_cli.launcher.starting import lock
from cyxmake_cli.settings import Settings
from cyxmake_common.cas.file_digests import FileDigests
from cyxmake_common.clock import monotonic
from cyxmake_common.errors import CyxError, ProtocolError
from cyxmake_common.telemetry.log import configure_logging
from cyxmake_common.telemetry.logger import get_logger
from cyxmake_common.toolchain.local import LocalOnly

_IDLE_SECONDS: Final = 300.0
_BUILDS_KEPT: Final = 100
_LOG_BYTES: Final = 4 << 20
_INHERITED: Final = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "LD_PRELOAD", DEPTH, BUILD)

_Answer = tuple[RemoteResult | LocalOnly, tuple[str, ...]]
"""What came of a compile, and the options that it is to be done with if the stub has to."""

_log = get_logger(__name__)


class Agent:
    """Answers requests until it is told to stop or has been idle for `idle` seconds."""

    def __init__(self, home: Home, idle: float) -> None:
        cache_dir = home.path.parent
        self._home = home
        self._idle = idle
        self._digests = FileDigests(home.path / "digests")
        self._links = Links(cache_dir, monotonic)
        self._rooms = Rooms(cache_dir, self._digests)
        self._settings = FreshSettings()
        self._maps = Maps()
        self._builds: OrderedDict[str, Counts] = OrderedDict()
        self._all = Counts()
        self._running = 0
        self._last = monotonic()
        self._stop = asyncio.Event()
        self._handlers: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Agent {self._running} running, {self._links!r}>"

    async def serve(self) -> None:
        """Listen until the end."""
        self._digests.load()
        server = await listen(self._home, self._accept)
        for number in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(NotImplementedError):
                asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        _log.info("ready", pid=os.getpid())
        try:
            await self._until_idle()
        finally:
            self._home.socket.unlink(missing_ok=True)
            server.close()
            for task in self._handlers:
                task.cancel()
            await asyncio.gather(*self._handlers, return_exceptions=True)
            await self._links.close()
            self._rooms.save()
            with contextlib.suppress(OSError):
                self._digests.save()
            _log.info("ended")

    async def _until_idle(self) -> None:
        while not self._stop.is_set():
            left = self._idle if self._running else self._last + self._idle - monotonic()
            if left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), left)

    # ── requests ────────────────────────────────────────────────────────────────────────────────

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        self._running += 1
        try:
            if is_ours(writer.get_extra_info("socket")):
                await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ProtocolError) as error:
            _log.debug("request given up", reason=str(error))
        except asyncio.CancelledError:
            _log.debug("request ended with the agent")
        except Exception:
            _log.exception("request failed")  # the stub finds the connection closed
        finally:
            self._running -= 1
            self._last = monotonic()
            self._handlers.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        header = Header.parse(await reader.readexactly(protocol.HEADER.size))
        body = await reader.readexactly(header.length)
        if header.kind == protocol.CONTROL:
            answer = await self._control(body)
            writer.write(protocol.report(json.dumps(answer).encode()))
        else:
            request = protocol.parse_compile_request(header, body)
            outcome = await self._while_there(request, reader, writer)
            if outcome is None:
                return
            result, options = outcome
            self._count(request, result)
            if isinstance(result, LocalOnly):
                writer.write(protocol.local(options))
            else:
                writer.write(protocol.done(result.stdout, result.stderr))
        await writer.drain()

    async def _while_there(
        self,
        request: CompileRequest,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> _Answer | None:
        """Compile while the stub is there; None when it is gone, and then the work is cancelled."""
        work = asyncio.create_task(self._compile(request))
        gone = asyncio.create_task(reader.read(1))
        try:
            while True:
                await asyncio.wait(
                    (work, gone),
                    timeout=protocol.ALIVE_SECONDS,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if work.done():
                    return work.result()
                if gone.done():
                    _log.info("stub gone", directory=request.directory)
                    return None
                writer.write(protocol.ALIVE)
        finally:
            work.cancel()
            gone.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    async def _compile(self, request: CompileRequest) -> _Answer:
        try:
            settings = self._settings.of(request.directory, request.environ)
        except CyxError as error:
            _log.warning("settings", directory=request.directory, reason=str(error))
            return LocalOnly(f"the settings are wrong: {error.message}"), ()
        options = await self._maps.options(request, settings)
        return await self._compile_with(request, settings, options), options

    async def _compile_with(
        self, request: CompileRequest, settings: Settings, options: tuple[str, ...]
    ) -> RemoteResult | LocalOnly:
        refused = refusal(request)
        if refused is not None:
            return refused
        try:
            if not settings.cluster.enabled:
                return LocalOnly("no cluster is used")
            token = client_token(settings.cluster.coordinator, request.environ)
            link = self._links.get(None if token is None else token.text())
        except CyxError as error:
            _log.warning("no cluster", directory=request.directory, reason=str(error))
            return LocalOnly(f"no cluster: {error.code}")
        joined = link.current()
        if isinstance(joined, LocalOnly):
            return joined
        try:
            use_cache = settings.cache.enabled
            room = self._rooms.get(request, joined, link.near, use_cache=use_cache)
            return await room.compile(request, options)
        except Exception as error:
            _log.exception("compile failed", directory=request.directory)
            return LocalOnly(f"a bug in cyxmake: {type(error).__name__}")

    def _count(self, request: CompileRequest, result: RemoteResult | LocalOnly) -> None:
        self._all.add(result)
        build = self._builds.get(request.environ.get(BUILD, ""))
        if build is not None:
            build.add(result)
        if isinstance(result, LocalOnly):
            _log.debug("local", reason=result.reason, directory=request.directory)

    # ── questions about the agent itself ────────────────────────────────────────────────────────

    async def _control(self, body: bytes) -> dict[str, object]:
        try:
            asked = json.loads(body)
            match asked["ask"]:
                case "status":
                    return self._status()
                case "save":
                    self._rooms.save()
                    return {}
                case "stop":
                    self._stop.set()
                    return {"pid": os.getpid()}
                case "begin":
                    return await self._begin(str(asked["build"]), dict(asked["environ"]))
                case "end":
                    return self._end(str(asked["build"]), dict(asked["environ"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ProtocolError(f"not a question: {error}") from error
        raise ProtocolError("an unknown question")

    def _status(self) -> dict[str, object]:
        return {
            "pid": os.getpid(),
            "running": self._running - 1,
            "clusters": self._links.describe(),
            "served": self._all.to_json(),
        }

    async def _begin(self, build: str, environ: Mapping[str, str]) -> dict[str, object]:
        """Begin to count a build; answers when its cluster is there, or is known not to be."""
        joined = await self._links.get(config.token_text(environ)).ready()
        counts = self._builds[build] = Counts()
        if len(self._builds) > _BUILDS_KEPT:
            self._builds.popitem(last=False)
        if isinstance(joined, LocalOnly):
            return {"slots": 0, "problem": joined.reason}
        counts.bytes_up, counts.bytes_down = joined.client.traffic()
        return {"slots": joined.slots, "problem": ""}

    def _end(self, build: str, environ: Mapping[str, str]) -> dict[str, object]:
        counts = self._builds.pop(build, Counts())
        joined = self._links.get(config.token_text(environ)).current()
        up, down = (0, 0) if isinstance(joined, LocalOnly) else joined.client.traffic()
        counts.bytes_up = max(0, up - counts.bytes_up)
        counts.bytes_down = max(0, down - counts.bytes_down)
        return counts.to_json()


def main() -> None:
    """Run the agent of the folder `argv[1]`; `argv[2]` is its lock, already held."""
    home = Home(Path(sys.argv[1]))
    inherited = int(sys.argv[2]) if len(sys.argv) > 2 and sys.platform != "win32" else -1
    descriptor = _take_over(home, inherited)
    if descriptor is None:
        return  # another agent runs
    for name in _INHERITED:
        os.environ.pop(name, None)
    os.environ.pop(config.TOKEN_VARIABLE, None)  # every request names its own cluster
    os.environ[config.CACHE_VARIABLE] = str(home.path.parent)
    with contextlib.suppress(OSError):
        if home.log.stat().st_size > _LOG_BYTES:
            home.log.replace(home.log.with_suffix(".log.old"))
    os.umask(0o022)  # results get that of their caller
    end_logging = configure_logging("info", file=home.log)
    try:
        asyncio.run(Agent(home, float(os.environ.get(IDLE) or _IDLE_SECONDS)).serve())
    except Exception:
        _log.exception("the agent ended by a bug")
        sys.exit(1)
    finally:
        end_logging()


def _take_over(home: Home, inherited: int) -> int | None:
    """Leave everything of the caller behind but the lock; None when somebody else has it."""
    descriptor = inherited if inherited >= 0 else os.open(home.lock, os.O_RDWR | os.O_CREAT, 0o600)
    if sys.platform != "win32":
        if descriptor != 3:
            os.dup2(descriptor, 3)
            descriptor = 3
        os.set_inheritable(descriptor, False)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        os.closerange(4, 4096)
    os.chdir(home.path)
    return descriptor if lock(descriptor) else None


if __name__ == "__main__":
    main()
