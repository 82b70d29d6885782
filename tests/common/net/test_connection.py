"""An open connection: requests, answers, back-pressure, cancellation and the end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from cyxmake_common.digest import Digest
from cyxmake_common.errors import (
    BlobMissing,
    ConnectionLost,
    Denied,
    ProtocolError,
)
from cyxmake_common.net.connection import INBOX_BYTES, SLOW_PEER_BYTES
from cyxmake_common.net.wss import Connection, Introduction, connect
from cyxmake_common.outcome import OutcomeKind
from cyxmake_common.protocol.codec import Envelope
from cyxmake_common.protocol.messages import (
    Drain,
    FindMissing,
    Goodbye,
    JobAccept,
    JobCancel,
    JobComplete,
    JobProgress,
    JobRequest,
    LeaseAccept,
    LeaseResult,
    Missing,
    Peer,
    Status,
    StatusGet,
    Welcome,
    WorkerFacts,
)
from cyxmake_common.protocol.session import to_error
from support.messages import ONE
from support.net import Hub, answer, introduce, raw_peer, serving


async def next_message(connection: Connection) -> Envelope:
    """Return the next message that is no answer."""
    async for envelope in connection.messages():
        return envelope
    raise AssertionError("the connection ended")


async def test_many_requests_at_one_time(authority: Path) -> None:
    """Every caller gets its own answer, whatever the order."""
    digests = [Digest.of(bytes([number])) for number in range(100)]

    async def backwards(connection: Connection) -> None:
        waiting: list[Envelope] = []
        async for envelope in connection.messages():
            waiting.append(envelope)
            if len(waiting) == len(digests):
                for one in reversed(waiting):
                    await answer(connection, one)

    async with serving(Hub(authority, on_control=backwards)) as hub:
        connection = await hub.call()
        answers = await asyncio.gather(
            *(connection.request(FindMissing(digests=(digest,))) for digest in digests)
        )
        assert answers == [Missing(digests=(digest,)) for digest in digests]
        await connection.close()


async def test_both_sides_ask(authority: Path) -> None:
    """Equal serial numbers of the two sides are never confused."""
    answers = []

    async def curious(connection: Connection) -> None:
        async def ask() -> None:
            answers.append(await connection.request(Drain(), timeout=5))

        task = asyncio.create_task(ask())
        async for envelope in connection.messages():
            await answer(connection, envelope)
        await task

    async with serving(Hub(authority, on_control=curious)) as hub:
        connection = await hub.call()
        asked = await next_message(connection)
        assert asked.message == Drain()
        assert await connection.request(StatusGet(), timeout=5) == Status(version="test")
        await connection.send(Drain(on=False), asked.id)
        assert await connection.request(StatusGet(), timeout=5)
        assert answers == [Drain(on=False)]
        await connection.close()


async def test_a_refusal_of_one_request(authority: Path) -> None:
    """An ERROR raises what it stands for; the connection goes on."""

    async def refuse(connection: Connection) -> None:
        async for envelope in connection.messages():
            if isinstance(envelope.message, FindMissing):
                error = BlobMissing("gone", next_step="upload it")
                connection.send_soon(to_error(error), envelope.id)
            else:
                await answer(connection, envelope)

    async with serving(Hub(authority, on_control=refuse)) as hub:
        connection = await hub.call()
        with pytest.raises(BlobMissing, match="gone") as caught:
            await connection.request(FindMissing(digests=(ONE,)))
        assert caught.value.retryable
        assert await connection.request(StatusGet())
        await connection.close()


async def test_news_after_an_answer(authority: Path) -> None:
    """What follows the answer of a request under its id is delivered as news."""

    async def work(connection: Connection) -> None:
        async for envelope in connection.messages():
            if isinstance(envelope.message, JobRequest):
                await connection.send(JobAccept(operation="o"), envelope.id)
                await connection.send(JobProgress(operation="o", stage="executing"), envelope.id)

    async with serving(Hub(authority, on_control=work)) as hub:
        connection = await hub.call()
        request = JobRequest(operation="o", build="b", action=ONE)
        assert isinstance(await connection.request(request), JobAccept)
        assert isinstance((await next_message(connection)).message, JobProgress)
        await connection.close()


async def test_giving_up_on_an_answer(authority: Path) -> None:
    """A time-out and a cancellation leave the connection usable; late answers are dropped."""
    asked = asyncio.Queue[None]()
    late = asyncio.Event()

    async def hesitate(connection: Connection) -> None:
        held: list[Envelope] = []
        async for envelope in connection.messages():
            if isinstance(envelope.message, FindMissing):
                held.append(envelope)
                asked.put_nowait(None)
                continue
            if late.is_set():
                for one in held:
                    await answer(connection, one)
            await answer(connection, envelope)

    async with serving(Hub(authority, on_control=hesitate)) as hub:
        connection = await hub.call()
        with pytest.raises(ConnectionLost, match="find_missing within"):
            await connection.request(FindMissing(digests=(ONE,)), timeout=0.05)
        task = asyncio.create_task(connection.request(FindMissing(digests=(ONE,)), timeout=None))
        await asked.get()
        await asked.get()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        late.set()
        assert await connection.request(StatusGet()) == Status(version="test")
        assert "0 waiting, 0 bytes unread" in repr(connection)
        await connection.close()
        assert [one async for one in connection.messages()] == []


async def test_the_end_wakes_everybody(authority: Path) -> None:
    """Requests under way fail, the messages end, and later sends fail."""
    reached = asyncio.Event()

    async def leave(connection: Connection) -> None:
        await next_message(connection)
        reached.set()
        connection._wire.abort()

    async with serving(Hub(authority, on_control=leave)) as hub:
        connection = await hub.call()
        with pytest.raises(ConnectionLost):
            await connection.request(StatusGet())
        assert connection.closed.is_set()
        assert [one async for one in connection.messages()] == []
        with pytest.raises(ConnectionLost):
            await connection.send(StatusGet())
        connection.send_soon(StatusGet())  # dropped in silence
        await connection.close()


async def test_goodbye_says_why(authority: Path) -> None:
    """The peer's reason is delivered, and names the end."""

    async def leave(connection: Connection) -> None:
        await connection.close(Goodbye(reason="upgrade", retry=True))

    async with serving(Hub(authority, on_control=leave)) as hub:
        connection = await hub.call()
        assert (await next_message(connection)).message == Goodbye(reason="upgrade", retry=True)
        await connection.closed.wait()
        assert connection.close_reason == "upgrade"
        assert connection.failure is None


