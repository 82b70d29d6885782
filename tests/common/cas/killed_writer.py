"""A program that writes blobs until it is killed; run by test_kill, never imported.

For each line on its input it forks a writer and prints its process id; the writer prints a line per
step. Forking from a warm process makes a round cost milliseconds and not an interpreter's start.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from random import Random

from cyxmake_common.cas.compressing import IDENTITY, ZSTD
from cyxmake_common.cas.disk import DiskStore
from cyxmake_common.cas.store import CHUNK_BYTES
from cyxmake_common.digest import Digest
from cyxmake_common.errors import CyxError


def _say(line: str) -> None:
    # In one call: a kill between two halves of a line would leave half a line.
    os.write(1, f"{line}\n".encode())


async def _write_on(store: DiskStore, random: Random) -> None:
    while True:
        size = random.choice((0, 30, 4000, 60_000, CHUNK_BYTES + 1, 3 * CHUNK_BYTES))
        data = Random(random.randrange(200)).randbytes(size)
        try:
            writer = await store.open_writer(Digest.of(data), resume=random.random() < 0.5)
            for start in range(writer.offset, size, 50_000):
                await writer.write(data[start : start + 50_000])
                _say("written")
            if random.random() < 0.2:
                await writer.abort(keep=True)
            else:
                await writer.commit()
                _say("committed")
        except CyxError:
            await writer.abort()
        if random.random() < 0.1:
            await store.flush()
            _say("flushed")


async def _run(root: Path, codec_name: str, limit: int, seed: int) -> None:
    codec = ZSTD if codec_name == "zstd" else IDENTITY
    store = await DiskStore(root, limit, codec=codec).open()
    _say("opened")
    await asyncio.gather(*(_write_on(store, Random(seed * 10 + n)) for n in range(3)))


def main() -> None:
    """Fork a writer for each seed that is read from standard input."""
    root, codec_name, limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            asyncio.run(_run(root, codec_name, limit, int(line)))
        _say(f"pid {child}")
        os.waitpid(child, 0)
        _say("dead")


main()
