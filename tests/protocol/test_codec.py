"""Frames: what was encoded is decoded, and nothing else raises anything but ProtocolError."""

from __future__ import annotations

import json
from dataclasses import replace

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cyxmake_common.errors import ProtocolError
from cyxmake_common.protocol.codec import (
    SUBPROTOCOL_JSON,
    SUBPROTOCOL_MSGPACK,
    SUBPROTOCOLS,
    Envelope,
    UnknownType,
    decode,
    encode,
)
from cyxmake_common.protocol.kinds import MESSAGES
from cyxmake_common.protocol.messages import Done, Heartbeat, Hello, Message
from support.messages import EXAMPLES, anything, message

subprotocols = st.sampled_from(SUBPROTOCOLS)
frames = [
    (encode(Envelope("c1", 1.0, "fuzz", example), subprotocol), subprotocol)
    for example in EXAMPLES
    for subprotocol in SUBPROTOCOLS
]


def survives(frame: bytes | str, subprotocol: str) -> None:
    """Decode: either an envelope or a ProtocolError comes out."""
    try:
        envelope = decode(frame, subprotocol)
    except ProtocolError as error:
        assert len(str(error)) < 2000
    else:
        assert isinstance(envelope.message, Message)
        # Whatever was let in can be passed on in both encodings.
        for other in SUBPROTOCOLS:
            assert decode(encode(envelope, other), other).message == envelope.message


@given(message(), subprotocols, st.floats(0, 1e11), st.sampled_from(["c1", "s99", "x" * 256]))
def test_round_trip(message: Message, subprotocol: str, timestamp: float, id_: str) -> None:
    """Every valid message survives both encodings."""
    envelope = Envelope(id_, timestamp, "peer", message)
    assert decode(encode(envelope, subprotocol), subprotocol) == envelope


@given(st.sampled_from(frames), st.data())
def test_damaged_frames(frame_of: tuple[bytes | str, str], data: st.DataObject) -> None:
    """Flipped, cut, doubled and spliced frames are refused in order."""
    frame, subprotocol = frame_of
    raw = bytearray(frame.encode() if isinstance(frame, str) else frame)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(raw)))
        match data.draw(st.sampled_from(["flip", "cut", "insert", "remove"])):
            case "flip" if position < len(raw):
                raw[position] ^= data.draw(st.integers(1, 255))
            case "cut":
                del raw[position:]
            case "insert":
                raw[position:position] = data.draw(st.binary(min_size=1, max_size=8))
            case _:
                del raw[position : position + data.draw(st.integers(1, 8))]
    damaged = bytes(raw)
    survives(damaged, subprotocol)
    if subprotocol == SUBPROTOCOL_JSON:
        survives(damaged.decode("utf-8", "replace"), subprotocol)


@given(st.binary(max_size=200), subprotocols)
def test_noise(noise: bytes, subprotocol: str) -> None:
    """Random bytes are refused in order."""
    survives(noise, subprotocol)


@given(st.text(max_size=200), subprotocols)
def test_text_noise(noise: str, subprotocol: str) -> None:
    """Random text is refused in order."""
    survives(noise, subprotocol)


@given(st.sampled_from(sorted(MESSAGES)), anything, anything, anything)
def test_wrong_shapes(type_: str, payload: object, id_: object, timestamp: object) -> None:
    """Well-formed encodings of the wrong things are refused in order."""
    for fields in (
        {"type": type_, "id": "c1", "timestamp": 1.0, "sender": "x", "payload": payload},
        {"type": type_, "id": id_, "timestamp": timestamp, "sender": timestamp, "payload": {}},
    ):
        survives(msgpack.packb(fields), SUBPROTOCOL_MSGPACK)
        survives(json.dumps(fields, default=repr), SUBPROTOCOL_JSON)


@given(st.sampled_from(EXAMPLES), st.data())
def test_wrong_fields(example: Message, data: st.DataObject) -> None:
    """A message with one field replaced by anything is refused or understood."""
    fields = example.model_dump()
    if fields:
        fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(anything)
    envelope = {"type": example.type, "id": "c1", "payload": fields}
    survives(msgpack.packb(envelope, default=str), SUBPROTOCOL_MSGPACK)
    survives(json.dumps(envelope, default=str), SUBPROTOCOL_JSON)