async def test_the_server_says_goodbye_to_all(authority: Path) -> None:
    """Closing the server closes every connection in order."""
    hub = Hub(authority)
    async with serving(hub):
        connections = [await hub.call() for _ in range(3)]
        await hub.server.close(Goodbye(reason="restart"))
        for connection in connections:
            await connection.closed.wait()
            assert connection.close_reason == "restart"


async def test_refuse(authority: Path) -> None:
    """The peer of a refused connection raises what it was refused for."""

    async def refuse(connection: Connection) -> None:
        await next_message(connection)
        await connection.refuse(Denied("your token was revoked"))

    async with serving(Hub(authority, on_control=refuse)) as hub:
        connection = await hub.call()
        with pytest.raises(Denied, match="revoked"):
            await connection.request(StatusGet())
        with pytest.raises(Denied, match="revoked"):
            await connection.send(StatusGet())
        assert connection.close_reason == "your token was revoked"


async def test_our_own_mistakes_do_not_leave(authority: Path) -> None:
    """A message that this side may not send is refused before the peer sees it."""
    async with serving(Hub(authority)) as hub:
        connection = await hub.call()
        with pytest.raises(ProtocolError):
            await connection.send(LeaseAccept(lease="l", epoch=1))
        assert await connection.request(StatusGet())
        await connection.close()


