"""The coordinator's side of one bulk connection: uploads into a store, downloads out of it.

Knows nothing of identities or limits of use: `may_write` is decided by its caller. One task per
blob or batch in flight; chunks are checked as they come, so that what waits for a slow store never
exceeds the window.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine
from typing import Final

from cyxmake_common.cas.store import BlobStore, BlobWriter, read_all, write_all
from cyxmake_common.digest import Digest
from cyxmake_common.errors import (
    BlobMissing,
    ConnectionLost,
    CyxError,
    Denied,
    DigestMismatch,
    MessageTooLarge,
    ProtocolError,
    TransfersFull,
)
from cyxmake_common.net.connection import Connection
from cyxmake_common.protocol.bulk import (
    BatchBlobs,
    BatchGet,
    BatchPut,
    BlobAck,
    BlobChunk,
    BlobGet,
    BlobPut,
    BlobReady,
    BlobStored,
    SmallBlob,
)
from cyxmake_common.protocol.codec import Envelope
from cyxmake_common.protocol.messages import Done, Error, Message
from cyxmake_common.protocol.session import to_error
from cyxmake_common.protocol.transfer import (
    BlobReceiver,
    BlobSender,
    Terms,
    pack_small,
    unpack_small,
)
from cyxmake_common.telemetry.logger import get_logger

log = get_logger(__name__)

MAX_TRANSFERS: Final = 32
"""Most blobs and batches in flight on one connection."""

IDLE_SECONDS: Final = 120.0
"""How long an upload may rest before the store takes its room back."""


async def serve_bulk(connection: Connection, store: BlobStore, may_write: bool) -> None:
    """Serve one bulk connection until it closes; a peer that breaks the rules is refused."""
    await _BulkServer(connection, store, may_write).run()


class _Upload:
    """One blob on its way in: what has come and was not written yet."""

    def __init__(self, digest: Digest) -> None:
        self.digest = digest
        self.receiver: BlobReceiver | None = None
        self.pieces: asyncio.Queue[bytes] = asyncio.Queue()

    def receive(self, chunk: BlobChunk) -> None:
        if self.receiver is None:
            raise ProtocolError("a chunk before blob_ready")
        self.pieces.put_nowait(self.receiver.receive(chunk))


class _Download:
    """One blob on its way out: waits here for credit."""

    def __init__(self, sender: BlobSender) -> None:
        self.sender = sender
        self.credit = asyncio.Event()

    def receive(self, ack: BlobAck) -> None:
        self.sender.receive(ack)
        self.credit.set()


class _BulkServer:
    def __init__(self, connection: Connection, store: BlobStore, may_write: bool) -> None:
        self._connection = connection
        self._store = store
        self._may_write = may_write
        self._terms = Terms(connection.welcome.limits, connection.welcome.compress)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._uploads: dict[str, _Upload] = {}
        self._downloads: dict[str, _Download] = {}

    async def run(self) -> None:
        try:
            async for envelope in self._connection.messages():
                self._receive(envelope)
        except ProtocolError as error:
            await self._connection.refuse(error)
        finally:
            tasks = list(self._tasks.values())
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    def _receive(self, envelope: Envelope) -> None:
        id_, message = envelope.id, envelope.message
        match message:
            case BlobChunk():
                # Chunks under way when their upload was refused are dropped.
                if (known := self._uploads.get(id_)) is not None:
                    known.receive(message)
            case BlobAck():
                if (download := self._downloads.get(id_)) is not None:
                    download.receive(message)
            case BlobPut():
                upload = _Upload(message.digest)
                if self._start(id_, self._upload(id_, upload), writes=True):
                    self._uploads[id_] = upload
            case BlobGet():
                self._start(id_, self._download(id_, message.digest, message.offset))
            case BatchPut():
                self._start(id_, self._batch_put(id_, message.blobs), writes=True)
            case BatchGet():
                self._start(id_, self._batch_get(id_, message.digests))
            case Error():
                # The caller gave this transfer up.
                if (task := self._tasks.get(id_)) is not None:
                    task.cancel()
            case _:
                pass

    def _start(self, id_: str, work: Coroutine[None, None, None], *, writes: bool = False) -> bool:
        """Start a transfer; return False when it was refused."""
        refusal: CyxError | None = None
        if id_ in self._tasks:
            work.close()
            raise ProtocolError(f"the id {id_} is in use")
        if writes and not self._may_write:
            refusal = Denied("this token may not write to the store")
        elif len(self._tasks) >= MAX_TRANSFERS:
            refusal = TransfersFull(f"{MAX_TRANSFERS} transfers are under way")
        if refusal is not None:
            work.close()
            self._connection.send_soon(to_error(refusal), id_)
            return False
        task = asyncio.create_task(self._guard(id_, work), name=f"transfer {id_}")
        self._tasks[id_] = task
        task.add_done_callback(lambda _task: self._forget(id_, work))
        return True

    def _forget(self, id_: str, work: Coroutine[None, None, None]) -> None:
        work.close()  # a transfer given up at once was never begun
        self._tasks.pop(id_, None)
        self._uploads.pop(id_, None)
        self._downloads.pop(id_, None)

    async def _guard(self, id_: str, work: Coroutine[None, None, None]) -> None:
        """Turn a failure into an ERROR; the connection goes on."""
        try:
            await work
        except CyxError as error:
            await self._answer_failure(id_, error)
        except Exception:
            log.exception("transfer-failed", peer=self._connection.name)
            await self._answer_failure(id_, CyxError("the coordinator failed; its log says why"))

    async def _answer_failure(self, id_: str, error: CyxError) -> None:
        with contextlib.suppress(CyxError):
            await self._send(id_, to_error(error))

    async def _send(self, id_: str, message: Message) -> None:
        await self._connection.send(message, id_)

    # ── one blob ────────────────────────────────────────────────────────────────────────────────

    async def _upload(self, id_: str, upload: _Upload) -> None:
        digest = upload.digest
        there = not await self._store.find_missing([digest])
        writer = None if there else await self._open_writer(digest)
        if writer is None:
            await self._send(id_, BlobReady(offset=digest.size))
            return
        try:
            await self._take_in(id_, upload, writer)
            await writer.commit()
        except BaseException:
            await writer.abort(keep=True)
            raise
        await self._send(id_, BlobStored())

    async def _open_writer(self, digest: Digest) -> BlobWriter | None:
        """Open a writer where an earlier upload stopped; None when that one lacked only the end."""
        writer = await self._store.open_writer(digest, resume=True)
        if writer.offset < digest.size:
            return writer
        try:
            await writer.commit()
        except DigestMismatch:
            return await self._store.open_writer(digest)
        except BaseException:
            await writer.abort()
            raise
        return None

    async def _take_in(self, id_: str, upload: _Upload, writer: BlobWriter) -> None:
        receiver = BlobReceiver(upload.digest.size, writer.offset, self._terms)
        upload.receiver = receiver
        await self._send(id_, BlobReady(offset=writer.offset))
        while writer.offset < upload.digest.size:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    piece = await upload.pieces.get()
            except TimeoutError:
                raise ConnectionLost(f"no chunk came for {IDLE_SECONDS:g} s") from None
            await writer.write(piece)
            if (ack := receiver.take(len(piece))) is not None:
                await self._send(id_, ack)

    async def _download(self, id_: str, digest: Digest, offset: int) -> None:
        sender = BlobSender(digest.size, offset, self._terms)
        download = self._downloads[id_] = _Download(sender)
        pieces = self._store.read(digest, offset)
        try:
            async for piece in pieces:
                await self._send_piece(id_, download, piece)
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()
        if not sender.done:
            raise BlobMissing(f"the store has only {sender.offset} bytes of {digest}")

    async def _send_piece(self, id_: str, download: _Download, piece: bytes) -> None:
        sender = download.sender
        start = 0
        while start < len(piece):
            size = sender.next_size()
            if size == 0:
                download.credit.clear()
                await download.credit.wait()
                continue
            part = piece[start : start + size]
            start += len(part)
            await self._send(id_, sender.send(part))

    # ── batches ─────────────────────────────────────────────────────────────────────────────────

    async def _batch_put(self, id_: str, blobs: tuple[SmallBlob, ...]) -> None:
        if sum(blob.digest.size for blob in blobs) > self._terms.limits.message_bytes:
            raise MessageTooLarge("the blobs of a batch are larger than a message may be")
        missing = await self._store.find_missing([blob.digest for blob in blobs])
        for blob in blobs:
            if blob.digest in missing:
                await write_all(self._store, unpack_small(blob), blob.digest)
        await self._send(id_, Done())

    async def _batch_get(self, id_: str, digests: tuple[Digest, ...]) -> None:
        # Half a message: the digests and the framing need room too.
        if sum(digest.size for digest in digests) > self._terms.limits.message_bytes // 2:
            raise MessageTooLarge("the blobs asked for are larger than a message may be")
        blobs: list[SmallBlob] = []
        missing: list[Digest] = []
        for digest in digests:
            try:
                data = await read_all(self._store, digest)
            except (BlobMissing, DigestMismatch):
                missing.append(digest)
            else:
                blobs.append(pack_small(digest, data, self._terms.compress))
        answer = BatchBlobs.model_construct(blobs=tuple(blobs), missing=tuple(missing))
        await self._send(id_, answer)
