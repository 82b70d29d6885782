"""The gate without a network: penalties, and too many callers at one time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cyxmake_common.net.gate import Gate, Penalties, Service
from cyxmake_common.protocol.codec import SUBPROTOCOL_MSGPACK, decode
from cyxmake_common.protocol.messages import (
    Error,
)
from support.net import Hub


def test_penalties_grow_and_are_forgiven() -> None:
    """50 ms, doubling up to a second; forgotten after a minute; addresses apart."""
    penalties = Penalties()
    delays = [penalties.fail("a", float(second)) for second in range(7)]
    assert delays == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert penalties.fail("b", 7.0) == 0.05
    assert penalties.fail("a", 100.0) == 0.05
    for number in range(10_000):
        penalties.fail(str(number), 200.0)
    assert penalties.fail("a", 201.0) == 0.05


async def test_too_many_strangers(authority: Path) -> None:
    """Callers beyond the limit of handshakes are sent away to come back."""
    hub = Hub(authority)
    gate = Gate(Service(hub._authenticate, hub._serve), max_handshakes=1)
    first, second = SilentWire(), SilentWire()
    waiting = asyncio.create_task(gate.receive(first))
    await first.asked.wait()
    await gate.receive(second)
    said = decode(second.sent[0], SUBPROTOCOL_MSGPACK).message
    assert isinstance(said, Error)
    assert (said.code, said.retryable, said.fatal) == ("busy", True, True)
    assert "1 handshakes" in repr(gate)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


class SilentWire:
    """A wire whose peer says nothing."""

    subprotocol = SUBPROTOCOL_MSGPACK
    address = "somewhere"

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.sent: list[bytes | str] = []

    async def receive(self) -> bytes | str:
        self.asked.set()
        await asyncio.Event().wait()
        return b""

    async def send(self, frame: bytes | str) -> None:
        self.sent.append(frame)

    def send_now(self, frame: bytes | str, delay: float = 0.0) -> int:
        self.sent.append(frame)
        return 0

    async def close(self, code: int, reason: str) -> None:
        pass

    def abort(self) -> None:
        pass