async def test_what_is_not_urgent_is_never_overtaken(authority: Path) -> None:
    """Urgent or not, waited for or not: everything comes in the order it was sent, the last too."""

    async def talk(connection: Connection) -> None:
        for number in range(100):
            news = JobProgress(operation=str(number), stage="executing", worker="w")
            if number % 7 == 3:
                await connection.send(news)
            else:
                connection.send_soon(news, urgent=number % 3 == 0)
        await connection.closed.wait()

    async with serving(Hub(authority, on_control=talk)) as hub:
        connection = await hub.call()
        said = [(await next_message(connection)).message for _ in range(100)]
        assert [m.operation for m in said if isinstance(m, JobProgress)] == [*map(str, range(100))]
        await connection.close()


async def test_what_was_queued_leaves_before_a_goodbye(authority: Path) -> None:
    """Closing in the same round loses nothing that was sent before."""

    async def talk(connection: Connection) -> None:
        connection.send_soon(JobAccept(operation="o"), urgent=False)
        connection.send_soon(JobAccept(operation="p"))
        await connection.close(Goodbye(reason="enough"))

    async with serving(Hub(authority, on_control=talk)) as hub:
        connection = await hub.call()
        said = [envelope.message async for envelope in connection.messages()]
        assert said[:2] == [JobAccept(operation="o"), JobAccept(operation="p")]
        assert connection.close_reason == "enough"


class _Written:
    """A transport that notes what is written; of any event loop, whose own may be closed to us."""

    def __init__(self, inner: Any, written: list[bytes]) -> None:
        self._inner = inner
        self._written = written

    def write(self, data: bytes) -> None:
        self._written.append(data)
        self._inner.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


async def test_a_round_of_messages_is_one_write(authority: Path) -> None:
    """What is sent in one round of the event loop costs one record and one call of the system."""
    written: list[bytes] = []

    async def talk(connection: Connection) -> None:
        socket = cast(Any, connection)._wire._socket
        socket.transport = _Written(socket.transport, written)
        for number in range(100):
            connection.send_soon(JobAccept(operation=str(number)), urgent=number % 2 == 0)
        await connection.closed.wait()

    async with serving(Hub(authority, on_control=talk)) as hub:
        connection = await hub.call()
        for _ in range(100):
            await next_message(connection)
        assert len(written) == 1
        await connection.close()


async def test_what_is_received_does_not_push_out_what_may_wait(authority: Path) -> None:
    """Thirty messages that may wait, each queued before another is received: fewer writes."""
    written: list[bytes] = []
    heard = asyncio.Queue[str]()

    async def talk(connection: Connection) -> None:
        socket = cast(Any, connection)._wire._socket
        socket.transport = _Written(socket.transport, written)
        async for envelope in connection.messages():
            if isinstance(envelope.message, JobCancel):
                operation = envelope.message.operation
                connection.send_soon(JobAccept(operation=operation), urgent=False)
                heard.put_nowait(operation)

    async with serving(Hub(authority, on_control=talk)) as hub:
        connection = await hub.call()
        for number in range(30):
            await connection.send(JobCancel(operation=str(number)))
            assert await heard.get() == str(number)
        for _ in range(30):
            await next_message(connection)
        assert len(written) < 30
        await connection.close()


