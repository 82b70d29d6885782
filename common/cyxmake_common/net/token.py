"""Join tokens: everything a worker or a client needs to reach a coordinator, in one string.

Knows nothing of how tokens are issued, stored or checked; the coordinator's `auth` does.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import msgpack

from cyxmake_common.errors import ConfigError
from cyxmake_common.protocol.messages import MAX_NAME, Peer

PREFIX: Final = "cyx1."
_MAX_TEXT: Final = 4096
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}\Z")
_ASK: Final = "copy the whole token again, or ask for a new one: cyxmake-coordinator token create"


@dataclass(frozen=True, slots=True)
class JoinToken:
    """Where the coordinator is, which certificate authority to trust, and the right to come in."""

    address: str
    ca_fingerprint: str
    token_id: str
    secret: str = field(repr=False)
    role: Peer

    def __post_init__(self) -> None:
        split_address(self.address)
        if not _FINGERPRINT.match(self.ca_fingerprint):
            raise ConfigError("the token's CA fingerprint is not SHA-256 in hex", next_step=_ASK)
        if self.role is Peer.COORDINATOR:
            raise ConfigError("a token cannot have the role coordinator", next_step=_ASK)
        for name, value in (("id", self.token_id), ("secret", self.secret)):
            if not value or len(value) > MAX_NAME or not value.isprintable():
                raise ConfigError(f"the token's {name} is empty or damaged", next_step=_ASK)

    @property
    def host(self) -> str:
        """Return the host part of the address."""
        return split_address(self.address)[0]

    @property
    def port(self) -> int:
        """Return the port of the address."""
        return split_address(self.address)[1]

    def text(self) -> str:
        """Return the one-line form that people copy; it contains the secret."""
        packed: bytes = msgpack.packb(
            {
                "a": self.address,
                "f": bytes.fromhex(self.ca_fingerprint),
                "i": self.token_id,
                "s": self.secret,
                "r": str(self.role),
            }
        )
        return PREFIX + base64.urlsafe_b64encode(packed).rstrip(b"=").decode("ascii")

    @staticmethod
    def parse(text: str) -> JoinToken:
        """Read the one-line form; raises ConfigError, which never repeats the text."""
        text = "".join(text.split())  # a terminal may have wrapped it
        if not text.startswith(PREFIX):
            raise ConfigError(f"a join token starts with {PREFIX}", next_step=_ASK)
        fields = _unpack(text[len(PREFIX) :])
        try:
            return JoinToken(
                address=_text(fields, "a"),
                ca_fingerprint=_fingerprint(fields),
                token_id=_text(fields, "i"),
                secret=_text(fields, "s"),
                role=Peer(_text(fields, "r")),
            )
        except (KeyError, TypeError, ValueError):
            raise ConfigError("the token is incomplete or damaged", next_step=_ASK) from None


def split_address(address: str) -> tuple[str, int]:
    """Split `wss://host:port`; raises ConfigError."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    rest = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    if parts.scheme != "wss" or not host or not port or rest:
        raise ConfigError(
            f"not a coordinator address: {address[:200]!r}", next_step="write wss://host:port"
        )
    return host, port


def _unpack(encoded: str) -> dict[str, object]:
    try:
        if len(encoded) > _MAX_TEXT:
            raise ValueError
        packed = base64.b64decode(
            encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True
        )
        fields = msgpack.unpackb(packed, max_ext_len=0)
    except (ValueError, binascii.Error, msgpack.exceptions.UnpackException):
        raise ConfigError("the token is incomplete or damaged", next_step=_ASK) from None
    if not isinstance(fields, dict):
        raise ConfigError("the token is incomplete or damaged", next_step=_ASK)
    return fields


def _text(fields: dict[str, object], key: str) -> str:
    value = fields[key]
    if not isinstance(value, str):
        raise TypeError(key)
    return value


def _fingerprint(fields: dict[str, object]) -> str:
    value = fields["f"]
    if not isinstance(value, bytes):
        raise TypeError("f")
    return value.hex()
