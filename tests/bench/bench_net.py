"""Figures of the transport on loopback: `python tests/bench/bench_net.py`.

The server runs in a process of its own. Processor time is printed beside the clock's, because it
hardly changes on a busy machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import structlog

from cyxmake_common.cas.memory import MemoryStore
from cyxmake_common.digest import Digest
from cyxmake_common.net import tls
from cyxmake_common.net.blob_server import serve_bulk
from cyxmake_common.net.blobs import BlobClient
from cyxmake_common.net.token import JoinToken
from cyxmake_common.net.wss import Connection, Introduction, Server, Service, connect
from cyxmake_common.protocol.messages import Channel, Hello, Peer, Status, StatusGet, Welcome

MIB = 1 << 20
ROUNDS = 5000
BLOB = 128 * MIB
IDLE = 200


async def serve(directory: Path) -> None:
    """Serve until standard input ends."""
    store = MemoryStore(8 << 30)

    async def authenticate(_hello: Hello) -> Welcome:
        return Welcome(version=0, session="s", coordinator="bench")

    async def on_connection(connection: Connection) -> None:
        if connection.channel is Channel.BULK:
            await serve_bulk(connection, store, may_write=True)
            return
        async for envelope in connection.messages():
            await connection.send(Status(), envelope.id)

    service = Service(authenticate, on_connection, authority_pem=tls.authority_pem(directory))
    server = await Server.serve("127.0.0.1", 0, tls.server_context(directory), service)
    print(server.port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.close()


@contextlib.contextmanager
def measured(what: str, amount: float, unit: str, server: psutil.Process) -> Iterator[None]:
    """Print how fast the body went."""
    other = sum(server.cpu_times()[:2])
    wall, own = time.perf_counter(), time.process_time()
    yield
    wall, own = time.perf_counter() - wall, time.process_time() - own
    other = sum(server.cpu_times()[:2]) - other
    busiest = max(own, other, 0.01)
    print(
        f"{what:32} {amount / wall:9.0f} {unit}/s by the clock,"
        f" {amount / busiest:9.0f} {unit}/s of the busier side's processor time"
    )


async def control(token: JoinToken, cache: Path, server: psutil.Process) -> None:
    """Round trips on one connection, alone and ten at a time; then idle connections."""
    me = Introduction(program="bench")
    connection = await connect(token, me, authority_cache=cache)
    with measured("round trips", ROUNDS, "", server):
        for _ in range(ROUNDS):
            await connection.request(StatusGet())

    async def some() -> None:
        for _ in range(ROUNDS // 10):
            await connection.request(StatusGet())

    with measured("round trips, ten at a time", ROUNDS, "", server):
        await asyncio.gather(*(some() for _ in range(10)))
    before = server.memory_info().rss
    idle = [await connect(token, me, authority_cache=cache) for _ in range(IDLE)]
    grown = (server.memory_info().rss - before) / IDLE / 1024
    print(f"memory of the server for one idle connection, TLS included: {grown:.0f} KiB")
    for one in (connection, *idle):
        await one.close()


async def bulk(token: JoinToken, cache: Path, server: psutil.Process, *, compress: bool) -> None:
    """One large blob, and many small ones, there and back."""
    me = Introduction(channel=Channel.BULK, session="s", compress=compress)
    client = BlobClient(lambda: connect(token, me, authority_cache=cache))
    chance = random.Random(compress)
    data = chance.randbytes(BLOB)
    digest = Digest.of(data)
    name = "zstd" if compress else "identity"
    with measured(f"put, {name}", BLOB / MIB, "MiB", server):
        await client.put(digest, data)
    with measured(f"get, {name}", BLOB / MIB, "MiB", server):
        await client.get_bytes(digest)
    texts = [b"%d int main(void);\n" % number * chance.randint(1, 200) for number in range(5000)]
    small = {Digest.of(text): text for text in texts}
    with measured(f"small blobs up, {name}", len(small), "", server):
        await client.put_many(list(small.items()))
    with measured(f"small blobs down, {name}", len(small), "", server):
        await client.get_many_bytes(small)
    await client.close()


async def main() -> None:
    """Start the server and measure it."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        tls.create_authority(directory)
        process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, name, stdin=-1, stdout=-1, env=dict(os.environ)
        )
        assert process.stdin and process.stdout
        port = int(await process.stdout.readline())
        fingerprint = tls.authority_fingerprint(directory)
        token = JoinToken(f"wss://127.0.0.1:{port}", fingerprint, "t", "s", Peer.CLIENT)
        server = psutil.Process(process.pid)
        await control(token, directory, server)
        await bulk(token, directory, server, compress=False)
        await bulk(token, directory, server, compress=True)
        process.stdin.close()
        await process.wait()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(serve(Path(sys.argv[1])) if len(sys.argv) > 1 else main())
