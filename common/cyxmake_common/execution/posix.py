"""Runs a process on POSIX systems inside the event loop: no thread per process where pidfds exist.

Knows nothing of exit status conventions beyond those of the process module.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from cyxmake_common.clock import monotonic
from cyxmake_common.execution.process import ProcessRequest, ProcessResult

if TYPE_CHECKING:
    import psutil

if sys.platform == "win32":
    raise ImportError("this module is for POSIX systems")

_READ_BYTES: Final = 1 << 16
_RSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024


class Capture:
    """Reads one pipe to its end and keeps at most `limit` bytes; closes the descriptor.

    `heard` is told of all of it, as it comes.
    """

    def __init__(
        self, descriptor: int, limit: int, heard: Callable[[bytes], None] | None = None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._descriptor = descriptor
        self._room = limit
        self._heard = heard
        self._chunks: list[bytes] = []
        self.truncated = False
        self.ended: asyncio.Future[None] = self._loop.create_future()
        os.set_blocking(descriptor, False)
        self._loop.add_reader(descriptor, self._receive)

    def __repr__(self) -> str:
        return f"<Capture fd={self._descriptor} ended={self.ended.done()} room={self._room}>"

    @property
    def data(self) -> bytes:
        """Return what was kept so far."""
        return b"".join(self._chunks)

    def _receive(self) -> None:
        try:
            chunk = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self.close()
            return
        if self._heard is not None:
            self._heard(chunk)
        self.truncated |= len(chunk) > self._room
        if kept := chunk[: self._room]:
            self._chunks.append(kept)
            self._room -= len(kept)

    def close(self) -> None:
        """Stop reading."""
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
        if not self.ended.done():
            self.ended.set_result(None)


class _Child:
    """A started process, its pipes, and the news of its end.

    The leader is not reaped before `close`: as long as it is a zombie its process group number
    cannot be given to strangers, so the last kill of the group hits nobody else.
    """

    def __init__(self, popen: subprocess.Popen[bytes], captures: Sequence[Capture]) -> None:
        self._loop = asyncio.get_running_loop()
        self._popen = popen
        self._own_group = bool(captures)
        self._strays: list[psutil.Process] = []
        self.captures = captures
        self.status: tuple[int, int] | None = None
        self.exited: asyncio.Future[None] = self._loop.create_future()
        self._pidfd = _open_pidfd(popen.pid)
        if self._pidfd >= 0:
            self._loop.add_reader(self._pidfd, self._exit_seen)
        else:
            threading.Thread(target=self._wait_in_thread, daemon=True).start()

    def __repr__(self) -> str:
        return f"<Child pid={self._popen.pid} exited={self.exited.done()} {list(self.captures)}>"

    async def wait(self, seconds: float | None) -> bool:
        """Wait for the exit and the end of all output; tell whether both came in time."""
        ends = [self.exited, *(capture.ended for capture in self.captures)]
        _, pending = await asyncio.wait(ends, timeout=seconds)
        return not pending

    async def stop(self, grace: float) -> None:
        """Ask the tree to end, wait, then kill what is left."""
        self._signal_tree(signal.SIGTERM)
        await self.wait(grace)
        self._signal_tree(signal.SIGKILL)
        await asyncio.wait([self.exited])
        for capture in self.captures:
            capture.close()

    def close(self) -> tuple[int, int]:
        """Reap the process, killing it if it still runs; returns (exit code, max_rss)."""
        for capture in self.captures:
            capture.close()
        if not self.exited.done():
            self._signal_tree(signal.SIGKILL)
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1
            if not self.exited.done():
                # Killed but not gone yet (it may hang in the kernel): somebody else has to wait.
                threading.Thread(target=self._reap, daemon=True).start()
            elif self.status is None:
                self._reap()
        return self.status or (-signal.SIGKILL, 0)

    def _exit_seen(self) -> None:
        self._loop.remove_reader(self._pidfd)
        self._set_exited()

    def _wait_in_thread(self) -> None:
        self._reap()
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            self._loop.call_soon_threadsafe(self._set_exited)

    def _set_exited(self) -> None:
        if not self.exited.done():
            self.exited.set_result(None)

    def _reap(self) -> None:
        _, status, usage = os.wait4(self._popen.pid, 0)
        exit_code = os.waitstatus_to_exitcode(status)
        self._popen.returncode = exit_code  # else its destructor warns of a running process
        self.status = exit_code, usage.ru_maxrss * _RSS_UNIT

    def _signal_tree(self, number: signal.Signals) -> None:
        """Signal the group and descendants that left it; a daemon that left the tree stays."""
        import psutil  # slow to import, and few processes have to be stopped

        pid = self._popen.pid
        if self._popen.returncode is None:
            with contextlib.suppress(psutil.Error):
                known = set(self._strays)
                found = psutil.Process(pid).children(recursive=True)
                self._strays.extend(child for child in found if child not in known)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, number) if self._own_group else os.kill(pid, number)
        for stray in self._strays:
            with contextlib.suppress(psutil.Error, ProcessLookupError, PermissionError):
                if not self._own_group or os.getpgid(stray.pid) != pid:
                    stray.send_signal(number)


def _open_pidfd(pid: int) -> int:
    """Return a descriptor that is readable once the process has ended, -1 where there is none."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return os.pidfd_open(pid)
    return -1


def _start(request: ProcessRequest) -> _Child:
    command = request.command
    argv = ("/bin/sh", "-c", command) if isinstance(command, str) else command
    if request.console:
        return _Child(_popen(request, argv, None, None), ())
    pipes = [os.pipe()] if request.merge else [os.pipe(), os.pipe()]
    try:
        popen = _popen(request, argv, pipes[0][1], pipes[-1][1])
    except BaseException:
        for reader, _ in pipes:
            os.close(reader)
        raise
    finally:
        for _, writer in pipes:
            os.close(writer)
    return _Child(popen, [_capture(request, n, reader) for n, (reader, _) in enumerate(pipes)])


def _capture(request: ProcessRequest, stream: int, descriptor: int) -> Capture:
    heard = request.heard
    listener = None if heard is None else functools.partial(heard, stream)
    return Capture(descriptor, request.output_limit, listener)


def _popen(
    request: ProcessRequest, argv: tuple[str, ...], stdout: int | None, stderr: int | None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv,
        cwd=request.cwd,
        env=request.environment,
        stdin=None if request.console else subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        # A session of its own: Ctrl-C on our terminal does not reach it, and a tool that asks for a
        # password on /dev/tty fails at once instead of being stopped for ever.
        start_new_session=not request.console,
    )


async def run_with_readers(request: ProcessRequest) -> ProcessResult:
    """Run a process; see `run_process`."""
    started = monotonic()
    child = _start(request)
    try:
        ended = await child.wait(request.timeout or None)
        if not ended:
            await child.stop(request.grace)
    except asyncio.CancelledError:
        # A second cancellation ends the wait for a tidy end; `close` then kills.
        with contextlib.suppress(asyncio.CancelledError):
            await child.stop(request.grace)
        raise
    finally:
        exit_code, max_rss = child.close()
    outputs = [capture.data for capture in child.captures]
    return ProcessResult(
        exit_code=exit_code,
        signal=max(0, -exit_code),
        stdout=outputs[0] if outputs else b"",
        stderr=outputs[1] if len(outputs) > 1 else b"",
        seconds=monotonic() - started,
        timed_out=not ended,
        truncated=any(capture.truncated for capture in child.captures),
        max_rss=max_rss,
    )
