"""Input roots: trees become directories once, are shared, and go when they are not needed."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cyxmake_common.action import Directory
from cyxmake_common.cas.disk import DiskStore
from cyxmake_common.cas.memory import MemoryStore
from cyxmake_common.cas.store import read_all, write_all
from cyxmake_common.cas.tree import InputTree
from cyxmake_common.digest import EMPTY, Digest
from cyxmake_common.errors import BlobMissing, ProtocolError
from cyxmake_worker.inputs import InputRoots, RootLimits


@dataclass
class Client:
    """Where missing blobs come from; remembers what was asked for."""

    target: DiskStore
    blobs: dict[Digest, bytes] = field(default_factory=dict)
    calls: list[frozenset[Digest]] = field(default_factory=list)
    gate: asyncio.Event | None = None

    async def fetch(self, digests: Collection[Digest]) -> None:
        """Bring those blobs that are known."""
        self.calls.append(frozenset(digests))
        if self.gate is not None:
            await self.gate.wait()
        for digest in digests:
            if digest in self.blobs:
                await write_all(self.target, self.blobs[digest])

    def add(self, data: bytes) -> Digest:
        """Offer a blob."""
        digest = Digest.of(data)
        self.blobs[digest] = data
        return digest

    def tree(self, files: dict[str, bytes]) -> Digest:
        """Offer a tree of files by absolute path."""
        tree = InputTree()
        for path, data in files.items():
            tree.add_file(path, self.add(data))
        root, blobs = tree.build()
        self.blobs.update(blobs)
        return root


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DiskStore]:
    """Return an empty store."""
    async with DiskStore(tmp_path / "cas", 1 << 30) as store:
        yield store


@pytest.fixture
def client(store: DiskStore) -> Client:
    """Return a source of blobs."""
    return Client(store)


@pytest.fixture
async def roots(store: DiskStore, client: Client, tmp_path: Path) -> AsyncIterator[InputRoots]:
    """Return input roots that keep two trees."""
    roots = InputRoots(store, tmp_path / "roots", client.fetch, RootLimits(roots=2))
    await roots.open()
    yield roots
    await roots.close()


async def test_a_tree_becomes_a_directory(roots: InputRoots, client: Client) -> None:
    """Files, modes, symlinks and empty directories are there; files are read-only hard links."""
    tree = InputTree()
    tree.add_file("/home/dev/a.c", client.add(b"int a;"))
    tree.add_file("/home/dev/tool", client.add(b"#!"), executable=True)
    tree.add_symlink("/lib", "usr/lib")
    tree.add_symlink("/home/dev/bad", "/etc/passwd")
    tree.add_directory("/home/dev/build")
    root, blobs = tree.build()
    client.blobs.update(blobs)
    async with roots.hold(root) as layer:
        dev = layer.path / "home/dev"
        assert (dev / "a.c").read_bytes() == b"int a;"
        assert stat.S_IMODE((dev / "a.c").stat().st_mode) == 0o444
        assert stat.S_IMODE((dev / "tool").stat().st_mode) == 0o555
        assert (layer.path / "lib").readlink() == Path("usr/lib")
        assert (dev / "bad").readlink() == Path("/etc/passwd")
        assert list((dev / "build").iterdir()) == []


async def test_blobs_are_fetched_level_by_level_in_batches(
    roots: InputRoots, client: Client
) -> None:
    """One call for each level of directories, one for all files; nothing that is here."""
    root = client.tree({"/a/x": b"1", "/b/y": b"2", "/b/z": b"3"})
    await write_all(client.target, b"2")
    async with roots.hold(root):
        pass
    assert [len(call) for call in client.calls] == [1, 2, 2]


async def test_a_tree_is_made_once_for_all_who_ask(roots: InputRoots, client: Client) -> None:
    """Concurrent users share one directory and one fetch."""
    root = client.tree({"/x": b"1"})
    layers = await asyncio.gather(*(roots.acquire(root) for _ in range(8)))
    assert len({layer.path for layer in layers}) == 1
    assert len(client.calls) == 2
    for layer in layers:
        roots.release(layer)
    async with roots.hold(root):
        assert len(client.calls) == 2


async def test_a_missing_blob_is_named(roots: InputRoots, client: Client, tmp_path: Path) -> None:
    """What cannot be fetched fails the acquisition; a later try starts anew."""
    root = client.tree({"/x": b"1"})
    lost = client.blobs.pop(Digest.of(b"1"))
    with pytest.raises(BlobMissing):
        await roots.acquire(root)
    client.blobs[Digest.of(lost)] = lost
    async with roots.hold(root) as layer:
        assert (layer.path / "x").read_bytes() == b"1"
    await roots.close()
    assert [path.name for path in (tmp_path / "roots").iterdir()] == [layer.path.name]


async def test_unused_roots_go_least_recently_used_first(roots: InputRoots, client: Client) -> None:
    """Beyond the limit the oldest unused tree is removed, one in use never."""
    one, two, three = (client.tree({"/x": data}) for data in (b"1", b"2", b"3"))
    held = await roots.acquire(one)
    for root in (two, three):
        async with roots.hold(root):
            pass
    assert (one in roots, two in roots, three in roots) == (True, False, True)
    roots.release(held)
    await roots.close()
    assert held.path.is_dir()
    assert not held.path.with_name(f"{two.hash}-{two.size}").exists()


async def test_roots_that_hold_too_much_go(
    store: DiskStore, client: Client, tmp_path: Path
) -> None:
    """The limit of bytes counts as well."""
    roots = InputRoots(store, tmp_path / "roots", client.fetch, RootLimits(bytes=150))
    await roots.open()
    one, two = client.tree({"/x": b"1" * 100}), client.tree({"/x": b"2" * 100})
    for root in (one, two):
        async with roots.hold(root):
            pass
    assert (one in roots, two in roots) == (False, True)
    assert roots.used_bytes == 100
    await roots.close()


async def test_cancelling_one_user_does_not_stop_the_other(
    roots: InputRoots, client: Client
) -> None:
    """A build goes on while somebody waits for it."""
    client.gate = asyncio.Event()
    root = client.tree({"/x": b"1"})
    first, second = (asyncio.ensure_future(roots.acquire(root)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    client.gate.set()
    layer = await second
    assert (layer.path / "x").exists()


async def test_cancelling_the_only_user_stops_the_build(roots: InputRoots, client: Client) -> None:
    """Nothing is built for nobody, and the next who asks is served."""
    client.gate = asyncio.Event()
    root = client.tree({"/x": b"1"})
    task = asyncio.ensure_future(roots.acquire(root))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    client.gate.set()
    assert root not in roots
    async with roots.hold(root) as layer:
        assert (layer.path / "x").exists()


async def test_leftovers_are_removed_at_the_start(
    store: DiskStore, client: Client, tmp_path: Path
) -> None:
    """A half-made or complete root of an earlier run is not trusted."""
    root = client.tree({"/x": b"1"})
    forged = tmp_path / "roots" / f"{root.hash}-{root.size}"
    forged.mkdir(parents=True)
    (forged / "x").write_bytes(b"forged")
    (tmp_path / "roots/new-1/deep").mkdir(parents=True)
    roots = InputRoots(store, tmp_path / "roots", client.fetch)
    await roots.open()
    async with roots.hold(root) as layer:
        assert (layer.path / "x").read_bytes() == b"1"
        assert len(list((tmp_path / "roots").iterdir())) == 1
    await roots.close()


@pytest.mark.parametrize(
    "directory",
    [
        Directory(symlinks=(("x", "/etc"),), files=(("x", EMPTY, False),)),
        Directory(files=(("../x", EMPTY, False),)),
        Directory(files=(("n" * 300, EMPTY, False),)),
    ],
    ids=["link-and-file", "dots", "name-too-long"],
)
async def test_hostile_trees_are_refused(
    roots: InputRoots, client: Client, directory: Directory, tmp_path: Path
) -> None:
    """Names that conflict, lead out or cannot exist end in ProtocolError and leave nothing."""
    root = client.add(directory.to_bytes())
    with pytest.raises(ProtocolError):
        await roots.acquire(root)
    await roots.close()
    assert list((tmp_path / "roots").iterdir()) == []


async def test_nothing_stays_pinned(roots: InputRoots, client: Client) -> None:
    """After success and failure alike the store may evict again."""
    pinned = client.target.stats().pinned_blobs
    async with roots.hold(client.tree({"/x": b"1"})):
        pass
    bad = client.tree({"/y": b"2"})
    del client.blobs[Digest.of(b"2")]
    with pytest.raises(BlobMissing):
        await roots.acquire(bad)
    assert client.target.stats().pinned_blobs == pinned


async def test_a_root_survives_the_eviction_of_its_blobs(roots: InputRoots, client: Client) -> None:
    """The links keep the bytes while the root stands."""
    root = client.tree({"/x": b"1"})
    async with roots.hold(root) as layer:
        await client.target.delete(Digest.of(b"1"))
        assert (layer.path / "x").read_bytes() == b"1"
    with pytest.raises(BlobMissing):
        await read_all(MemoryStore(1000), root)


async def test_toolchains_go_as_anything_else_and_return(client: Client, tmp_path: Path) -> None:
    """In use it stays, then the oldest goes, which is told; who needs it again gets it again.

    What two versions have in common is stored and fetched once.
    """
    told: list[Digest] = []
    async with DiskStore(tmp_path / "small", 40_000) as store:
        client.target = store
        limits = RootLimits(roots=1)
        roots = InputRoots(store, tmp_path / "roots", client.fetch, limits, told.append)
        await roots.open()
        shared = b"s" * 15_000
        old, new = (
            client.tree({"/bin/gcc": version * 15_000, "/lib/libgmp.so": shared})
            for version in (b"1", b"2")
        )
        held = await roots.acquire(old)
        async with roots.hold(new):
            fetched = [digest for call in client.calls for digest in call]
            assert fetched.count(Digest.of(shared)) == 1
        assert told == [new]
        assert (held.path / "bin/gcc").read_bytes() == b"1" * 15_000
        roots.release(held)
        for padding in (b"3", b"4"):  # other work fills the store
            async with roots.hold(client.tree({"/x": padding * 18_000})):
                pass
        assert old in told
        assert await store.find_missing([Digest.of(shared)])
        async with roots.hold(old) as again:
            assert (again.path / "bin/gcc").read_bytes() == b"1" * 15_000
        await roots.close()
