"""The Linux sandbox: commands run by a spawner process in namespaces of their own, over an overlay.

Knows nothing of how the namespaces are made (see spawner) nor of stores and verdicts.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from cyxmake_common.action import Command
from cyxmake_common.cas.disk_writer import in_thread
from cyxmake_common.clock import monotonic
from cyxmake_common.compound import Ended
from cyxmake_common.errors import SandboxError
from cyxmake_common.execution.posix import Capture
from cyxmake_common.execution.process import ProcessResult
from cyxmake_worker.sandbox.base import (
    Arrangement,
    Limits,
    ProgramNotStarted,
    SandboxKind,
    SandboxRun,
    StageRefused,
    Stamp,
)
from cyxmake_worker.sandbox.own_tree import lay_own
from cyxmake_worker.sandbox.requests import Request, Setup
from cyxmake_worker.sandbox.spawner import PACKET
from cyxmake_worker.sandbox.steps import APART

if sys.platform != "linux":
    raise ImportError("namespaces exist on Linux only")

_MODULES: Final = Path(__file__).parents[2]
_MAIN: Final = (
    "import sys; sys.path.append(sys.argv.pop()); "
    "from cyxmake_worker.sandbox.spawner import main; main()"
)
_START_SECONDS: Final = 60.0
_KILL_SECONDS: Final = 10.0
_REPORT_BYTES: Final = 16 << 20
HOME: Final = "/tmp/home"  # noqa: S108 - in a sandbox
"""The home directory of commands that see programs of this machine: empty, and theirs alone."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who commands are on this host.

    With `user_namespace` they are the worker's own user, without any right over the host; without
    it the worker is root and gives its commands an unprivileged user id that owns nothing else.
    """

    user_namespace: bool
    uid: int
    gid: int

    @staticmethod
    def candidates() -> tuple[Identity, ...]:
        """Return what may work here, best first."""
        uid, gid = os.getuid(), os.getgid()
        own = Identity(user_namespace=True, uid=uid or _NOBODY, gid=gid or _NOBODY)
        if uid == 0:
            return Identity(user_namespace=False, uid=_NOBODY, gid=_NOBODY), own
        return (own,)


_NOBODY: Final = 65534


class _Failed(BaseModel):
    stage: str
    errno: int
    text: str


_NO_WORD: Final = {"stage": "start", "errno": 0, "text": "no answer"}


def _refused(failed: _Failed) -> StageRefused:
    return StageRefused(failed.stage, failed.errno, f"sandbox: {failed.stage}: {failed.text}")


class _Exited(BaseModel):
    status: int
    rss: int
    seconds: float
    cpu: float


class _Step(BaseModel):
    status: int
    seconds: float


class _Report(BaseModel):
    """What the spawner's children told; the last word on each."""

    model_config = ConfigDict(extra="forbid")

    places: dict[str, str] = {}
    failed: _Failed | None = None
    steps: list[_Step] = []
    exited: _Exited | None = None


class _Running:
    """One action inside the spawner, seen from here: pipes that end when it has ended.

    The report and the streams end as soon as the command's end is known; `gone` a little later,
    when the kernel has taken its processes and mounts apart.
    """

    def __init__(
        self,
        number: int,
        pipes: Sequence[int],
        limit: int,
        heard: Callable[[bytes], None] | None = None,
    ) -> None:
        self.number = number
        self.killed = False
        report, stdout, stderr, gone = pipes
        self.report = Capture(report, _REPORT_BYTES)
        self.stdout = Capture(stdout, limit, heard)
        self.stderr = Capture(stderr, limit, heard)
        self.gone = Capture(gone, 0)

    def __repr__(self) -> str:
        return f"<Running {self.number} killed={self.killed} {self.report} {self.stdout}>"

    async def wait(self, seconds: float | None) -> bool:
        """Wait for the end of the command, or of a killed one's last process; False if too long."""
        ends = [self.report.ended, self.stdout.ended, self.stderr.ended]
        if self.killed:
            ends.append(self.gone.ended)
        _, pending = await asyncio.wait(ends, timeout=seconds)
        return not pending

    def close(self) -> None:
        """Let go of the pipes."""
        for capture in (self.report, self.stdout, self.stderr, self.gone):
            capture.close()


