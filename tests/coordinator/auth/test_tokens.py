"""Tokens: what is kept of them, who gets in, and that another process's change is seen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cyxmake_common.errors import ConfigError, Denied, UsageError
from cyxmake_common.ids import Namespace, TokenId
from cyxmake_common.net.token import JoinToken
from cyxmake_common.protocol.messages import Peer
from cyxmake_coordinator.auth.tokens import Door, TokenDenied, TokenState, TokenStore, TokenWish

DOOR = Door("wss://127.0.0.1:9876", "ab" * 32)


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock at a thousand seconds."""
    return Clock()


@pytest.fixture
async def tokens(tmp_path: Path, clock: Clock) -> AsyncIterator[TokenStore]:
    """An empty token store."""
    store = await TokenStore.open(tmp_path / "tokens.db", clock)
    yield store
    await store.close()


async def verify(store: TokenStore, token: JoinToken, role: Peer | None = None) -> str:
    """Return the namespace that a token opens; raises TokenDenied."""
    record = await store.verify(token.token_id, token.secret, role or token.role)
    return record.namespace


async def test_a_token_opens_the_door(tokens: TokenStore) -> None:
    """The text form carries all that is needed, the record its role and namespace."""
    wish = TokenWish(Peer.CLIENT, label="laptop", namespace=Namespace("team"))
    token = await tokens.create(wish, DOOR)
    assert JoinToken.parse(token.text()) == token
    assert (token.address, token.role) == (DOOR.address, Peer.CLIENT)
    assert await verify(tokens, token) == "team"


async def test_the_secret_is_not_kept(tokens: TokenStore, tmp_path: Path) -> None:
    """Neither the database nor its log file holds the secret."""
    token = await tokens.create(TokenWish(Peer.WORKER), DOOR)
    for file in tmp_path.iterdir():
        assert token.secret.encode() not in file.read_bytes()


async def test_every_refusal_reads_the_same(tokens: TokenStore, clock: Clock) -> None:
    """The peer learns nothing of why; the log learns all."""
    token = await tokens.create(TokenWish(Peer.CLIENT, expires=2000.0), DOOR)
    refusals: list[TokenDenied] = []
    for id_, secret, role in (
        ("unknown", token.secret, Peer.CLIENT),
        (token.token_id, "guess", Peer.CLIENT),
        (token.token_id, token.secret, Peer.ADMIN),
    ):
        with pytest.raises(TokenDenied) as refusal:
            await tokens.verify(id_, secret, role)
        refusals.append(refusal.value)
    clock.now = 2000.0
    with pytest.raises(TokenDenied) as refusal:
        await verify(tokens, token)
    refusals.append(refusal.value)
    await tokens.revoke(TokenId(token.token_id))
    with pytest.raises(TokenDenied) as refusal:
        await verify(tokens, token)
    refusals.append(refusal.value)
    assert len({(r.message, r.next_step, r.code) for r in refusals}) == 1
    assert [r.reason for r in refusals] == [
        "unknown token",
        "wrong secret",
        "a token for client used as admin",
        "expired",
        "revoked",
    ]
    assert isinstance(refusals[0], Denied)


async def test_a_damaged_secret_is_refused_in_order(tokens: TokenStore) -> None:
    """A secret that is no text at all is wrong, not an error of ours."""
    token = await tokens.create(TokenWish(Peer.CLIENT), DOOR)
    with pytest.raises(TokenDenied):
        await tokens.verify(token.token_id, "\ud800", Peer.CLIENT)


async def test_list_and_revoke(tokens: TokenStore, clock: Clock) -> None:
    """The list shows the state; revoking twice keeps the first moment; unknown names are told."""
    token = await tokens.create(TokenWish(Peer.WORKER, expires=1500.0, label="w"), DOOR)
    (record,) = await tokens.list()
    assert (record.id, record.role, record.label, record.created) == (
        token.token_id,
        Peer.WORKER,
        "w",
        1000.0,
    )
    assert record.state(clock.now) is TokenState.ACTIVE
    assert record.state(1500.0) is TokenState.EXPIRED
    first = await tokens.revoke(record.id)
    clock.now = 1100.0
    assert (await tokens.revoke(record.id)).revoked == first.revoked == 1000.0
    with pytest.raises(UsageError, match="no token 'nobody'"):
        await tokens.revoke(TokenId("nobody"))


async def test_states(tokens: TokenStore) -> None:
    """Live sessions ask for the states of their tokens in one go."""
    good = await tokens.create(TokenWish(Peer.CLIENT), DOOR)
    bad = await tokens.create(TokenWish(Peer.CLIENT, label="old"), DOOR)
    await tokens.revoke_labelled("old")
    assert await tokens.states((good.token_id, bad.token_id, "deleted")) == {
        good.token_id: TokenState.ACTIVE,
        bad.token_id: TokenState.REVOKED,
        "deleted": TokenState.UNKNOWN,
    }


async def test_a_change_of_another_process_is_noticed(tokens: TokenStore, tmp_path: Path) -> None:
    """`changed` answers for other connections to the file, and only once for each change."""
    await tokens.changed()
    assert not await tokens.changed()
    other = await TokenStore.open(tmp_path / "tokens.db")
    token = await other.create(TokenWish(Peer.CLIENT), DOOR)
    await other.close()
    assert await tokens.changed()
    assert not await tokens.changed()
    assert await verify(tokens, token) == ""


async def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    """Tokens cannot be had again by themselves: the operator decides, and the file stays."""
    path = tmp_path / "tokens.db"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(ConfigError, match="move it away"):
        await TokenStore.open(path)
    assert path.exists()
