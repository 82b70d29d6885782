"""Whether a tree is whole: what is found missing, what is believed, and for how long."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from cyxmake_common.action import Directory
from cyxmake_common.cas.memory import MemoryStore
from cyxmake_common.cas.store import write_all
from cyxmake_common.digest import Digest
from cyxmake_common.errors import ProtocolError
from cyxmake_coordinator.closures import Closures


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


class Tree:
    """root/{a.c, sub/{b.h}, again/{b.h}} in pieces; `sub` and `again` are one Directory."""

    a = b"a.c"
    b = b"b.h"
    sub = Directory(files=(("b.h", Digest.of(b), False),)).to_bytes()
    root = Directory(
        files=(("a.c", Digest.of(a), False),),
        directories=(("sub", Digest.of(sub)), ("again", Digest.of(sub))),
    ).to_bytes()
    digest = Digest.of(root)


async def test_missing_is_named_level_by_level() -> None:
    """What lies below a missing Directory is not seen; everything else is named at once."""
    store = MemoryStore()
    closures = Closures(store, Clock())
    assert await closures.missing(Tree.digest) == (Tree.digest,)
    await write_all(store, Tree.root)
    expected = sorted((Digest.of(Tree.a), Digest.of(Tree.sub)))
    assert await closures.missing(Tree.digest) == tuple(expected)
    await write_all(store, Tree.a)
    await write_all(store, Tree.sub)
    assert await closures.missing(Tree.digest) == (Digest.of(Tree.b),)
    await write_all(store, Tree.b)
    assert await closures.missing(Tree.digest) == ()


async def test_a_whole_tree_is_believed_for_a_while() -> None:
    """Within its time a tree is not walked again; then, or when in doubt, it is."""
    store, clock = MemoryStore(), Clock()
    closures = Closures(store, clock, fresh_seconds=30.0)
    for blob in (Tree.root, Tree.sub, Tree.a, Tree.b):
        await write_all(store, blob)
    assert await closures.missing(Tree.digest) == ()
    await store.delete(Digest.of(Tree.b))
    clock.now = 29.0
    assert await closures.missing(Tree.digest) == ()
    clock.now = 31.0
    assert await closures.missing(Tree.digest) == (Digest.of(Tree.b),)
    await write_all(store, Tree.b)
    assert await closures.missing(Tree.digest) == ()
    await store.delete(Digest.of(Tree.sub))
    closures.doubt(Tree.digest)
    assert await closures.missing(Tree.digest) == (Digest.of(Tree.sub),)


async def test_callers_share_a_walk_and_one_may_leave() -> None:
    """Cancelling one of those who wait leaves the answer for the others."""
    store = MemoryStore()
    closures = Closures(store, Clock())
    await write_all(store, Tree.root)
    first = asyncio.ensure_future(closures.missing(Tree.digest))
    second = asyncio.ensure_future(closures.missing(Tree.digest))
    await asyncio.wait({first}, timeout=0)
    first.cancel()
    assert len(await second) == 2
    await closures.close()


async def test_a_tree_that_is_none_is_refused() -> None:
    """Bytes that are no Directory, and a Directory of absurd size, are the client's mistake."""
    store = MemoryStore()
    closures = Closures(store, Clock())
    nonsense = await write_all(store, b"\xff\xff\xff")
    with pytest.raises(ProtocolError):
        await closures.missing(nonsense)
    with pytest.raises(ProtocolError, match="too large"):
        await closures.missing(Digest("0" * 64, 1 << 40))
