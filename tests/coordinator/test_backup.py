"""Backup and restore: from a coordinator at work, into one that its peers take for the same."""

from __future__ import annotations

import asyncio
import io
import tarfile
from pathlib import Path

import pytest

from cyxmake_common.errors import ConfigError, Denied
from cyxmake_common.ids import TokenId
from cyxmake_common.net.token import split_address
from cyxmake_common.protocol.messages import Peer
from cyxmake_coordinator.backup import backup, restore
from cyxmake_coordinator.data_dir import DataDir
from cyxmake_coordinator.door import open_tokens
from support.coordinators import live_coordinator
from support.peers import FakeClient, FakeWorker


async def test_tokens_and_keys_come_back(tmp_path: Path) -> None:
    """Made while tokens are being written; afterwards old tokens work, a revoked one does not."""
    file = tmp_path / "saved.tar.gz"
    async with live_coordinator(tmp_path / "first") as live:
        port = split_address(live.address)[1]
        worker, client, revoked = [
            await live.token(role) for role in (Peer.WORKER, Peer.CLIENT, Peer.CLIENT)
        ]
        tokens = await open_tokens(live.data)
        await tokens.revoke(TokenId(revoked.token_id))
        await tokens.close()

        async def write_on() -> None:
            while True:
                await live.token(Peer.CLIENT)

        writing = asyncio.create_task(write_on())
        async with await FakeWorker.join(worker):
            report = await asyncio.to_thread(backup, live.data, file)
        writing.cancel()
        await asyncio.wait([writing])
        assert report.tokens >= 4
        assert file.stat().st_mode & 0o777 == 0o600
    assert not list(live.data.root.glob("backup.*"))

    data = DataDir(tmp_path / "second/data")
    data.root.parent.mkdir()
    assert restore(data, file) == report
    assert {p.stat().st_mode & 0o777 for p in (*data.tls.iterdir(), data.database)} == {0o600}
    async with live_coordinator(tmp_path / "second", port=port):
        async with await FakeClient.join(client):
            pass
        with pytest.raises(Denied):
            await FakeClient.join(revoked)


async def test_restore_overwrites_nothing(tmp_path: Path) -> None:
    """A directory in use, or one that has keys, is left as it is."""
    file = tmp_path / "saved"
    async with live_coordinator(tmp_path) as live:
        backup(live.data, file)
        with pytest.raises(ConfigError, match="a coordinator runs"):
            restore(live.data, file)
    before = {p: p.read_bytes() for p in live.data.tls.iterdir()}
    with pytest.raises(ConfigError, match="has tokens and keys already"):
        restore(live.data, file)
    assert {p: p.read_bytes() for p in live.data.tls.iterdir()} == before


@pytest.mark.parametrize("name", ["../x", "/etc/x", "tls/../../x", "tls/..", "tls/a/b", "cas/x"])
def test_a_hostile_archive_writes_nothing(tmp_path: Path, name: str) -> None:
    """Names that lead elsewhere, links, and what is no archive at all are refused."""
    file, link = tmp_path / "made", tarfile.TarInfo("tls/ca.pem")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    plain = tarfile.TarInfo(name)
    for member in (plain, link):
        with tarfile.open(file, "w:gz") as archive:
            archive.addfile(member, io.BytesIO())
        data = DataDir(tmp_path / "data")
        with pytest.raises(ConfigError, match="does not belong there"):
            restore(data, file)
        assert {p.name for p in data.root.iterdir()} <= {"coordinator.lock"}
    file.write_bytes(b"no archive")
    with pytest.raises(ConfigError, match="is no backup"):
        restore(data, file)


def test_there_must_be_something_to_back_up(tmp_path: Path) -> None:
    """An empty directory is named, and no file is made."""
    with pytest.raises(ConfigError, match="nothing to back up"):
        backup(DataDir(tmp_path), tmp_path / "file")
    assert not (tmp_path / "file").exists()