async def test_a_peer_that_does_not_read(authority: Path) -> None:
    """`send_soon` never waits, and gives a peer up that lets too much pile up."""
    big = JobComplete(operation="o", result=bytes(4_000_000), worker="w")
    failed = asyncio.Event()

    async def flood(connection: Connection) -> None:
        for _ in range(SLOW_PEER_BYTES // len(big.result) * 3):
            connection.send_soon(big)
        await connection.closed.wait()
        failed.set()

    async with serving(Hub(authority, on_control=flood)) as hub, raw_peer(hub) as socket:
        assert isinstance(await introduce(socket), Welcome)
        socket.transport.pause_reading()
        await failed.wait()
        (connection,) = hub.connections
        assert connection.failure is not None
        assert "slow-peer" in connection.close_reason
        assert connection.bytes_sent < SLOW_PEER_BYTES + 3 * len(big.result)
        socket.transport.abort()


async def test_send_waits_for_a_slow_peer(authority: Path) -> None:
    """`send` is held back, so that memory does not grow with what a peer has not read."""
    big = JobComplete(operation="o", result=bytes(4_000_000), worker="w")
    blocked = asyncio.Event()

    async def feed(connection: Connection) -> None:
        for _ in range(50):
            sending = asyncio.ensure_future(connection.send(big))
            done, _ = await asyncio.wait([sending], timeout=0.5)
            if not done:
                blocked.set()
            await sending

    async with serving(Hub(authority, on_control=feed)) as hub, raw_peer(hub) as socket:
        assert isinstance(await introduce(socket), Welcome)
        socket.transport.pause_reading()
        await blocked.wait()
        assert hub.connections[0].bytes_sent <= 6 * len(big.result)
        socket.transport.abort()


@pytest.mark.parametrize("then", ["read", "close"])
async def test_a_handler_that_does_not_take_its_messages(authority: Path, then: str) -> None:
    """What was received and not taken is bounded; the rest waits at the sender."""
    big = LeaseResult(lease="l", epoch=1, kind=OutcomeKind.TOOL, result=bytes(4_000_000))
    count, go, taken = 40, asyncio.Event(), []

    async def doze(connection: Connection) -> None:
        await go.wait()
        if then == "read":
            async for envelope in connection.messages():
                taken.append(envelope.message)
                if len(taken) == count:
                    await connection.send(Drain())

    async with serving(Hub(authority, on_control=doze)) as hub:
        worker = Introduction(worker=WorkerFacts(name="w", slots=1))
        connection = await connect(hub.token(role=Peer.WORKER), worker)
        sending = asyncio.gather(*(connection.send(big) for _ in range(count)))
        await hub.accepted.wait()
        (other,) = hub.connections
        async with asyncio.timeout(60):
            while other.bytes_received < INBOX_BYTES:
                await asyncio.sleep(0.001)
        assert other.bytes_received < INBOX_BYTES + 2 * len(big.result)
        go.set()
        if then == "read":
            assert (await next_message(connection)).message == Drain()
            assert len(taken) == count
        await connection.close()
        await asyncio.gather(sending, return_exceptions=True)
        await other.closed.wait()


async def test_cancelling_a_send_leaves_the_stream_whole(authority: Path) -> None:
    """A send cancelled while it waits was sent as a whole."""
    big = JobComplete(operation="o", result=bytes(4_000_000), worker="w")

    async def feed(connection: Connection) -> None:
        for _ in range(10):
            sending = asyncio.ensure_future(connection.send(big))
            await asyncio.sleep(0)
            sending.cancel()
            await asyncio.wait([sending])
        await connection.send(Goodbye(reason="whole"))
        await connection.closed.wait()

    async with serving(Hub(authority, on_control=feed)) as hub:
        connection = await hub.call()
        received = []
        async for envelope in connection.messages():
            received.append(envelope.message)
            if isinstance(envelope.message, Goodbye):
                break
        assert received == [big] * 10 + [Goodbye(reason="whole")]
        await connection.close()


async def test_two_hundred_connections(authority: Path, tmp_path: Path) -> None:
    """A coordinator serves a team, and closes all of them."""
    me = Introduction(program="test")
    async with serving(Hub(authority)) as hub:
        connections = [await connect(hub.token(), me, authority_cache=tmp_path)]
        calls = (connect(hub.token(), me, authority_cache=tmp_path) for _ in range(199))
        connections += await asyncio.gather(*calls)
        answers = await asyncio.gather(*(one.request(StatusGet()) for one in connections))
        assert len(answers) == 200
        await asyncio.gather(*(one.close() for one in connections))
