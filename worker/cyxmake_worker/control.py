"""The worker's connections: one control connection at a time, bulk connections that belong to it.

Knows nothing of when to connect (core) nor of what is said.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cyxmake_common.errors import ConnectionLost
from cyxmake_common.net.connection import Connection
from cyxmake_common.net.token import JoinToken
from cyxmake_common.net.wss import Introduction, connect
from cyxmake_common.protocol.messages import Channel, Message, RunningLease, WorkerFacts
from cyxmake_worker.host import disk_free_bytes

_ASK_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Door:
    """Where the coordinator is, and where its pinned certificate is kept."""

    token: JoinToken
    authorities: Path
    program: str


class Control:
    """Opens connections, and remembers the control connection for whoever asks something."""

    def __init__(self, door: Door, facts: WorkerFacts, data_dir: Path) -> None:
        self._door = door
        self._facts = facts
        self._data_dir = data_dir
        self._connection: Connection | None = None

    def __repr__(self) -> str:
        return f"<Control {self._connection!r}>"

    async def connect(self, running: tuple[RunningLease, ...]) -> Connection:
        """Open the control connection; raises as `wss.connect`."""
        free = disk_free_bytes(self._data_dir)
        facts = self._facts.model_copy(update={"disk_free_bytes": free})
        self._connection = await self._open(Introduction(worker=facts, running=running))
        return self._connection

    async def connect_bulk(self) -> Connection:
        """Open a bulk connection of the present session; raises ConnectionLost without one."""
        session = self._current().session
        return await self._open(Introduction(channel=Channel.BULK, session=session))

    async def ask(self, message: Message) -> Message:
        """Ask on the control connection; raises ConnectionLost without one, and what comes back."""
        return await self._current().request(message, _ASK_SECONDS)

    def tell(self, message: Message) -> None:
        """Send on the control connection what only helps; without one it is forgotten."""
        with contextlib.suppress(ConnectionLost):
            self._current().send_soon(message)

    def _current(self) -> Connection:
        if self._connection is None or self._connection.closed.is_set():
            raise ConnectionLost("there is no control connection now")
        return self._connection

    async def _open(self, introduction: Introduction) -> Connection:
        return await connect(
            self._door.token,
            replace(introduction, program=self._door.program),
            authority_cache=self._door.authorities,
        )
