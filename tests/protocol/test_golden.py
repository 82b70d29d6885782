"""The bytes of every message in both encodings, as old peers write and read them.

To accept a deliberate change: CYXMAKE_WRITE_GOLDEN=1 pytest tests/protocol/test_golden.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import BaseModel

from cyxmake_common.protocol.codec import (
    SUBPROTOCOL_JSON,
    SUBPROTOCOL_MSGPACK,
    Envelope,
    decode,
    encode,
)
from cyxmake_common.protocol.kinds import MESSAGES
from cyxmake_common.protocol.messages import Message
from support.messages import EXAMPLES

GOLDEN = Path(__file__).parent / "golden"
CASES = [
    pytest.param(example, subprotocol, suffix, id=f"{example.type}{suffix}")
    for example in EXAMPLES
    for subprotocol, suffix in ((SUBPROTOCOL_MSGPACK, ".bin"), (SUBPROTOCOL_JSON, ".json"))
]


def test_every_message_has_an_example() -> None:
    """A new message type cannot be forgotten here."""
    assert [type(example) for example in EXAMPLES] == list(MESSAGES.values())


@pytest.mark.parametrize(("message", "subprotocol", "suffix"), CASES)
def test_the_bytes_are_those_of_old_peers(message: Message, subprotocol: str, suffix: str) -> None:
    """Encoding gives the golden bytes, and decoding them gives the message."""
    path = GOLDEN / f"{message.type}{suffix}"
    envelope = Envelope("c1", 1_700_000_000.5, "golden", message)
    frame = encode(envelope, subprotocol)
    data = frame.encode() if isinstance(frame, str) else frame
    if os.environ.get("CYXMAKE_WRITE_GOLDEN"):
        path.write_bytes(data)
    golden = path.read_bytes()
    assert data == golden
    assert decode(golden if isinstance(frame, bytes) else golden.decode(), subprotocol) == envelope


def test_no_field_is_left_out() -> None:
    """Fields at their default are not written: each is at another value somewhere."""
    unseen: set[str] = set()
    seen: set[str] = set()

    def visit(value: object) -> None:
        if isinstance(value, BaseModel):
            names = {name: f"{type(value).__name__}.{name}" for name in type(value).model_fields}
            unseen.update(names.values())
            written = value.model_dump(exclude_defaults=True)
            seen.update(names[name] for name in written)
            for name in names:
                visit(getattr(value, name))
        elif isinstance(value, tuple):
            for item in value:
                visit(item)

    for example in EXAMPLES:
        visit(example)
    assert unseen == seen


def test_no_golden_file_is_left_over() -> None:
    """Files of messages that no longer exist are removed with them."""
    names = {path.stem for path in GOLDEN.iterdir()}
    assert names == set(MESSAGES)
