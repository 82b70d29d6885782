"""Runs a process with threads that read and wait: for Windows, whose loop reads no pipes.

Knows nothing of jobs or consoles of the system; it works on every system, which is how it is
tested.
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


class _Run:
    """One process and the threads around it."""

    def __init__(self, request: ProcessRequest) -> None:
        self._request = request
        self._loop = asyncio.get_running_loop()
        self._popen = _popen(request)
        # Kept from the start: psutil checks the creation time, so a reused pid is never killed.
        self._process = _process(self._popen.pid)
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
        tree: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            if self._process is not None:
                tree = self._process.children(recursive=True)
        self._popen.kill()
        for child in tree:
            with contextlib.suppress(psutil.Error):
                child.kill()
        await asyncio.wait([self.ended], timeout=self._request.grace)

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


def _process(pid: int) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid)
    return None


def _popen(request: ProcessRequest) -> subprocess.Popen[bytes]:
    command = request.command
    flags, session = 0, False
    if sys.platform == "win32":
        flags = 0 if request.console else subprocess.CREATE_NEW_PROCESS_GROUP
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
    return ProcessResult(
        exit_code=run.exit_code,
        signal=max(0, -run.exit_code) if sys.platform != "win32" else 0,
        stdout=run.output(0),
        stderr=run.output(1),
        seconds=monotonic() - started,
        timed_out=not ended,
        truncated=run.truncated,
    )
