"""The file in which a coordinator keeps a good token for the workers of its own composition."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyxmake_common.errors import ConfigError
from cyxmake_common.ids import TokenId
from cyxmake_common.net.token import JoinToken
from cyxmake_common.protocol.messages import Peer
from cyxmake_coordinator.door import open_tokens
from support.coordinators import live_coordinator
from support.peers import FakeWorker


async def test_the_file_holds_a_token_that_works(tmp_path: Path) -> None:
    """A worker joins with it; a restart keeps it; once revoked, or moved, a start makes another."""
    file = tmp_path / "worker.token"
    settings = {"worker_token_file": file, "advertise": "wss://127.0.0.1:7"}

    async def start(revoke: str = "", **more: object) -> str:
        async with live_coordinator(tmp_path, **(settings | more)) as live:
            if revoke:
                tokens = await open_tokens(live.data)
                await tokens.revoke(TokenId(revoke))
                await tokens.close()
        return JoinToken.parse(file.read_text("ascii")).token_id

    async with live_coordinator(tmp_path, worker_token_file=file) as live:
        assert file.stat().st_mode & 0o777 == 0o600
        token = JoinToken.parse(file.read_text("ascii"))
        assert token.role is Peer.WORKER
        async with await FakeWorker.join(token):
            pass
        assert token.address == live.address
    first = await start()
    assert first != token.token_id  # it led to another address
    assert await start(revoke=first) == first
    assert await start() != first


async def test_a_file_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    """The error names the file and what to do."""
    with pytest.raises(ConfigError, match="workers' token cannot be written"):
        async with live_coordinator(tmp_path, worker_token_file=tmp_path / "none" / "token"):
            pass
