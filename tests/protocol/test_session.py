"""The handshake's rules, who may send what, and the spelling of failures."""

from __future__ import annotations

import pytest

from cyxmake_common import errors
from cyxmake_common.errors import CyxError, Denied, ProtocolError, StoreFull, VersionMismatch
from cyxmake_common.protocol.bulk import BlobStored
from cyxmake_common.protocol.codec import UnknownType
from cyxmake_common.protocol.kinds import MESSAGES
from cyxmake_common.protocol.messages import (
    PROTOCOL_OLDEST,
    PROTOCOL_VERSION,
    Channel,
    Done,
    Error,
    Hello,
    Limits,
    Message,
    Peer,
    Welcome,
    WorkerFacts,
)
from cyxmake_common.protocol.session import (
    HandshakeMachine,
    State,
    agree_version,
    check_allowed,
    from_error,
    to_error,
)
from support.messages import EXAMPLES

CLIENT = Hello(
    oldest=PROTOCOL_OLDEST,
    newest=PROTOCOL_VERSION,
    channel=Channel.CONTROL,
    role=Peer.CLIENT,
    token_id="t",
    token_secret="s",
)
WELCOME = Welcome(version=PROTOCOL_VERSION, session="s-1", coordinator="hub")
FACTS = WorkerFacts(name="w", slots=1)


def test_both_sides_open() -> None:
    """HELLO and WELCOME lead both machines to OPEN, with what was agreed filled in."""
    caller, coordinator = HandshakeMachine(Peer.CLIENT), HandshakeMachine(Peer.COORDINATOR)
    hello, version = coordinator.receive_hello(caller.send_hello(CLIENT))
    limits = Limits(chunk_bytes=2048)
    welcome = coordinator.send_welcome(WELCOME.model_copy(update={"version": 99}), version, limits)
    assert caller.receive_answer(welcome) == welcome
    assert (hello, welcome.version, welcome.limits) == (CLIENT, PROTOCOL_VERSION, limits)
    assert (caller.state, coordinator.state) == (State.OPEN, State.OPEN)


@pytest.mark.parametrize(("ours", "theirs", "agreed"), [(True, True, True), (True, False, False)])
def test_compression_needs_both(ours: bool, theirs: bool, agreed: bool) -> None:
    """One side alone cannot switch compression on."""
    machine = HandshakeMachine(Peer.COORDINATOR)
    machine.receive_hello(CLIENT.model_copy(update={"compress": theirs}))
    welcome = WELCOME.model_copy(update={"compress": ours})
    assert machine.send_welcome(welcome, 1, Limits()).compress is agreed


@pytest.mark.parametrize(
    ("oldest", "newest"),
    [(PROTOCOL_VERSION + 1, PROTOCOL_VERSION + 3), (0, PROTOCOL_OLDEST - 1), (2, 1)],
)
def test_no_common_version(oldest: int, newest: int) -> None:
    """A peer that is only newer, only older or confused is told which versions there are."""
    with pytest.raises(VersionMismatch, match=f"{PROTOCOL_OLDEST} to {PROTOCOL_VERSION}"):
        agree_version(oldest, newest)


def test_the_newest_common_version_wins() -> None:
    """A peer that speaks more than we do speaks ours with us."""
    assert agree_version(0, PROTOCOL_VERSION + 5) == PROTOCOL_VERSION


@pytest.mark.parametrize(
    "change",
    [
        {"role": Peer.COORDINATOR},
        {"channel": Channel.BULK},
        {"session": "s-9"},
        {"role": Peer.WORKER},
        {"oldest": 7, "newest": 9},
    ],
)
def test_a_hello_that_does_not_fit(change: dict[str, object]) -> None:
    """Role, channel, session and worker facts have to go together."""
    machine = HandshakeMachine(Peer.COORDINATOR)
    with pytest.raises(ProtocolError):
        machine.receive_hello(CLIENT.model_copy(update=change))
    assert machine.state is State.ENDED


def test_hellos_that_fit() -> None:
    """A worker with its facts, and any role on a bulk connection of a session."""
    for change in (
        {"role": Peer.WORKER, "worker": FACTS},
        {"role": Peer.WORKER, "channel": Channel.BULK, "session": "s-1"},
        {"role": Peer.ADMIN},
    ):
        HandshakeMachine(Peer.COORDINATOR).receive_hello(CLIENT.model_copy(update=change))


def test_out_of_turn() -> None:
    """A second HELLO, or an answer without one, breaks the protocol."""
    machine = HandshakeMachine(Peer.COORDINATOR)
    with pytest.raises(ProtocolError, match="first message"):
        machine.receive_hello(Done())
    with pytest.raises(ProtocolError, match="out of turn"):
        machine.receive_hello(CLIENT)
    caller = HandshakeMachine(Peer.CLIENT)
    with pytest.raises(ProtocolError, match="out of turn"):
        caller.receive_answer(WELCOME)
    caller.send_hello(CLIENT)
    with pytest.raises(ProtocolError, match="welcome"):
        caller.receive_answer(Done())
    machine.end()
    assert "ended" in repr(machine)


def test_refusals_arrive_as_their_exception() -> None:
    """What the coordinator says decides what the caller raises."""
    for answer, kind in (
        (Error(code="denied", message="no"), Denied),
        (Error(code="version-mismatch", message="no"), VersionMismatch),
        (WELCOME.model_copy(update={"version": 5}), VersionMismatch),
    ):
        machine = HandshakeMachine(Peer.CLIENT)
        machine.send_hello(CLIENT)
        with pytest.raises(kind):
            machine.receive_answer(answer)
        assert machine.state is State.ENDED


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: message.type)
def test_senders_and_channels(message: Message) -> None:
    """Exactly the senders and channels of the table are allowed."""
    kind = type(message)
    assert MESSAGES[kind.type] is kind
    for sender in Peer:
        for channel in Channel:
            allowed = sender in kind.senders and channel in kind.channels
            if allowed:
                check_allowed(message, sender, channel)
            else:
                with pytest.raises(ProtocolError):
                    check_allowed(message, sender, channel)


KINDS = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CyxError)
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_failures_cross_the_wire(kind: type[CyxError]) -> None:
    """Type, text, next step and retryable arrive as they were."""
    failure = kind("what", next_step="do this")
    received = from_error(to_error(failure))
    assert type(received) is kind
    assert (received.message, received.next_step) == ("what", "do this")
    assert (received.code, received.retryable) == (failure.code, failure.retryable)


def test_codes_of_other_versions() -> None:
    """An unknown code keeps its name and whether to try again; a known one its own flag."""
    received = from_error(Error(code="moon-phase", message="later", retryable=True))
    assert (type(received), received.code, received.retryable) == (CyxError, "moon-phase", True)
    full = from_error(Error(code="store-full", message="never", retryable=False))
    assert isinstance(full, StoreFull)
    assert not full.retryable
    assert CyxError.code == "internal"
    unknown = from_error(to_error(UnknownType("news", "c1")))
    assert isinstance(unknown, ProtocolError)
    assert unknown.code == "unknown-type"


def test_long_failures_are_cut() -> None:
    """A failure with a huge text is still a valid ERROR."""
    assert len(to_error(CyxError("x" * 200_000), fatal=True).message) == 64 * 1024


def test_bulk_answers_stay_off_control() -> None:
    """The coordinator cannot confirm a blob on a control connection."""
    with pytest.raises(ProtocolError, match="control"):
        check_allowed(BlobStored(), Peer.COORDINATOR, Channel.CONTROL)
