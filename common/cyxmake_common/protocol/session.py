"""The rules of one connection: opening it, who may send what, and how failures are spelt.

Knows nothing of bytes, sockets or tokens: it sees messages, and returns messages or raises.

    caller        START ──HELLO──▶ WAITING ──WELCOME──▶ OPEN
    coordinator   START ──HELLO──▶ DECIDING ──WELCOME──▶ OPEN

A fatal ERROR, or a broken rule, leads from every state to ENDED.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import Final

from cyxmake_common import errors
from cyxmake_common.errors import CyxError, ProtocolError, VersionMismatch
from cyxmake_common.protocol.codec import UnknownType
from cyxmake_common.protocol.messages import (
    MAX_NAME,
    MAX_TEXT,
    PROTOCOL_OLDEST,
    PROTOCOL_VERSION,
    Channel,
    Error,
    Hello,
    Limits,
    Message,
    Peer,
    Welcome,
)

_OPENING: Final = frozenset({Hello, Welcome})
_UPDATE: Final = "install the same version of CyxMake on both machines"


class State(StrEnum):
    """Where a handshake stands."""

    START = "start"
    WAITING = "waiting"
    DECIDING = "deciding"
    OPEN = "open"
    ENDED = "ended"


def agree_version(oldest: int, newest: int) -> int:
    """Return the newest version both sides speak; raises VersionMismatch."""
    version = min(newest, PROTOCOL_VERSION)
    if oldest > newest or version < max(oldest, PROTOCOL_OLDEST):
        theirs = str(oldest) if oldest == newest else f"{oldest} to {newest}"
        raise VersionMismatch(
            f"the other side speaks protocol {theirs}, this one {PROTOCOL_OLDEST} to"
            f" {PROTOCOL_VERSION}",
            next_step=_UPDATE,
        )
    return version


def check_allowed(message: Message, sender: Peer, channel: Channel) -> None:
    """Raise ProtocolError when this sender may not send this message on this channel."""
    if objection := _objection(type(message), sender, channel):
        raise ProtocolError(objection)


def check_open(message: Message, sender: Peer, channel: Channel) -> None:
    """Raise ProtocolError for a message that has no place on a connection that is open."""
    if type(message) in _OPENING:
        raise ProtocolError(f"out of turn: {message.type} on an open connection")
    check_allowed(message, sender, channel)


@cache
def _objection(kind: type[Message], sender: Peer, channel: Channel) -> str:
    """Say why a sender may not send a kind of message on a channel; empty when it may."""
    if sender not in kind.senders:
        return f"a {sender} may not send {kind.type}"
    if channel not in kind.channels:
        return f"{kind.type} does not belong on a {channel} connection"
    return ""


class HandshakeMachine:
    """One side of the opening of a connection; `me` says which."""

    def __init__(self, me: Peer) -> None:
        self._me = me
        self._state = State.START
        self._hello: Hello | None = None

    def __repr__(self) -> str:
        return f"<HandshakeMachine {self._me} {self._state}>"

    @property
    def state(self) -> State:
        """Return where the handshake stands."""
        return self._state

    def send_hello(self, hello: Hello) -> Hello:
        """Note that a caller sends HELLO; it may do so once."""
        self._expect(State.START)
        self._hello = hello
        self._state = State.WAITING
        return hello

    def receive_hello(self, message: Message) -> tuple[Hello, int]:
        """Check a caller's first message; return it with the agreed version."""
        try:
            self._expect(State.START)
            if not isinstance(message, Hello):
                raise ProtocolError(f"the first message must be hello, not {message.type}")
            version = agree_version(message.oldest, message.newest)
            _check_hello(message)
        except ProtocolError:
            self._state = State.ENDED
            raise
        self._hello = message
        self._state = State.DECIDING
        return message, version

    def send_welcome(self, welcome: Welcome, version: int, limits: Limits) -> Welcome:
        """Return the WELCOME to send, with what this connection agreed on filled in."""
        hello = self._expect(State.DECIDING)
        self._state = State.OPEN
        agreed = {
            "version": version,
            "limits": limits,
            "compress": welcome.compress and hello is not None and hello.compress,
        }
        return welcome.model_copy(update=agreed)

    def receive_answer(self, message: Message) -> Welcome:
        """Take the answer to HELLO; raises what an ERROR names, or ProtocolError."""
        hello = self._expect(State.WAITING)
        self._state = State.ENDED
        if isinstance(message, Error):
            raise from_error(message)
        if not isinstance(message, Welcome):
            raise ProtocolError(f"hello is answered by welcome, not {message.type}")
        if hello is None or not hello.oldest <= message.version <= hello.newest:
            raise VersionMismatch(
                f"the coordinator chose protocol {message.version}, which was not offered",
                next_step=_UPDATE,
            )
        self._state = State.OPEN
        return message

    def end(self) -> None:
        """Note that the connection ends here."""
        self._state = State.ENDED

    def _expect(self, state: State) -> Hello | None:
        if self._state is not state:
            raise ProtocolError(f"out of turn: the handshake is {self._state}, not {state}")
        return self._hello


def _check_hello(hello: Hello) -> None:
    if hello.role is Peer.COORDINATOR:
        raise ProtocolError("a coordinator does not call")
    if hello.channel is Channel.BULK and not hello.session:
        raise ProtocolError("a bulk connection names the session it belongs to")
    if hello.channel is Channel.CONTROL and hello.session:
        raise ProtocolError("a control connection gets its session in welcome")
    wants_facts = hello.role is Peer.WORKER and hello.channel is Channel.CONTROL
    if wants_facts and hello.worker is None:
        raise ProtocolError("a worker says what it is in hello")


# ── failures on the wire ────────────────────────────────────────────────────────────────────────

_BY_CODE: Final[dict[str, type[CyxError]]] = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, CyxError)
}


def to_error(failure: CyxError, *, fatal: bool = False) -> Error:
    """Spell a failure of ours as an ERROR."""
    return Error(
        code=failure.code[:MAX_NAME],
        message=failure.message[:MAX_TEXT],
        next_step=failure.next_step[:MAX_TEXT],
        retryable=failure.retryable,
        fatal=fatal,
    )


def from_error(message: Error) -> CyxError:
    """Return the exception an ERROR stands for; a code of another version becomes a CyxError."""
    unknown_type = message.code == UnknownType.code
    kind = ProtocolError if unknown_type else _BY_CODE.get(message.code, CyxError)
    failure = kind(message.message, next_step=message.next_step)
    failure.code = message.code
    failure.retryable = message.retryable
    return failure
