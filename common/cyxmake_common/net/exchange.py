"""A conversation under one message id: a request and its answer, or a whole blob transfer.

Knows nothing of wires; the connection delivers to the waiter what comes for the id.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Protocol

from cyxmake_common.protocol.messages import Error, Message
from cyxmake_common.protocol.session import from_error


class Waiter:
    """What came for one id and was not taken yet."""

    __slots__ = ("_inbox", "_single", "_wakeup", "answered")

    def __init__(self, *, single: bool) -> None:
        self.answered = False
        self._single = single
        self._inbox: deque[tuple[Message, int]] = deque()
        self._wakeup: asyncio.Future[None] | None = None

    @property
    def satisfied(self) -> bool:
        """Return whether what comes now is no answer any more."""
        return self._single and self.answered

    def deliver(self, message: Message, size: int) -> None:
        """Hand over a message and its size on the wire."""
        self.answered = True
        self._inbox.append((message, size))
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    async def take(self) -> tuple[Message, int]:
        """Wait for the next message."""
        while not self._inbox:
            self._wakeup = asyncio.get_running_loop().create_future()
            try:
                await self._wakeup
            finally:
                self._wakeup = None
        return self._inbox.popleft()

    def take_now(self) -> tuple[Message, int] | None:
        """Return the next message when it is already there."""
        return self._inbox.popleft() if self._inbox else None

    def clear(self) -> int:
        """Drop what is left; return its size."""
        size = sum(size for _, size in self._inbox)
        self._inbox.clear()
        return size


class Line(Protocol):
    """What a conversation needs of its connection."""

    async def send(self, message: Message, reply_to: str | None = None) -> int:
        """Send a message under an id; return its size on the wire."""
        ...

    def took(self, size: int) -> None:
        """Note that a received message was taken."""
        ...

    def forget(self, id_: str, *, drop_late: bool) -> None:
        """Stop delivering what comes for an id, and drop it if `drop_late`."""
        ...


class Exchange:
    """One conversation; leaving the `with` statement ends it.

    A `single` one has one answer; what comes under its id afterwards is news of its own (a finished
    operation, say). Of the others, and of one left before its answer, late messages are dropped.
    """

    __slots__ = ("_line", "id", "waiter")

    def __init__(self, line: Line, id_: str, *, single: bool = False) -> None:
        self.id = id_
        self.waiter = Waiter(single=single)
        self._line = line

    def __enter__(self) -> Exchange:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._line.forget(self.id, drop_late=not self.waiter.satisfied)

    async def send(self, message: Message) -> int:
        """Send a message under this id; return its size on the wire."""
        return await self._line.send(message, self.id)

    async def receive(self) -> Message:
        """Return the next message of this id; raises what an ERROR stands for, ConnectionLost."""
        message, size = await self.waiter.take()
        return self._opened(message, size)

    def receive_now(self) -> Message | None:
        """Return the next message of this id when it is already there; raises as `receive`."""
        taken = self.waiter.take_now()
        return None if taken is None else self._opened(*taken)

    def _opened(self, message: Message, size: int) -> Message:
        self._line.took(size)
        if isinstance(message, Error):
            raise from_error(message)
        return message