BOMBS = {
    "deep arrays": b"\x91" * 100_000,
    "deep maps": b"\x81\xa1a" * 100_000,
    "huge array": b"\xdd\xff\xff\xff\xff",
    "huge map": b"\xdf\xff\xff\xff\xff",
    "huge text": b"\xdb\xff\xff\xff\xff",
    "huge bytes": b"\xc6\xff\xff\xff\xff",
    "huge extension": b"\xc9\xff\xff\xff\xff\x01",
    "timestamp": b"\xd6\xff\x00\x00\x00\x01",
    "many nils": b"\xdd\x00\x40\x00\x00" + b"\xc0" * 0x400000,
    "nothing": b"",
    "two values": b"\x80\x80",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_msgpack_bombs(bomb: bytes) -> None:
    """Frames that announce more than they hold, or nest for ever, cost nothing."""
    with pytest.raises(ProtocolError):
        decode(bomb, SUBPROTOCOL_MSGPACK)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        '{"a":' * 200_000,
        '{"type":"done","id":"c1","timestamp":' + "9" * 400 + "}",
        '{"type":"done","id":"c1","timestamp":NaN}',
        '{"type":"done","id":"c1","timestamp":Infinity}',
        '{"type":"done","id":"\\ud800"}',
        '{"type":"done","id":"c1","sender":"\\ud800"}',
        '{"type":"\\ud800","id":"c1"}',
        '{"type":"blob_ready","id":"c1","payload":{"offset":' + "9" * 30 + "}}",
        '{"type":"blob_ready","id":"c1","payload":{"offset":-1}}',
        '{"type":"heartbeat","id":"c1","payload":{"load":1e999}}',
        '{"type":"goodbye","id":"c1","payload":{"reason":"\\ud800"}}',
        '{"type":"goodbye","id":"c1","payload":' + "[" * 900 + "]" * 900 + "}",
    ],
)
def test_json_traps(text: str) -> None:
    """Numbers without bounds, lone surrogates and nesting are refused in order."""
    with pytest.raises(ProtocolError):
        decode(text, SUBPROTOCOL_JSON)


def test_unknown_fields_are_ignored() -> None:
    """A newer peer may say more."""
    fields = {"type": "done", "id": "c1", "news": 1, "payload": {"more": [1, {"a": b"x"}]}}
    assert decode(msgpack.packb(fields), SUBPROTOCOL_MSGPACK).message == Done()


def test_missing_fields_have_defaults() -> None:
    """What a peer leaves out holds its default."""
    frame = '{"type":"heartbeat","id":"c1"}'
    assert decode(frame, SUBPROTOCOL_JSON) == Envelope("c1", 0.0, "", Heartbeat())


@example("x" * 5000)
@given(st.text(min_size=1, max_size=40).filter(lambda text: text not in MESSAGES))
def test_unknown_types_name_the_message(type_: str) -> None:
    """The receiver learns the id, so that it can answer."""
    with pytest.raises(UnknownType) as caught:
        decode(msgpack.packb({"type": type_, "id": "c7"}), SUBPROTOCOL_MSGPACK)
    assert caught.value.message_id == "c7"
    assert len(str(caught.value)) < 400


def test_a_refused_hello_does_not_repeat_the_secret() -> None:
    """Errors go into logs and to strangers."""
    hello = next(one for one in EXAMPLES if isinstance(one, Hello))
    fields = {**hello.model_dump(), "token_secret": "hunter2" * 100, "oldest": "hunter2"}
    with pytest.raises(ProtocolError) as caught:
        decode(
            msgpack.packb({"type": "hello", "id": "c1", "payload": fields}, default=str),
            SUBPROTOCOL_MSGPACK,
        )
    assert "hunter2" not in str(caught.value)
    assert "s3cret" not in repr(hello)


def test_frames_of_the_other_kind() -> None:
    """Text on a msgpack connection is refused."""
    envelope = replace(Envelope("c1", 1.0, "x", Done()))
    with pytest.raises(ProtocolError):
        decode(str(encode(envelope, SUBPROTOCOL_JSON)), SUBPROTOCOL_MSGPACK)
