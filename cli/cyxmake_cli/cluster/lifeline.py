"""Keeps a client's control connection: notices its loss, and waits a while for the coordinator.

Knows nothing of operations: whoever hears of a new connection asks again for what it still wants.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from cyxmake_common.errors import (
    ClusterUnreachable,
    ConnectionLost,
    CyxError,
    Denied,
    VersionMismatch,
)
from cyxmake_common.net.connection import Connection
from cyxmake_common.protocol.messages import Error, Goodbye, Heartbeat, Message

_SILENCE_SECONDS: Final = 8.0
"""How long a coordinator may say nothing before it counts as gone."""

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 1.0


class Hears(Protocol):
    """What wants to know of the connection."""

    def take(self, message: Message) -> None:
        """Take a message that answers no question."""
        ...

    def away(self, reason: str) -> None:
        """The connection is lost; it may come back."""
        ...

    async def back(self, control: Connection) -> None:
        """Ask a new connection for what is still wanted; raises CyxError when it is lost again."""
        ...

    def lost_for_good(self, error: ConnectionLost) -> None:
        """No connection will come back."""
        ...


class Lifeline:
    """One control connection after another; `patience` are the seconds that a loss may last."""

    def __init__(
        self,
        control: Connection,
        connect: Callable[[], Awaitable[Connection]],
        hears: Hears,
        patience: float,
    ) -> None:
        self._control = control
        self._connect = connect
        self._hears = hears
        self._patience = patience
        self._changed = asyncio.Event()
        self._changed.set()
        self._lost: ConnectionLost | None = None
        self.all: list[Connection] = [control]
        """Every connection there was, for what went over them."""

    def __repr__(self) -> str:
        return f"<Lifeline {self._control!r}, {self._lost or 'held'}>"

    @property
    def lost(self) -> ConnectionLost | None:
        """Return why the coordinator is gone for good, or None."""
        return self._lost

    @property
    def latest(self) -> Connection:
        """Return the connection that was opened last."""
        return self._control

    @property
    def is_open(self) -> bool:
        """Tell whether messages reach the coordinator, as far as is known."""
        return self._changed.is_set() and not self._control.closed.is_set()

    async def ready(self) -> Connection:
        """Return the open connection, waiting for it while it is away; raises ConnectionLost."""
        while True:
            if self._lost is not None:
                raise self._lost
            if self.is_open:
                return self._control
            self._changed.clear()
            await self._changed.wait()

    async def hold(self) -> None:
        """Read messages, and connect anew after a loss, until the coordinator is gone for good."""
        while True:
            reason, may_return = await self._listen(self._control)
            if not (may_return and self._patience > 0 and await self._come_back(reason)):
                self.give_up(reason)
                return

    def give_up(self, reason: str) -> None:
        """Let everybody know that there is no coordinator any more."""
        if self._lost is None:
            self._lost = ConnectionLost(f"lost the coordinator: {reason}")
            self._changed.set()
            self._hears.lost_for_good(self._lost)

    # ── one connection ──────────────────────────────────────────────────────────────────────────

    async def _listen(self, control: Connection) -> tuple[str, bool]:
        """Take messages until the connection ends; return why, and whether to come back."""
        reason, may_return = "the coordinator closed the connection", True
        beat = asyncio.create_task(self._beat(control))
        try:
            async for envelope in control.messages():
                message = envelope.message
                if isinstance(message, Goodbye):
                    reason, may_return = message.reason or reason, message.retry
                elif isinstance(message, Error):
                    reason = message.message
                else:
                    self._hears.take(message)
        finally:
            beat.cancel()
            silent = (await asyncio.gather(beat, return_exceptions=True))[0]
        if isinstance(silent, str):
            return silent, may_return
        return control.close_reason or reason, may_return

    async def _beat(self, control: Connection) -> str:
        """Close a connection on which nothing is answered; return that as the reason."""
        while True:
            await asyncio.sleep(control.welcome.heartbeat_seconds)
            try:
                await control.request(Heartbeat(), timeout=_SILENCE_SECONDS)
            except CyxError as error:
                if control.closed.is_set():
                    raise  # the end of the messages says why
                await control.close()
                return f"no sign of life in {_SILENCE_SECONDS:.0f} s ({error.code})"

    # ── the next one ────────────────────────────────────────────────────────────────────────────

    async def _come_back(self, reason: str) -> bool:
        self._changed.clear()
        self._hears.away(reason)
        pause = _FIRST_PAUSE
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    try:
                        await self._begin_anew()
                    except (Denied, VersionMismatch):
                        return False
                    except (ClusterUnreachable, ConnectionLost):
                        await asyncio.sleep(pause)
                        pause = min(_LONGEST_PAUSE, pause * 1.5)
                    else:
                        self._changed.set()
                        return True
        except (TimeoutError, CyxError):
            return False

    async def _begin_anew(self) -> None:
        control = await self._connect()
        self._control = control
        self.all.append(control)
        await self._hears.back(control)
