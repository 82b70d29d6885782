"""Join tokens: made, listed, revoked and verified, in one SQLite file that several processes share.

Knows nothing of connections (see sessions). The command line works on the same file while a server
runs; the server sees the change through `changed`.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import aiosqlite

from cyxmake_common import clock
from cyxmake_common.errors import ConfigError, Denied, UsageError
from cyxmake_common.ids import Namespace, TokenId
from cyxmake_common.net.token import JoinToken
from cyxmake_common.protocol.messages import Peer

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS tokens (
    id TEXT PRIMARY KEY,
    role TEXT NOT NULL,
    label TEXT NOT NULL,
    namespace TEXT NOT NULL,
    salt BLOB NOT NULL,
    hash BLOB NOT NULL,
    created REAL NOT NULL,
    expires REAL,
    revoked REAL
);
CREATE TABLE IF NOT EXISTS token_events (
    time REAL NOT NULL,
    token TEXT NOT NULL,
    event TEXT NOT NULL
);
"""

_COLUMNS: Final = "id, role, label, namespace, created, expires, revoked"
_SECRET_BYTES: Final = 32
_SHARED: Final = Namespace("")
_NO_SALT: Final = bytes(16)


class TokenState(StrEnum):
    """Whether a token opens the door."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What is kept of a token: everything but its secret. Times are seconds since the epoch."""

    id: TokenId
    role: Peer
    label: str
    namespace: Namespace
    created: float
    expires: float | None
    revoked: float | None

    def state(self, now: float) -> TokenState:
        """Return whether the token is good at a moment."""
        if self.revoked is not None:
            return TokenState.REVOKED
        if self.expires is not None and now >= self.expires:
            return TokenState.EXPIRED
        return TokenState.ACTIVE


@dataclass(frozen=True, slots=True)
class TokenWish:
    """What a new token shall be good for; `expires` in seconds since the epoch, None is never."""

    role: Peer
    expires: float | None = None
    label: str = ""
    namespace: Namespace = _SHARED


@dataclass(frozen=True, slots=True)
class Door:
    """Where a token leads: the coordinator's address and the authority it pins."""

    address: str
    ca_fingerprint: str


class TokenDenied(Denied):
    """A refusal whose reason is for the log; the peer's message does not tell which it was."""

    def __init__(self, token: str, reason: str) -> None:
        super().__init__(
            "the token is not accepted",
            next_step="ask for a new one: cyxmake-coordinator token create",
        )
        self.token = token
        self.reason = reason


def _hash(salt: bytes, secret: str) -> bytes:
    # The secret is 256 random bits: nobody can try them all, so a slow hash would protect nothing
    # and cost every HELLO tens of milliseconds on the one event loop.
    return hashlib.sha256(salt + secret.encode("utf-8", "surrogatepass")).digest()


