"""Join tokens: one string there and back, and what is refused."""

from __future__ import annotations

import base64

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyxmake_common.errors import ConfigError
from cyxmake_common.net.token import PREFIX, JoinToken, split_address
from cyxmake_common.protocol.messages import Peer

TOKEN = JoinToken(
    address="wss://build.example.org:9876",
    ca_fingerprint="ab" * 32,
    token_id="t-1",
    secret="hunter2",
    role=Peer.WORKER,
)
GOLDEN = (
    "cyx1.haFhvHdzczovL2J1aWxkLmV4YW1wbGUub3JnOjk4NzahZsQgq6urq6urq6urq6urq6urq6urq6urq6urq6urq6ur"
    "q6uhaaN0LTGhc6dodW50ZXIyoXKmd29ya2Vy"
)
names = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=64)


def test_the_text_form_is_stable() -> None:
    """Tokens that were handed out stay valid."""
    assert TOKEN.text() == GOLDEN
    assert JoinToken.parse(GOLDEN) == TOKEN
    assert (TOKEN.host, TOKEN.port) == ("build.example.org", 9876)


@given(
    names,
    names,
    st.sampled_from([Peer.CLIENT, Peer.WORKER, Peer.ADMIN]),
    st.binary(min_size=32, max_size=32),
)
def test_round_trip(token_id: str, secret: str, role: Peer, fingerprint: bytes) -> None:
    """Whatever a coordinator issues is read as it was."""
    token = JoinToken("wss://[::1]:1", fingerprint.hex(), token_id, secret, role)
    assert JoinToken.parse(token.text()) == token


def test_wrapped_by_a_terminal() -> None:
    """Line breaks and blanks from copying do no harm."""
    text = TOKEN.text()
    assert JoinToken.parse(f"  {text[:40]}\n{text[40:80]} {text[80:]}\n") == TOKEN


def test_repr_hides_the_secret() -> None:
    """A token may be printed by accident."""
    assert "hunter2" not in repr(TOKEN)
    assert "hunter2" not in str(TOKEN)


@given(st.text(max_size=80))
def test_noise_is_refused(text: str) -> None:
    """Nothing but a ConfigError with a next step, which does not repeat the text."""
    for candidate in (text, PREFIX + text):
        with pytest.raises(ConfigError) as caught:
            JoinToken.parse(candidate)
        assert caught.value.next_step


@given(st.integers(5, len(GOLDEN) - 1))
def test_a_cut_token_is_refused(length: int) -> None:
    """Half a token is none."""
    with pytest.raises(ConfigError):
        JoinToken.parse(GOLDEN[:length])


@pytest.mark.parametrize(
    "change",
    [
        {"a": "https://x:1"},
        {"a": "wss://x"},
        {"a": "wss://x:99999"},
        {"a": "wss://user@x:1"},
        {"a": "wss://x:1/path"},
        {"a": 1},
        {"f": b"short"},
        {"f": "text"},
        {"i": ""},
        {"s": "x" * 300},
        {"s": "a\nb"},
        {"r": "coordinator"},
        {"r": "king"},
    ],
    ids=str,
)
def test_damaged_fields(change: dict[str, object]) -> None:
    """Each field is checked."""
    fields = {"a": "wss://x:1", "f": bytes(32), "i": "t", "s": "s", "r": "client"}
    packed = msgpack.packb({**fields, **change})
    with pytest.raises(ConfigError):
        JoinToken.parse(PREFIX + base64.urlsafe_b64encode(packed).decode().rstrip("="))


def test_other_keys_are_ignored() -> None:
    """A newer coordinator may add some."""
    fields = {"a": "wss://x:1", "f": bytes(32), "i": "t", "s": "s", "r": "client", "z": [1]}
    text = PREFIX + base64.urlsafe_b64encode(msgpack.packb(fields)).decode().rstrip("=")
    assert JoinToken.parse(text).token_id == "t"


def test_missing_fields() -> None:
    """What is not a whole map of fields is refused."""
    for fields in ({"a": "wss://x:1"}, [1], 7):
        text = PREFIX + base64.urlsafe_b64encode(msgpack.packb(fields)).decode().rstrip("=")
        with pytest.raises(ConfigError):
            JoinToken.parse(text)
    with pytest.raises(ConfigError):
        JoinToken.parse(PREFIX + "A" * 5000)


def test_addresses() -> None:
    """IPv6 hosts have brackets."""
    assert split_address("wss://[::1]:9876") == ("::1", 9876)
    for bad in ("", "wss://", "wss://:1", "wss://[::1:1", "ws://x:1", "wss://x:0"):
        with pytest.raises(ConfigError):
            split_address(bad)
