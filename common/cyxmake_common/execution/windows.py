"""Runs a process with threads that read and wait: for Windows, whose loop reads no pipes.

Knows nothing of consoles. On Windows a job holds the process and all that it starts; elsewhere,
where this is only tested, its children are looked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
from typing import Final

import psutil

from cyxmake_common.clock import monotonic
from cyxmake_common.execution.process import ProcessRequest, ProcessResult

_READ_BYTES: Final = 1 << 16
_ENDING_SECONDS: Final = 1.0
"""How long the end of a process that was killed may take to be seen."""


class _Run:
    """One process and the threads around it."""

    def __init__(self, request: ProcessRequest) -> None:
        self._request = request
        self._loop = asyncio.get_running_loop()
        self._tree = _Tree()
        self._popen = self._tree.start(request)
        self._streams: list[list[bytes]] = [[], []]
        self.truncated = False
        self.ended: asyncio.Future[None] = self._loop.create_future()
        threading.Thread(target=self._follow, daemon=True).start()

    def __repr__(self) -> str:
        return f"<Run pid={self._popen.pid} ended={self.ended.done()}>"

    @property
    def exit_code(self) -> int:
        """Return the exit code, or minus the signal where there are signals."""
        code: int | None = self._popen.returncode
        return 1 if code is None else code

    def output(self, stream: int) -> bytes:
        """Return what was kept of stdout (0) or stderr (1)."""
        return b"".join(self._streams[stream])

    async def stop(self) -> None:
        """Kill the whole tree. A polite way does not exist for processes without a console."""
        self._tree.end(self._popen)
        await asyncio.wait([self.ended], timeout=max(self._request.grace, _ENDING_SECONDS))

    def close(self) -> None:
        """Let go of what is held of the system; what still runs ends."""
        self._tree.close()

    def _follow(self) -> None:
        """Read both pipes to their ends, then wait; runs in a thread of its own."""
        pipes = [self._popen.stdout, self._popen.stderr]
        readers = [
            threading.Thread(target=self._read, args=(index,), daemon=True)
            for index, pipe in enumerate(pipes)
            if pipe is not None
        ]
        for reader in readers:
            reader.start()
        self._popen.wait()
        for reader in readers:
            reader.join()
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            self._loop.call_soon_threadsafe(self._set_ended)

    def _set_ended(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _read(self, index: int) -> None:
        pipe = (self._popen.stdout, self._popen.stderr)[index]
        room = self._request.output_limit
        if pipe is None:
            return
        with pipe:
            while chunk := pipe.read(_READ_BYTES):
                if self._request.heard is not None:
                    self._request.heard(index, chunk)
                self.truncated |= len(chunk) > room
                if kept := chunk[:room]:
                    self._streams[index].append(kept)
                    room -= len(kept)


if sys.platform == "win32":
    from cyxmake_common.execution.job_object import CREATE_SUSPENDED, JobObject

    class _Tree:
        """A process and what it starts, as a job."""

        def __init__(self) -> None:
            self._job: JobObject | None = JobObject()

        def start(self, request: ProcessRequest) -> subprocess.Popen[bytes]:
            """Start the process inside."""
            assert self._job is not None
            if request.console:
                # Whoever sits there may start what shall live on.
                return _popen(request)
            try:
                process = _popen(request, CREATE_SUSPENDED)
                self._job.take(process)
            except BaseException:
                self.close()
                raise
            return process

        def end(self, process: subprocess.Popen[bytes]) -> None:
            """End all of it."""
            if self._job is not None:
                self._job.end()
            with contextlib.suppress(OSError):  # it may have ended
                process.kill()

        def close(self) -> None:
            """End what is left and let go of the job."""
            if self._job is not None:
                self._job.close()
                self._job = None

else:

    class _Tree:
        """A process and what it starts, found by asking the system."""

        def __init__(self) -> None:
            self._process: psutil.Process | None = None

        def start(self, request: ProcessRequest) -> subprocess.Popen[bytes]:
            """Start the process."""
            process = _popen(request)
            # Kept from the start: psutil checks the creation time, so a reused pid is never killed.
            with contextlib.suppress(psutil.Error):
                self._process = psutil.Process(process.pid)
            return process

        def end(self, process: subprocess.Popen[bytes]) -> None:
            """End all of it."""
            children: list[psutil.Process] = []
            with contextlib.suppress(psutil.Error):
                if self._process is not None:
                    children = self._process.children(recursive=True)
            process.kill()
            for child in children:
                with contextlib.suppress(psutil.Error):
                    child.kill()

        def close(self) -> None:
            """Do nothing: nothing is held."""


def _popen(request: ProcessRequest, flags: int = 0) -> subprocess.Popen[bytes]:
    command = request.command
    session = False
    if sys.platform == "win32":
        flags |= 0 if request.console else subprocess.CREATE_NEW_PROCESS_GROUP
    else:
        session = not request.console
        if isinstance(command, str):
            command = ("/bin/sh", "-c", command)
    pipe = None if request.console else subprocess.PIPE
    return subprocess.Popen(
        command,
        bufsize=0,
        cwd=request.cwd,
        env=request.environment,
        stdin=None if request.console else subprocess.DEVNULL,
        stdout=pipe,
        stderr=subprocess.STDOUT if request.merge and pipe is not None else pipe,
        creationflags=flags,
        start_new_session=session,
    )


async def run_with_threads(request: ProcessRequest) -> ProcessResult:
    """Run a process; see `run_process`."""
    started = monotonic()
    run = _Run(request)
    try:
        ended, _ = await asyncio.wait([run.ended], timeout=request.timeout or None)
        if not ended:
            await run.stop()
    except asyncio.CancelledError:
        await run.stop()
        raise
    finally:
        run.close()
    return ProcessResult(
        exit_code=run.exit_code,
        signal=max(0, -run.exit_code) if sys.platform != "win32" else 0,
        stdout=run.output(0),
        stderr=run.output(1),
        seconds=monotonic() - started,
        timed_out=not ended,
        truncated=run.truncated,
    )
