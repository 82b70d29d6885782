"""Files that are in the cluster only: what counts, and for how long."""

from __future__ import annotations

from pathlib import Path

from cyxmake_cli.away import RECORD, AwayFiles, allowed
from cyxmake_cli.settings import Download
from cyxmake_common.digest import Digest

DIGEST = Digest.of(b"object")
LINE = (1, 2, 3, 0xFFFF_FFFF_FFFF_FFFF)


def left(directory: Path) -> AwayFiles:
    """Return a record in which `o/a.o` is away."""
    (directory / "o").mkdir()
    away = AwayFiles.load(str(directory))
    away.allow(["o/a.o"])
    away.stays("o/a.o", DIGEST, executable=False)
    away.logged("o/a.o", LINE)
    away.save()
    return away


def test_a_record_is_kept_between_builds(tmp_path: Path) -> None:
    """The same file has the same mtime in the next build, by its relative and absolute path."""
    mtime = left(tmp_path).mtime("o/a.o")
    again = AwayFiles.load(str(tmp_path))
    assert again.mtime("o/a.o") == 0  # nothing may be away unless the build says so
    again.allow(["o/a.o"])
    again.keep_logged({"o/a.o": LINE})
    assert again.mtime("o/../o/a.o") == again.mtime(f"{tmp_path}/o/a.o") == mtime > 10**18
    assert again.mtime("o/b.o") == 0


def test_another_line_in_the_log_ends_it(tmp_path: Path) -> None:
    """Plain ninja made the file since then: what was left in the cluster is another one."""
    left(tmp_path)
    again = AwayFiles.load(str(tmp_path))
    again.allow(["o/a.o"])
    again.keep_logged({"o/a.o": (*LINE[:3], 5)})
    assert again.mtime("o/a.o") == 0
    again.save()
    assert not (tmp_path / RECORD).exists()


def test_a_stale_file_does_not_stand_in_for_a_new_one(tmp_path: Path) -> None:
    """An older output at the same place is removed when the new one stays away."""
    (tmp_path / "o").mkdir()
    (tmp_path / "o/a.o").write_text("old")
    away = AwayFiles(str(tmp_path))
    away.stays("o/a.o", DIGEST, executable=False)
    assert not (tmp_path / "o/a.o").exists()


def test_a_damaged_record_is_empty(tmp_path: Path) -> None:
    """Files of a record that cannot be read are missing files."""
    left(tmp_path)
    for data in (b"", b"\xc1", b"\x92\x01\x91\x93abc", b"\x92\x02\x90"):
        (tmp_path / RECORD).write_bytes(data)
        assert not AwayFiles.load(str(tmp_path))


def test_what_may_be_away() -> None:
    """All of it with minimal, what no target is with toplevel, nothing with all."""
    outputs, wanted = {"a.o", "p"}, {"p"}
    assert allowed(Download.ALL, outputs, wanted) == set()
    assert allowed(Download.TOPLEVEL, outputs, wanted) == {"a.o"}
    assert allowed(Download.MINIMAL, outputs, wanted) == {"a.o", "p"}
