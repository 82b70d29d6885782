"""The caller's side of the bulk channel: blobs up and down, resumed after a lost connection.

Knows nothing of addresses or tokens: `connect_bulk` makes the connections. Small blobs travel in
batches, larger ones in chunks, several at a time on one connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from pathlib import Path
from typing import Final, TypeVar

from cyxmake_common.cas.store import BlobStore, write_all
from cyxmake_common.digest import Digest
from cyxmake_common.errors import (
    BlobMissing,
    ClusterUnreachable,
    ConnectionLost,
    CyxError,
    DigestMismatch,
    ProtocolError,
    TransfersFull,
)
from cyxmake_common.net.blob_io import (
    BlobSource,
    FileSink,
    MemorySink,
    SourceReader,
    check_bytes,
    read_sources,
)
from cyxmake_common.net.blob_transfer import Download, Upload, conversation, expect
from cyxmake_common.net.connection import Connection
from cyxmake_common.protocol.bulk import BatchBlobs, BatchGet, BatchPut
from cyxmake_common.protocol.messages import Done
from cyxmake_common.protocol.transfer import SMALL_BYTES, batches, pack_small, unpack_small

__all__ = ["BlobClient", "BlobSource"]

IN_FLIGHT: Final = 8
"""Most transfers at one time on the connection."""

_TRIES: Final = 5
_MAX_PAUSE: Final = 2.0

_T = TypeVar("_T")


class BlobClient:
    """Moves blobs to and from a coordinator; any number of calls may run at one time.

    `pause` is the first of the growing pauses between attempts, in seconds.
    """

    def __init__(
        self, connect_bulk: Callable[[], Awaitable[Connection]], pause: float = 0.1
    ) -> None:
        self._connect_bulk = connect_bulk
        self._pause = pause
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._closed = False

    def __repr__(self) -> str:
        return f"<BlobClient {self._connection!r}>"

    async def close(self) -> None:
        """Close the connection; transfers under way fail with ConnectionLost."""
        self._closed = True
        if self._connection is not None:
            await self._connection.close()

    # ── up ──────────────────────────────────────────────────────────────────────────────────────

    async def put(self, digest: Digest, source: BlobSource) -> int:
        """Upload one blob; return the bytes sent. Raises DigestMismatch, StoreFull, OSError."""
        upload = Upload(digest, SourceReader(digest, source))
        try:
            await self._persist(upload.run, lambda: upload.resumed_at)
        except DigestMismatch:
            if not upload.resumed_at:
                raise
            # What somebody left there was damaged, and is forgotten now: once more, from the start.
            await self._persist(upload.run, lambda: 0)
        return upload.wire_bytes

    async def put_many(self, items: Sequence[tuple[Digest, BlobSource]]) -> int:
        """Upload many blobs; return the bytes sent. Raises as `put`."""
        sources = dict(items)
        small = [digest for digest in sources if digest.size <= SMALL_BYTES]
        large = [digest for digest in sources if digest.size > SMALL_BYTES]
        jobs = [self._put_batch([(one, sources[one]) for one in batch]) for batch in batches(small)]
        jobs += [self.put(digest, sources[digest]) for digest in large]
        return sum(await _together(jobs))

    async def _put_batch(self, items: list[tuple[Digest, BlobSource]]) -> int:
        async def attempt(connection: Connection) -> int:
            contents = await asyncio.to_thread(read_sources, items)
            compress = connection.welcome.compress
            blobs = tuple(
                pack_small(digest, data, compress)
                for (digest, _), data in zip(items, contents, strict=True)
            )
            with conversation(connection) as exchange:
                sent = await exchange.send(BatchPut.model_construct(blobs=blobs))
                await expect(connection, exchange, Done)
                return sent

        return await self._persist(attempt, lambda: 0)

    # ── down ────────────────────────────────────────────────────────────────────────────────────

    async def get_bytes(self, digest: Digest) -> bytes:
        """Return one blob; raises BlobMissing, DigestMismatch."""
        sink = MemorySink(digest)
        await self._download(Download(digest, sink))
        await sink.commit()
        return sink.data()

    async def get_many_bytes(self, digests: Collection[Digest]) -> dict[Digest, bytes]:
        """Return many blobs; those that the coordinator lacks are absent."""
        found: dict[Digest, bytes] = {}

        async def take(digest: Digest, data: bytes) -> None:
            found[digest] = data

        async def fetch(digest: Digest) -> None:
            found[digest] = await self.get_bytes(digest)

        await self._get_many(digests, take, fetch)
        return found

    async def get_to_store(self, digest: Digest, store: BlobStore) -> None:
        """Copy one blob into a store, going on where an earlier attempt stopped there.

        Raises BlobMissing, DigestMismatch, StoreFull.
        """
        if not await store.find_missing([digest]):
            return
        if not await self._copy(digest, store, resume=True):
            # What was left there by an earlier attempt was damaged: once more, from the start.
            await self._copy(digest, store, resume=False)

    async def get_many_to_store(
        self, digests: Collection[Digest], store: BlobStore
    ) -> frozenset[Digest]:
        """Copy many blobs into a store; return those that the coordinator lacks."""

        async def take(digest: Digest, data: bytes) -> None:
            await write_all(store, data, digest)

        async def fetch(digest: Digest) -> None:
            await self.get_to_store(digest, store)

        return await self._get_many(await store.find_missing(digests), take, fetch)

    async def get_to_file(self, digest: Digest, path: Path) -> None:
        """Write one blob to a file; raises BlobMissing, DigestMismatch, OSError.

        The file is complete only after a return. A temporary name, its renaming, and its removal
        after a failure are the caller's.
        """
        sink = FileSink(digest, path)
        await self._download(Download(digest, sink))
        await sink.commit()

    async def _copy(self, digest: Digest, store: BlobStore, *, resume: bool) -> bool:
        """Copy into a store; return False when a resumed part turned out to be damaged."""
        writer = await store.open_writer(digest, resume=resume)
        start = writer.offset
        try:
            await self._download(Download(digest, writer))
            await writer.commit()
        except DigestMismatch:
            if not start:
                raise
            return False
        except BaseException:
            await writer.abort(keep=True)
            raise
        return True

    async def _download(self, download: Download) -> None:
        await self._persist(download.run, lambda: download.offset)

    async def _get_many(
        self,
        digests: Collection[Digest],
        take: Callable[[Digest, bytes], Awaitable[None]],
        fetch: Callable[[Digest], Awaitable[None]],
    ) -> frozenset[Digest]:
        """Get small blobs in batches and hand them to `take`; call `fetch` for each large one."""
        wanted = dict.fromkeys(digests)
        missing: set[Digest] = set()

        async def get_batch(batch: list[Digest]) -> None:
            answer = await self._persist(lambda line: _ask_batch(line, batch), lambda: 0)
            for digest, data in answer.items():
                await take(digest, data)
            missing.update(set(batch) - answer.keys())

        async def get_large(digest: Digest) -> None:
            try:
                await fetch(digest)
            except BlobMissing:
                missing.add(digest)

        small = [digest for digest in wanted if digest.size <= SMALL_BYTES]
        jobs = [get_batch(batch) for batch in batches(small)]
        jobs += [get_large(digest) for digest in wanted if digest.size > SMALL_BYTES]
        await _together(jobs)
        return frozenset(missing)

    # ── the connection ──────────────────────────────────────────────────────────────────────────

    async def _persist(
        self, attempt: Callable[[Connection], Awaitable[_T]], progress: Callable[[], int]
    ) -> _T:
        """Make attempts until one ends otherwise than by a lost connection.

        Tries are counted anew whenever bytes arrived: a bad line is slow, and no failure.
        """
        failures = 0
        async with self._slots:
            while True:
                before = progress()
                try:
                    return await attempt(await self._connected())
                except CyxError as error:
                    if self._closed or not _worth_another(error):
                        raise
                    failures = 1 if progress() > before else failures + 1
                    if failures >= _TRIES:
                        raise
                await asyncio.sleep(min(_MAX_PAUSE, self._pause * 2**failures))

    async def _connected(self) -> Connection:
        async with self._connecting:
            if self._closed:
                raise ConnectionLost("the blob client is closed")
            if self._connection is None or self._connection.closed.is_set():
                try:
                    self._connection = await self._connect_bulk()
                except ClusterUnreachable as error:
                    raise ConnectionLost(error.message, next_step=error.next_step) from error
            return self._connection


def _worth_another(error: CyxError) -> bool:
    return isinstance(error, ConnectionLost) or error.code == TransfersFull.code


async def _ask_batch(connection: Connection, batch: list[Digest]) -> dict[Digest, bytes]:
    with conversation(connection) as exchange:
        await exchange.send(BatchGet.model_construct(digests=tuple(batch)))
        answer = await expect(connection, exchange, BatchBlobs)
    asked = set(batch)
    found: dict[Digest, bytes] = {}
    for blob in answer.blobs:
        if blob.digest not in asked:
            error = ProtocolError(f"{blob.digest} was not asked for")
            await connection.refuse(error)
            raise error
        found[blob.digest] = check_bytes(blob.digest, unpack_small(blob))
    return found


async def _together(jobs: Sequence[Coroutine[None, None, _T]]) -> list[_T]:
    """Run jobs at one time; when one fails, stop the others, and raise what it raised."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