class NamespaceSandbox:
    """Runs commands in namespaces; `base` is a directory of ours on the store's file system.

    `network`: commands that ask for it may have the host's network.
    """

    def __init__(self, base: Path, identity: Identity, *, network: bool = False) -> None:
        self._base = base
        self._identity = identity
        self._network = network
        self._numbers = itertools.count(1)
        self._starting = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._oom_kills = _OomCounter()

    def __repr__(self) -> str:
        pid = self._process.pid if self._process else None
        return f"<NamespaceSandbox {self._identity} spawner={pid}>"

    @property
    def kind(self) -> SandboxKind:
        """Return what this sandbox is."""
        return SandboxKind.NAMESPACE

    @property
    def spawner_pid(self) -> int:
        """Return the process id of the spawner, 0 while there is none."""
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Start the spawner unless it runs; raises SandboxError with the step that failed."""
        async with self._starting:
            if self._process is not None and self._process.poll() is None:
                return
            await self.close()
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = self._launch(theirs)
            self._channel = ours
            ours.settimeout(_START_SECONDS)
            try:
                answer = json.loads(
                    await asyncio.to_thread(ours.recv, 4096)
                    or b'{"failed": {"text": "the spawner ended"}}'
                )
            except OSError as error:
                answer = {"failed": {"text": str(error)}}
            if failure := answer.get("failed"):
                await self.close()
                raise _refused(_Failed.model_validate(_NO_WORD | failure))

    async def run(
        self,
        layers: Sequence[Path],
        command: Command,
        limits: Limits,
        scratch: Path,
        arrangement: Arrangement | None = None,
    ) -> SandboxRun:
        """Run a command; see Sandbox."""
        upper = _prepare(scratch)
        request = _request(layers, command, limits, scratch)
        laid: dict[str, Stamp] = {}
        heard = None
        if arrangement is not None:
            own, heard = arrangement.own, arrangement.heard
            if own is not None:
                laid = await in_thread(lambda: lay_own(own, layers, upper, self._owner()))
            _arrange(request, arrangement, upper, scratch)
        oom_kills = self._oom_kills.read()
        started = monotonic()
        running = await self._submit(request, limits.output_bytes, heard)
        try:
            ended = await running.wait(limits.timeout or None)
            if not ended:
                await self._kill(running)
        except asyncio.CancelledError:
            await self._kill(running)
            raise
        finally:
            running.close()
        run = self._judge(running, upper, monotonic() - started, self._oom_kills.read() > oom_kills)
        if arrangement is None:
            return run
        apart = scratch / APART if arrangement.apart else None
        ends = _ends(_parse(running.report.data).steps, apart, limits.output_bytes)
        return replace(run, ended=ends, laid=laid)

    def _owner(self) -> tuple[int, int] | None:
        """Return whose files the command's own are, None where they are ours anyway."""
        identity = self._identity
        return None if identity.user_namespace else (identity.uid, identity.gid)

    async def close(self) -> None:
        """End the spawner; the commands die with it."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            process, self._process = self._process, None
            try:
                await asyncio.to_thread(process.wait, _KILL_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                await asyncio.to_thread(process.wait)

    def _launch(self, channel: socket.socket) -> subprocess.Popen[bytes]:
        identity = self._identity
        setup: Setup = {
            "user_namespace": identity.user_namespace,
            "uid": identity.uid,
            "gid": identity.gid,
            "base": os.fspath(self._base.absolute()),
            "network": self._network,
        }
        # The skeleton lies over all other layers, so that /dev and /proc are directories of ours
        # whatever a client's tree says they are.
        for name in ("root", "dev", "skeleton/dev", "skeleton/proc"):
            (self._base / name).mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, "-I", "-S", "-E", "-c", _MAIN]
        return subprocess.Popen(
            [*argv, str(channel.fileno()), json.dumps(setup), os.fspath(_MODULES)],
            stdin=subprocess.DEVNULL,
            pass_fds=[channel.fileno()],
            env={},  # nothing of ours may be read from /proc/1/environ
            cwd="/",
        )

    async def _submit(
        self, request: Request, limit: int, heard: Callable[[bytes], None] | None = None
    ) -> _Running:
        """Hand a request to the spawner, which is started again when it is gone."""
        number = next(self._numbers)
        pipes = [os.pipe() for _ in range(4)]
        payload = os.memfd_create("cyxmake-request")
        theirs = [payload, *(writer for _, writer in pipes)]
        try:
            _write_all(payload, json.dumps(request).encode())
            await self._send(PACKET.pack(b"R", number), theirs)
        except BaseException:
            for reader, _ in pipes:
                os.close(reader)
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        return _Running(number, [reader for reader, _ in pipes], limit, heard)

    async def _send(self, packet: bytes, descriptors: Sequence[int]) -> None:
        for attempt in (1, 2):
            await self.start()
            try:
                if self._channel is not None:
                    socket.send_fds(self._channel, [packet], descriptors)
                    return
            except OSError as error:
                if attempt == 2:
                    raise SandboxError(f"the spawner does not answer: {error}") from error
        raise SandboxError("the sandbox is closed")

    async def _kill(self, running: _Running) -> None:
        """Kill every process of an action and wait for their end."""
        running.killed = True
        with contextlib.suppress(OSError):  # no spawner: then its children are dead
            if self._channel is not None:
                self._channel.send(PACKET.pack(b"K", running.number))
        await running.wait(_KILL_SECONDS)

    def _judge(
        self, running: _Running, upper: Path, seconds: float, oom_killed: bool
    ) -> SandboxRun:
        report = _parse(running.report.data)
        if report.failed is not None:
            failed = report.failed
            if failed.stage == "exec":
                raise ProgramNotStarted(f"sandbox: {failed.stage}: {failed.text}")
            raise _refused(failed)
        exited, timed_out = report.exited, False
        if exited is None:
            if not running.killed and not oom_killed:
                raise SandboxError("sandbox: the command's processes vanished without a report")
            exited = _Exited(status=signal.SIGKILL, rss=0, seconds=seconds, cpu=0.0)
            timed_out = running.killed
        exit_code = os.waitstatus_to_exitcode(exited.status)
        process = ProcessResult(
            exit_code=exit_code,
            signal=max(0, -exit_code),
            stdout=running.stdout.data,
            stderr=running.stderr.data,
            seconds=exited.seconds,
            timed_out=timed_out,
            truncated=running.stdout.truncated or running.stderr.truncated,
            max_rss=exited.rss * 1024,
        )
        return SandboxRun(process, upper, report.places, oom_killed)


class _OomCounter:
    """Reads how many processes the kernel has killed for memory since it was booted."""

    def __init__(self) -> None:
        self._file = Path("/proc/vmstat")

    def read(self) -> int:
        """Return the counter, 0 where there is none."""
        with contextlib.suppress(OSError, ValueError):
            _, _, rest = self._file.read_bytes().partition(b"\noom_kill ")
            return int(rest.partition(b"\n")[0] or b"0")
        return 0


def _prepare(scratch: Path) -> Path:
    """Make what the overlay needs; world-writable, as the command may be another user."""
    upper, temporary = scratch / "upper", scratch / "upper/tmp"
    for directory in (scratch / "work", upper, temporary):
        directory.mkdir()
    upper.chmod(0o777)
    temporary.chmod(0o1777)
    return upper


def _request(layers: Sequence[Path], command: Command, limits: Limits, scratch: Path) -> Request:
    return {
        "scratch": os.fspath(scratch.absolute()),
        "layers": [os.fspath(layer.absolute()) for layer in layers],
        "argv": list(command.arguments),
        "environment": dict(command.environment),
        "cwd": "/" + command.working_directory.strip("/"),
        "outputs": list(command.output_paths),
        "file_bytes": limits.file_bytes,
        "memory_bytes": limits.memory_bytes,
        "arranged": None,
    }


def _arrange(request: Request, arrangement: Arrangement, upper: Path, scratch: Path) -> None:
    """Put the steps, and what they may see, into a request."""
    host = arrangement.host
    if arrangement.apart:
        (scratch / APART).mkdir()
    if host is not None:
        home = upper / HOME[1:]
        home.mkdir(parents=True)
        home.chmod(0o777)
        request["environment"] = {**host.environment, "HOME": HOME, **request["environment"]}
        for shown in host.shown:
            if f"{request['cwd']}/".startswith(f"{shown}/"):
                raise SandboxError(f"{shown} is this worker's own: nothing can be built below it")
    request["arranged"] = {
        "steps": [
            {
                "argv": list(step.argv),
                "directory": step.directory,
                "environment": dict(step.environment),
                "after": list(step.after),
            }
            for step in arrangement.steps
        ],
        "jobs": arrangement.jobs,
        "keep_going": arrangement.keep_going,
        "apart": arrangement.apart,
        "network": arrangement.network,
        "skeleton": "" if host is None else os.fspath(host.skeleton.absolute()),
        "shown": [] if host is None else list(host.shown),
    }


def _ends(steps: Sequence[_Step], apart: Path | None, limit: int) -> tuple[Ended, ...]:
    """Return how the steps ended; the output of those kept apart is read from their files."""
    found: list[Ended] = []
    for number, step in enumerate(steps):
        text = b""
        if apart is not None and step.status >= 0:
            with contextlib.suppress(OSError), (apart / str(number)).open("rb") as file:
                text = file.read(limit)
        code = -1
        if step.status >= 0:
            ended = os.waitstatus_to_exitcode(step.status)
            code = ended if ended >= 0 else 128 - ended  # as a shell has it
        found.append(Ended(code, step.seconds, text.decode("latin-1")))
        limit -= len(text)
    return tuple(found)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _parse(data: bytes) -> _Report:
    """Merge the lines of a report; raises SandboxError when they are not what we send."""
    merged: dict[str, object] = {}
    try:
        for line in data.splitlines():
            merged |= json.loads(line)
        return _Report.model_validate(merged)
    except (ValueError, TypeError, ValidationError) as error:
        raise SandboxError(f"sandbox: unreadable report: {error}") from error
