"""What must hold before an operation reaches the scheduler: its blobs are here, its trees whole.

Knows nothing of workers or sessions. Reads the Action; the Command is only looked for, because the
worker that runs it is the one that reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from cyxmake_common.action import TOOLCHAIN, WORKER, Action
from cyxmake_common.cas.store import BlobStore, read_all
from cyxmake_common.digest import Digest
from cyxmake_common.errors import BlobMissing, CyxError, ProtocolError
from cyxmake_common.protocol.messages import MAX_DIGESTS, WorkerFacts
from cyxmake_coordinator.closures import Closures
from cyxmake_coordinator.core.events import PropertySet

_MAX_ACTION_BYTES: Final = 1 << 20
_OURS: Final = "cyxmake-"


class MissingBlobs(CyxError):
    """An operation names blobs that are not in the CAS; the client uploads them and asks again."""

    code = "missing-blobs"
    retryable = True

    def __init__(self, digests: tuple[Digest, ...]) -> None:
        super().__init__(f"{len(digests)} blobs of the action are not in the store")
        self.digests = digests[:MAX_DIGESTS]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An action whose inputs are all in the CAS, except, perhaps, its toolchain."""

    action: Action
    toolchain: Digest | None
    toolchain_missing: tuple[Digest, ...]
    """Blobs of the toolchain's tree that the CAS lacks; empty when any worker can fetch it."""
    requirements: PropertySet


class AtHand(Protocol):
    """What can be said of blobs without waiting for anything."""

    def kept(self, digest: Digest) -> bytes | None:
        """Return a blob's bytes if they are in memory."""
        ...

    def touch(self, digest: Digest) -> bool:
        """Tell whether a blob is here, and count that as a use."""
        ...


class Intake:
    """Prepares actions against one store; `at_hand` is of the same blobs."""

    def __init__(self, store: BlobStore, at_hand: AtHand, closures: Closures) -> None:
        self._store = store
        self._at_hand = at_hand
        self._closures = closures

    def prepare_now(self, digest: Digest) -> Prepared | None:
        """Return what `prepare` would, if it is known without waiting: the usual case in a build.

        Everything an action names was just uploaded or seen, and thousands share a tree.
        """
        data = self._at_hand.kept(digest)
        if data is None:
            return None
        try:
            action = Action.from_bytes(data)
            toolchain = toolchain_of(action)
        except ProtocolError:
            return None
        whole = self._closures.is_whole
        if (
            not whole(action.input_root)
            or not (toolchain is None or whole(toolchain))
            or not self._at_hand.touch(action.command)
        ):
            return None
        return Prepared(action, toolchain, (), _requirements(action))

    async def prepare(self, digest: Digest) -> Prepared:
        """Return what the scheduler needs; raises MissingBlobs, ProtocolError."""
        action = await self._read(digest)
        toolchain = toolchain_of(action)
        missing = set(await self._closures.missing(action.input_root))
        missing |= await self._store.find_missing((action.command,))
        if missing:
            # Nothing of the toolchain is named here: it is large, and a worker may have it.
            raise MissingBlobs(tuple(sorted(missing)))
        toolchain_missing = () if toolchain is None else await self._closures.missing(toolchain)
        return Prepared(action, toolchain, toolchain_missing, _requirements(action))

    async def _read(self, digest: Digest) -> Action:
        if digest.size > _MAX_ACTION_BYTES:
            raise ProtocolError(f"an action of {digest.size} bytes is too large")
        try:
            return Action.from_bytes(await read_all(self._store, digest))
        except BlobMissing:
            raise MissingBlobs((digest,)) from None


def toolchain_of(action: Action) -> Digest | None:
    """Return the root of the toolchain's tree; raises ProtocolError."""
    text = action.property(TOOLCHAIN)
    try:
        return Digest.parse(text) if text else None
    except ValueError as error:
        raise ProtocolError(f"{TOOLCHAIN}: {error}") from None


def offered_by(facts: WorkerFacts) -> PropertySet:
    """Return what a worker offers, under no other name than its own."""
    own = frozenset(offer for offer in facts.properties if offer[0] != WORKER)
    return own | {(WORKER, facts.name)}


def _requirements(action: Action) -> PropertySet:
    """Return what a worker must offer: properties of ours describe the action, not the worker."""
    return frozenset((name, value) for name, value in action.platform if not name.startswith(_OURS))