class TokenStore:
    """The tokens of one coordinator."""

    def __init__(self, database: aiosqlite.Connection, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now
        self._version = -1

    @classmethod
    async def open(cls, path: Path, now: Callable[[], float] = clock.wall) -> TokenStore:
        """Open or create the file; raises ConfigError."""
        database = await aiosqlite.connect(path)
        try:
            await database.executescript("PRAGMA busy_timeout=5000; PRAGMA journal_mode=WAL;")
            await database.executescript(_SCHEMA)
        except aiosqlite.DatabaseError as error:
            await database.close()
            raise ConfigError(
                f"the token file {path} cannot be used: {error}",
                next_step="move it away; every token must then be made anew",
            ) from error
        except BaseException:
            await database.close()
            raise
        return cls(database, now)

    async def create(self, wish: TokenWish, door: Door) -> JoinToken:
        """Make a token; this is the only moment its secret exists here."""
        token = JoinToken(
            address=door.address,
            ca_fingerprint=door.ca_fingerprint,
            token_id=secrets.token_hex(6),
            secret=secrets.token_urlsafe(_SECRET_BYTES),
            role=wish.role,
        )
        salt, now = secrets.token_bytes(16), self._now()
        await self._database.execute(
            "INSERT INTO tokens (id, role, label, namespace, salt, hash, created, expires)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                token.token_id,
                wish.role.value,
                wish.label,
                wish.namespace,
                salt,
                _hash(salt, token.secret),
                now,
                wish.expires,
            ),
        )
        await self._record(token.token_id, "created")
        return token

    async def list(self) -> list[TokenRecord]:
        """Return all tokens, the oldest first."""
        rows = await self._database.execute_fetchall(
            f"SELECT {_COLUMNS} FROM tokens ORDER BY created, id"  # noqa: S608 - a constant
        )
        return [_record(row) for row in rows]

    async def revoke(self, token_id: TokenId) -> TokenRecord:
        """Close the door to a token for good; raises UsageError when there is none of that name."""
        cursor = await self._database.execute(
            "UPDATE tokens SET revoked = ? WHERE id = ? AND revoked IS NULL",
            (self._now(), token_id),
        )
        if cursor.rowcount:
            await self._record(token_id, "revoked")
        found = await self._find(token_id)
        if found is None:
            raise UsageError(
                f"there is no token {token_id!r}", next_step="cyxmake-coordinator token list"
            )
        return found[0]

    async def revoke_labelled(self, label: str) -> None:
        """Revoke every token that carries a label."""
        await self._database.execute(
            "UPDATE tokens SET revoked = ? WHERE label = ? AND revoked IS NULL",
            (self._now(), label),
        )
        await self._database.commit()

    async def verify(self, token_id: str, secret: str, role: Peer) -> TokenRecord:
        """Return the record of a good token; raises TokenDenied."""
        found = await self._find(token_id)
        # An unknown name is compared too, so that the time of the answer does not tell names.
        salt, expected = (found[1], found[2]) if found else (_NO_SALT, _NO_SALT)
        matches = hmac.compare_digest(_hash(salt, secret), expected)
        if found is None or not matches:
            raise TokenDenied(token_id, "unknown token" if found is None else "wrong secret")
        record = found[0]
        state = record.state(self._now())
        if state is not TokenState.ACTIVE:
            raise TokenDenied(token_id, state.value)
        if record.role is not role:
            raise TokenDenied(token_id, f"a token for {record.role} used as {role}")
        return record

    async def states(self, token_ids: Collection[str]) -> dict[str, TokenState]:
        """Return how each of the tokens stands now."""
        marks = ",".join("?" * len(token_ids))
        rows = await self._database.execute_fetchall(
            f"SELECT {_COLUMNS} FROM tokens WHERE id IN ({marks})",  # noqa: S608 - question marks
            tuple(token_ids),
        )
        now = self._now()
        states: dict[str, TokenState] = dict.fromkeys(token_ids, TokenState.UNKNOWN)
        states.update({row[0]: _record(row).state(now) for row in rows})
        return states

    async def changed(self) -> bool:
        """Tell whether another process has written to the file since the last call."""
        ((version,),) = await self._database.execute_fetchall("PRAGMA data_version")
        before, self._version = self._version, int(version)
        return before != self._version

    async def close(self) -> None:
        """Close the file."""
        await self._database.close()

    async def _find(self, token_id: str) -> tuple[TokenRecord, bytes, bytes] | None:
        rows = await self._database.execute_fetchall(
            f"SELECT {_COLUMNS}, salt, hash FROM tokens WHERE id = ?",  # noqa: S608 - a constant
            (token_id,),
        )
        for row in rows:
            return _record(row), row[7], row[8]
        return None

    async def _record(self, token_id: str, event: str) -> None:
        await self._database.execute(
            "INSERT INTO token_events (time, token, event) VALUES (?, ?, ?)",
            (self._now(), token_id, event),
        )
        await self._database.commit()


def _record(row: aiosqlite.Row | tuple[object, ...]) -> TokenRecord:
    id_, role, label, namespace, created, expires, revoked = tuple(row)[:7]
    return TokenRecord(
        TokenId(str(id_)),
        Peer(role),
        str(label),
        Namespace(str(namespace)),
        float(created),
        None if expires is None else float(expires),
        None if revoked is None else float(revoked),
    )
