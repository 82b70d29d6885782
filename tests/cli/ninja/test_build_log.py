"""The build log on disk: formats, torn tails, compaction."""

from __future__ import annotations

import pytest

from cyxmake_cli.ninja.build_log import BuildLog, LogEntry
from cyxmake_cli.ninja.log_format import FORMATS, format_of_release
from support.memory_disk import MemoryDisk

ENTRY = LogEntry(1, 20, 3_000_000_000, 0xABCDEF)
LINE = b"1\t20\t3000000000\tout\tabcdef\n"


def load(disk: MemoryDisk) -> BuildLog:
    return BuildLog.load(disk, ".ninja_log", FORMATS[5])


def alive(path: str) -> bool:
    return False


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ("1.11.1", 5),
        ("1.12.1", 6),
        ("1.13.0.git", 7),
        ("1.14", 7),
        ("2.0", 7),
        ("1.8.2", 5),
        ("", 5),
    ],
)
def test_each_release_has_its_log_version(release: str, version: int) -> None:
    """A log that does not exist yet is written as the installed ninja would."""
    assert format_of_release(release).version == version


def test_a_record_is_one_line() -> None:
    """The bytes are ninja's."""
    disk = MemoryDisk()
    log = load(disk)
    log.open_for_write(alive)
    log.record(["out", "out2"], ENTRY)
    assert disk.files[".ninja_log"] == b"# ninja log v5\n" + LINE + LINE.replace(b"out", b"out2")
    assert load(disk).entries == {"out": ENTRY, "out2": ENTRY}


def test_an_empty_log_is_created_on_close() -> None:
    """Later runs see that there was a build."""
    disk = MemoryDisk()
    log = load(disk)
    log.open_for_write(alive)
    log.close()
    assert disk.files == {".ninja_log": b"# ninja log v5\n"}


def test_an_existing_log_keeps_its_version() -> None:
    """Two tools that share a directory must agree on the format."""
    disk = MemoryDisk({".ninja_log": b"# ninja log v7\n" + LINE})
    log = load(disk)
    log.open_for_write(alive)
    log.record(["b"], ENTRY)
    assert log.format.version == 7
    assert disk.files[".ninja_log"] == b"# ninja log v7\n" + LINE + LINE.replace(b"out", b"b")


@pytest.mark.parametrize("header", [b"# ninja log v3\n", b"# ninja log v99\n", b"junk", b"\0\n"])
def test_an_unknown_version_starts_over(header: bytes) -> None:
    """Nothing of it is believed, and it is replaced."""
    disk = MemoryDisk({".ninja_log": header + LINE})
    log = load(disk)
    assert not log.entries
    assert "starting over" in log.warning
    log.open_for_write(alive)
    log.record(["out"], ENTRY)
    assert disk.files[".ninja_log"] == b"# ninja log v5\n" + LINE


def test_a_torn_line_is_cut_off() -> None:
    """A build killed in the middle of a write loses only that line."""
    disk = MemoryDisk({".ninja_log": b"# ninja log v5\n" + LINE + b"3\t4\t50"})
    log = load(disk)
    log.open_for_write(alive)
    log.record(["next"], ENTRY)
    expected = b"# ninja log v5\n" + LINE + LINE.replace(b"out", b"next")
    assert disk.files[".ninja_log"] == expected


def test_damaged_lines_are_skipped() -> None:
    """The rest of the log stays useful; the last line for an output wins."""
    newer = LINE.replace(b"1\t20", b"5\t60")
    disk = MemoryDisk({".ninja_log": b"# ninja log v5\nx\ty\n\n1\tb\tc\td\te\n" + LINE + newer})
    assert load(disk).entries == {"out": ENTRY._replace(start_ms=5, end_ms=60)}


def test_a_log_of_old_lines_is_rewritten() -> None:
    """Over a hundred lines, most of them outdated: keep the last of each living output."""
    disk = MemoryDisk(
        {".ninja_log": b"# ninja log v5\n" + (LINE + LINE.replace(b"out", b"x")) * 60}
    )
    log = load(disk)
    log.open_for_write(lambda path: path == "x")
    assert disk.files == {".ninja_log": b"# ninja log v5\n" + LINE}
    log.record(["new"], ENTRY)
    assert disk.files[".ninja_log"].endswith(LINE + LINE.replace(b"out", b"new"))


def test_a_suspended_log_notices_that_it_was_replaced() -> None:
    """Generators run ninja's tools, which rewrite the file."""
    disk = MemoryDisk()
    log = load(disk)
    log.open_for_write(alive)
    log.record(["out"], ENTRY)
    log.suspend()
    disk.put(".ninja_log", b"# ninja log v5\n")
    log.record(["out"], ENTRY)
    assert disk.files[".ninja_log"] == b"# ninja log v5\n" + LINE
    log.suspend()
    disk.remove(".ninja_log")
    log.record(["out"], ENTRY)
    assert disk.files[".ninja_log"] == b"# ninja log v5\n" + LINE


def test_a_dry_run_writes_nothing() -> None:
    """Without open_for_write the log is only read."""
    disk = MemoryDisk()
    log = load(disk)
    log.record(["out"], ENTRY)
    log.close()
    assert not disk.files
