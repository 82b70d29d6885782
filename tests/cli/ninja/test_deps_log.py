"""The deps log on disk: records, torn tails, compaction."""

from __future__ import annotations

import struct

import pytest

from cyxmake_cli.ninja.deps_log import DepsLog
from cyxmake_cli.ninja.graph import Node, State
from support.memory_disk import MemoryDisk

HEADER = b"# ninjadeps\n\x04\0\0\0"
MTIME = 1_700_000_000_123_456_789


def path_record(path: bytes, number: int) -> bytes:
    padded = path + b"\0" * (-len(path) % 4)
    return struct.pack("<I", len(padded) + 4) + padded + struct.pack("<I", ~number & 0xFFFFFFFF)


def deps_record(out: int, mtime: int, *ids: int) -> bytes:
    return struct.pack(f"<Iiq{len(ids)}i", 12 + 4 * len(ids) | 1 << 31, out, mtime, *ids)


GOLDEN = (
    HEADER
    + path_record(b"out.o", 0)
    + path_record(b"foo.h", 1)
    + path_record(b"barr.hpp", 2)
    + deps_record(0, MTIME, 1, 2)
)


def load(disk: MemoryDisk, state: State | None = None) -> DepsLog:
    return DepsLog.load(disk, ".ninja_deps", state or State())


def live(node: Node) -> bool:
    return True


def write(disk: MemoryDisk, state: State) -> DepsLog:
    log = load(disk, state)
    log.open_for_write(live)
    log.record(state.node("out.o"), MTIME, [state.node("foo.h"), state.node("barr.hpp")])
    return log


def test_records_have_ninjas_bytes() -> None:
    """Header, padded paths with their checks, then the dependencies."""
    disk = MemoryDisk()
    write(disk, State()).close()
    assert disk.files[".ninja_deps"] == GOLDEN


def test_what_was_written_is_read() -> None:
    """Ids become the state's nodes."""
    state = State()
    log = load(MemoryDisk({".ninja_deps": GOLDEN}), state)
    deps = log.get(state.node("out.o"))
    assert deps is not None
    assert deps.mtime == MTIME
    assert log.inputs(deps) == [state.node("foo.h"), state.node("barr.hpp")]
    assert log.get(state.node("foo.h")) is None
    assert log.get(state.node("unknown")) is None
    assert log.first_user(state.node("barr.hpp")) is state.node("out.o")
    assert log.first_user(state.node("out.o")) is None


def test_nothing_new_writes_nothing() -> None:
    """A rebuild with the same headers at the same time leaves the file alone."""
    disk = MemoryDisk({".ninja_deps": GOLDEN})
    write(disk, State()).close()
    assert disk.files[".ninja_deps"] == GOLDEN


def test_later_records_win() -> None:
    """A new time is appended and believed."""
    disk, state = MemoryDisk({".ninja_deps": GOLDEN}), State()
    log = load(disk, state)
    log.open_for_write(live)
    log.record(state.node("out.o"), MTIME + 1, [state.node("foo.h"), state.node("foo.h")])
    assert disk.files[".ninja_deps"] == GOLDEN + deps_record(0, MTIME + 1, 1, 1)
    again = State()
    reloaded = load(disk, again)
    found = reloaded.get(again.paths["out.o"])
    assert found is not None
    assert found.mtime == MTIME + 1


@pytest.mark.parametrize("cut", range(len(HEADER) + 1, len(GOLDEN)))
def test_a_torn_tail_is_cut_off(cut: int) -> None:
    """Wherever a kill tore the file, the next run keeps the whole records and goes on."""
    disk, state = MemoryDisk({".ninja_deps": GOLDEN[:cut]}), State()
    write(disk, state).close()
    fresh = State()
    log = load(disk, fresh)
    assert not log.warning
    deps = log.get(fresh.paths["out.o"])
    assert deps is not None
    assert [node.path for node in log.inputs(deps)] == ["foo.h", "barr.hpp"]


@pytest.mark.parametrize(
    "tail",
    [
        path_record(b"twice.h", 7),
        path_record(b"foo.h", 3),
        deps_record(9, MTIME),
        deps_record(0, MTIME, 99),
        deps_record(0, MTIME, -1),
        struct.pack("<I", 1 << 20),
        struct.pack("<I", 2) + b"ab",
        struct.pack("<I", 4) + b"abcd",
    ],
)
def test_nonsense_ends_the_log(tail: bytes) -> None:
    """Two writers at once, or a bad disk: what follows is not believed."""
    disk = MemoryDisk({".ninja_deps": GOLDEN + tail})
    log = load(disk)
    assert "recovering" in log.warning
    log.open_for_write(live)
    assert disk.files[".ninja_deps"] == GOLDEN


@pytest.mark.parametrize("data", [b"# ninjadeps\n\x03\0\0\0", b"junk", HEADER[:7]])
def test_an_unknown_version_starts_over(data: bytes) -> None:
    """Nothing of it is believed, and it is replaced."""
    disk = MemoryDisk({".ninja_deps": data})
    log = write(disk, State())
    log.close()
    assert "starting over" in log.warning
    assert disk.files[".ninja_deps"] == GOLDEN


def test_a_log_of_old_records_is_rewritten() -> None:
    """Over a thousand records, most of them outdated: keep the last of each living output."""
    old = b"".join(deps_record(0, time, 1) for time in range(1100))
    data = GOLDEN + old + path_record(b"gone.o", 3) + deps_record(3, 5, 2)
    data += deps_record(0, MTIME, 1, 2)
    disk, state = MemoryDisk({".ninja_deps": data}), State()
    log = load(disk, state)
    log.open_for_write(lambda node: node.path == "out.o")
    assert disk.files == {".ninja_deps": GOLDEN}
    log.record(state.node("new.o"), 7, [state.node("barr.hpp")])
    expected = GOLDEN + path_record(b"new.o", 3) + deps_record(3, 7, 2)
    assert disk.files[".ninja_deps"] == expected


def test_records_that_ninja_could_not_read_are_refused() -> None:
    """Longer than half a megabyte is an error, not a broken log."""
    state = State()
    log = load(MemoryDisk(), state)
    log.open_for_write(live)
    with pytest.raises(OSError, match="too many dependencies"):
        log.record(state.node("a"), 1, [state.node("b")] * 140_000)
    with pytest.raises(OSError, match="path too long"):
        log.record(state.node("x" * 600_000), 1, [])
