"""A store whose program is killed at any moment: nothing damaged, nothing over the limit."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import cyxmake_common
from cyxmake_common.cas.compressing import IDENTITY, ZSTD
from cyxmake_common.cas.disk import DiskStore
from cyxmake_common.cas.disk_files import parse_name
from cyxmake_common.cas.fsck import fsck
from cyxmake_common.cas.store import read_all, write_all
from cyxmake_common.cas.verifying import VerifyingStore
from cyxmake_common.digest import Digest

_ROUNDS = 15
_LIMIT = 6 << 20


def _kill_after(zygote: subprocess.Popen[str], seed: int, steps: int) -> int:
    """Let a writer go for a number of steps, kill it, return how many blobs it committed."""
    assert zygote.stdin is not None
    assert zygote.stdout is not None
    zygote.stdin.write(f"{seed}\n")
    zygote.stdin.flush()
    pid, seen, committed = 0, 0, 0
    for line in zygote.stdout:
        if line == "dead\n":
            break
        if line.startswith("pid "):
            pid = int(line.split()[1])
        else:
            seen += 1
            committed += line == "committed\n"
        if pid and seen >= steps:
            os.kill(pid, signal.SIGKILL)
            steps = sys.maxsize
    return committed


def _visible(root: Path) -> list[Digest]:
    names = [path.name for path in (root / "blobs").rglob("*") if path.is_file()]
    digests = [parse_name(name) for name in names]
    assert None not in digests
    return [digest for digest in digests if digest is not None]


@pytest.mark.e2e
@pytest.mark.parametrize("codec_name", ["identity", "zstd"])
async def test_a_killed_store_opens_with_whole_blobs_only(tmp_path: Path, codec_name: str) -> None:
    """After kill -9 at 15 random moments: every visible blob verifies, and fsck finds no damage."""
    codec = ZSTD if codec_name == "zstd" else IDENTITY
    script = Path(__file__).with_name("killed_writer.py")
    source_root = Path(cyxmake_common.__file__).parent.parent
    committed = 0
    with subprocess.Popen(
        [sys.executable, script, tmp_path, codec_name, str(_LIMIT)],
        env={**os.environ, "PYTHONPATH": str(source_root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as zygote:
        for _ in range(_ROUNDS):
            committed += _kill_after(zygote, random.randrange(10**6), random.randrange(1, 60))
            for digest in _visible(tmp_path) if codec is IDENTITY else ():
                file = tmp_path / "blobs" / digest.hash[:2] / f"{digest.hash}-{digest.size}"
                data = file.read_bytes()
                assert (hashlib.sha256(data).hexdigest(), len(data)) == (digest.hash, digest.size)
            report = await fsck(tmp_path, codec)
            assert report.damaged == 0
            visible = _visible(tmp_path)
            async with DiskStore(tmp_path, _LIMIT, codec=codec) as disk:
                store = VerifyingStore(disk)
                assert await store.find_missing(visible) == frozenset()
                for digest in visible:
                    await read_all(store, digest)
                stats = disk.stats()
                assert stats.used_bytes + stats.reserved_bytes <= _LIMIT
                assert stats.damaged == 0
                assert list((tmp_path / "tmp").iterdir()) == []
                assert await read_all(disk, await write_all(disk, b"works")) == b"works"
        assert zygote.stdin is not None
        zygote.stdin.close()
    assert committed > _ROUNDS
