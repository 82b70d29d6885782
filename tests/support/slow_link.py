"""A slow line on loopback: a TCP proxy that holds bytes back, and lets so many pass in a second.

Real sockets and real bytes; needs no privileges. All connections through it share the line.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

_PIECE = 8 << 10
_BUFFER = 64 << 10
"""What a line holds beside what is on its way."""


@dataclass
class Direction:
    """One direction of the line, shared by all connections: when it is free again."""

    delay: float
    bytes_per_second: float
    free_at: float = 0.0
    passed: int = 0


@dataclass
class SlowLink:
    """Where to connect, and what has passed."""

    port: int
    up: Direction
    down: Direction
    cut: Callable[[], None]
    """Breaks every connection; new ones are taken."""


@dataclass
class _Pipe:
    """One connection's bytes in one direction, with the time at which they may leave."""

    line: Direction
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque)
    held: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def fill(self, reader: asyncio.StreamReader) -> None:
        most = _BUFFER + int(self.line.delay * self.line.bytes_per_second)
        while True:
            while self.held > most:
                self.changed.clear()
                await self.changed.wait()
            data = await reader.read(_PIECE)
            self.waiting.append((time.monotonic() + self.line.delay, data))
            self.held += len(data)
            self.changed.set()
            if not data:
                return

    async def drain(self, writer: asyncio.StreamWriter) -> None:
        line = self.line
        while True:
            while not self.waiting:
                self.changed.clear()
                await self.changed.wait()
            due, data = self.waiting.popleft()
            if data:
                line.free_at = max(line.free_at, due) + len(data) / line.bytes_per_second
                await asyncio.sleep(max(0.0, line.free_at - time.monotonic()))
                line.passed += len(data)
                writer.write(data)
                await writer.drain()
                self.held -= len(data)
                self.changed.set()
            else:
                writer.close()
                return


@contextlib.contextmanager
def slow_link(port: int, *, round_trip: float, bits_per_second: float) -> Iterator[SlowLink]:
    """Run a slow way to a local port for the length of a with block."""
    rate = bits_per_second / 8
    up, down = Direction(round_trip / 2, rate), Direction(round_trip / 2, rate)
    loop = asyncio.new_event_loop()
    ends: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        ends.update((writer, there_writer))
        going, coming = _Pipe(up), _Pipe(down)
        jobs = [
            going.fill(reader),
            going.drain(there_writer),
            coming.fill(there_reader),
            coming.drain(writer),
        ]
        tasks = [asyncio.ensure_future(job) for job in jobs]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for one in (writer, there_writer):
                ends.discard(one)
                one.transport.abort()

    async def begin() -> asyncio.Server:
        return await asyncio.start_server(serve, "127.0.0.1", 0)

    # In a thread of its own: the caller may have a loop, or wait for a process.
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(begin(), loop).result(10)

    async def end() -> None:
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # transports end in the loop's next turns

    def cut() -> None:
        for one in list(ends):
            loop.call_soon_threadsafe(one.transport.abort)

    try:
        yield SlowLink(server.sockets[0].getsockname()[1], up, down, cut)
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
