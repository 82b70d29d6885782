"""Outputs: what is taken from an upper layer, and what a hostile command may plant there."""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cyxmake_common.action import OutputFile
from cyxmake_common.cas.disk import DiskStore
from cyxmake_common.cas.store import read_all
from cyxmake_common.digest import Digest
from cyxmake_common.errors import StoreFull
from cyxmake_worker.outputs import collect, store_outputs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="walks by POSIX descriptors")


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    """Return an upper layer with a build directory."""
    (tmp_path / "upper/b").mkdir(parents=True)
    return tmp_path / "upper"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DiskStore]:
    """Return an empty store on the same file system."""
    async with DiskStore(tmp_path / "cas", 1 << 20) as store:
        yield store


async def test_files_move_into_the_store(upper: Path, store: DiskStore) -> None:
    """A file is renamed, not copied; it becomes read-only; the result keeps its executable bit."""
    (upper / "b/x.o").write_bytes(b"object")
    (upper / "b/tool").write_bytes(b"program")
    (upper / "b/tool").chmod(0o4755)
    inode = (upper / "b/tool").stat().st_ino
    found = collect(upper, {"x.o": "/b/x.o", "tool": "/b/tool"})
    outputs = await store_outputs(store, found)
    digest = Digest.of(b"program")
    assert outputs == (
        OutputFile("x.o", Digest.of(b"object"), False),
        OutputFile("tool", digest, True),
    )
    assert await read_all(store, digest) == b"program"
    kept = store.path_of(digest).stat()
    assert (kept.st_ino, stat.S_IMODE(kept.st_mode)) == (inode, 0o444)
    assert store.stats().pinned_blobs == 3  # both, and the empty blob


async def test_a_directory_is_all_files_below_it(upper: Path) -> None:
    """Paths stay relative to the working directory; empty directories are nothing."""
    (upper / "b/gen/deep").mkdir(parents=True)
    (upper / "b/gen/empty").mkdir()
    (upper / "b/gen/deep/x.h").write_bytes(b"x")
    (upper / "b/gen/y.h").write_bytes(b"y")
    found = collect(upper, {"../gen": "/b/gen"})
    assert [item.path for item in found.files] == ["../gen/deep/x.h", "../gen/y.h"]
    assert (found.missing, found.refused) == ([], [])


async def test_the_same_bytes_twice_are_one_blob(upper: Path, store: DiskStore) -> None:
    """Two equal outputs, also hard links of each other, are two outputs of one digest."""
    (upper / "b/x").write_bytes(b"same")
    (upper / "b/y").hardlink_to(upper / "b/x")
    (upper / "b/z").write_bytes(b"same")
    found = collect(upper, {name: f"/b/{name}" for name in "xyz"})
    outputs = await store_outputs(store, found)
    assert {output.digest for output in outputs} == {Digest.of(b"same")}
    assert len(outputs) == 3


async def test_what_is_not_there_is_missing(upper: Path) -> None:
    """Neither a file nor its directory needs to exist."""
    (upper / "b/file").write_bytes(b"")
    places = {"a": "/b/a", "c": "/no/c", "d": "/b/file/d"}
    assert collect(upper, places).missing == ["a", "c", "d"]


async def test_special_files_are_refused_and_not_opened(upper: Path) -> None:
    """Links, FIFOs, sockets and devices are named with their kind."""
    (upper / "b/link").symlink_to("/etc/passwd")
    os.mkfifo(upper / "b/fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(upper / "b/socket"))
    if os.geteuid() == 0:
        os.mknod(upper / "b/device", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(upper / "b/gone", stat.S_IFCHR, os.makedev(0, 0))
    found = collect(upper, {"all": "/b"})
    assert found.files == []
    assert {"all/link is a symbolic link", "all/fifo is a FIFO", "all/socket is a socket"} <= set(
        found.refused
    )
    if os.geteuid() == 0:
        assert "all/device is a device" in found.refused
        assert found.missing == ["all/gone"]


async def test_a_linked_directory_does_not_lead_out(upper: Path, tmp_path: Path) -> None:
    """A directory on the way that the command replaced by a link is not followed."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/x").write_bytes(b"secret")
    (upper / "b/out").symlink_to(tmp_path / "secret")
    (upper / "c").symlink_to(tmp_path)
    found = collect(upper, {"x": "/b/out/x", "y": "/c/secret/x", "z": "/../secret/x"})
    assert found.files == []


async def test_unreadable_files_and_directories_are_read(upper: Path, store: DiskStore) -> None:
    """Modes that a command set do not keep us out of our own files."""
    (upper / "b/d").mkdir()
    (upper / "b/d/x").write_bytes(b"x")
    (upper / "b/d/x").chmod(0)
    (upper / "b/d").chmod(0)
    outputs = await store_outputs(store, collect(upper, {"d": "/b/d"}))
    assert outputs == (OutputFile("d/x", Digest.of(b"x"), False),)


async def test_a_full_store_leaves_no_pins(upper: Path, store: DiskStore) -> None:
    """When one output does not fit, the others are not held for ever."""
    (upper / "b/x").write_bytes(b"x")
    (upper / "b/y").write_bytes(b"y" * (2 << 20))
    with pytest.raises(StoreFull):
        await store_outputs(store, collect(upper, {"x": "/b/x", "y": "/b/y"}))
    assert store.stats().pinned_blobs == 1
