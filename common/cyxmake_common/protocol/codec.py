"""Messages to bytes and back, in the two encodings that the WebSocket subprotocol names.

Knows nothing of connections. The envelope is {type, id, timestamp, sender, payload}; an answer
carries the id of the message that it answers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

import msgpack
from pydantic import ValidationError

from cyxmake_common.errors import ProtocolError
from cyxmake_common.protocol.kinds import MESSAGES
from cyxmake_common.protocol.messages import MAX_NAME, Message

SUBPROTOCOL_MSGPACK: Final = "cyxmake.v1.msgpack"
SUBPROTOCOL_JSON: Final = "cyxmake.v1.json"
SUBPROTOCOLS: Final = (SUBPROTOCOL_MSGPACK, SUBPROTOCOL_JSON)
"""In order of preference."""

_MAX_ITEMS: Final = 16_384  # in one array or map; msgpack reserves room for what a frame announces
_FAR: Final = 1e12
_EXCERPT: Final = 300


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message with its id, the wall-clock second it was sent at, and its sender's name."""

    id: str
    timestamp: float
    sender: str
    message: Message

    @property
    def type(self) -> str:
        """Return the wire type of the payload."""
        return self.message.type


class UnknownType(ProtocolError):
    """The type is not one of this version's; the connection can go on."""

    code = "unknown-type"

    def __init__(self, type_: str, message_id: str) -> None:
        super().__init__(f"unknown message type {type_!r}")
        self.message_id = message_id


def encode(envelope: Envelope, subprotocol: str) -> bytes | str:
    """Encode for a subprotocol: bytes for a binary frame, str for a text frame."""
    if subprotocol == SUBPROTOCOL_MSGPACK:
        fields = {
            "type": envelope.type,
            "id": envelope.id,
            "timestamp": envelope.timestamp,
            "sender": envelope.sender,
            "payload": envelope.message.model_dump(exclude_defaults=True),
        }
        packed: bytes = msgpack.packb(fields, use_bin_type=True)
        return packed
    fields = {
        "type": envelope.type,
        "id": envelope.id,
        "timestamp": envelope.timestamp,
        "sender": envelope.sender,
        "payload": envelope.message.model_dump(mode="json", exclude_defaults=True),
    }
    return json.dumps(fields, separators=(",", ":"))


def decode(frame: bytes | str, subprotocol: str) -> Envelope:
    """Decode a frame; raises UnknownType for a type of another version, else ProtocolError."""
    json_mode = subprotocol == SUBPROTOCOL_JSON
    fields = _parse_json(frame) if json_mode else _parse_msgpack(frame)
    if not isinstance(fields, dict):
        raise ProtocolError("an envelope is a map")
    type_, id_ = fields.get("type"), fields.get("id")
    if not isinstance(type_, str) or not isinstance(id_, str):
        raise ProtocolError("an envelope has a type and an id")
    # Ids go back to the peer and into logs as they came, so they have to be plain.
    if not 0 < len(id_) <= MAX_NAME or not id_.isascii() or not id_.isprintable():
        raise ProtocolError(f"an id has 1 to {MAX_NAME} printable ASCII characters")
    timestamp, sender = _timestamp(fields.get("timestamp", 0.0)), fields.get("sender", "")
    if not isinstance(sender, str) or not sender.isprintable():
        raise ProtocolError("an envelope's sender is a printable name")
    kind = MESSAGES.get(type_)
    if kind is None:
        raise UnknownType(type_[:MAX_NAME].encode("ascii", "replace").decode("ascii"), id_)
    payload = fields.get("payload", {})
    try:
        # JSON has no bytes: the models read base64 there, raw bytes in msgpack.
        message = (
            kind.model_validate_json(json.dumps(payload))
            if json_mode
            else kind.model_validate(payload)
        )
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "payload"
        raise ProtocolError(f"{type_}: {where[:_EXCERPT]}: {first['msg'][:_EXCERPT]}") from None
    except (RecursionError, UnicodeError) as error:
        raise ProtocolError(f"{type_}: {type(error).__name__}") from None
    return Envelope(id_, timestamp, sender[:MAX_NAME], message)


def _timestamp(value: object) -> float:
    # Compared before it is converted: an integer may be too large for a float, and NaN is never so.
    if isinstance(value, int | float) and 0 <= value < _FAR:
        return float(value)
    raise ProtocolError("an envelope's timestamp is a number of seconds")


def _parse_msgpack(frame: bytes | str) -> object:
    if isinstance(frame, str):
        raise ProtocolError("a text frame on a msgpack connection")
    try:
        return msgpack.unpackb(
            frame,
            raw=False,
            strict_map_key=True,
            max_ext_len=0,
            max_array_len=_MAX_ITEMS,
            max_map_len=_MAX_ITEMS,
        )
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise ProtocolError(f"not msgpack: {str(error)[:_EXCERPT]}") from None


def _parse_json(frame: bytes | str) -> object:
    try:
        return json.loads(frame)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {str(error)[:_EXCERPT]}") from None
