"""The journal: what stood there before comes back exactly, whatever happened in between."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from cyxmake_cli.building.own_folder import OwnFolder
from cyxmake_cli.recovery.fixes import Retry
from cyxmake_cli.recovery.journal import Journal, State, Transaction
from cyxmake_cli.recovery.snapshot import digest_of
from cyxmake_common.errors import ProjectError


def _transaction() -> Transaction:
    return Transaction(0, "run", "now", Retry(1, 0), "because", "f" * 16, "code_error", "/b")


def _tree(root: Path) -> Path:
    """Return a place with everything that a pre-image has to know of."""
    place = root / "place"
    (place / "deep" / "empty").mkdir(parents=True)
    (place / "deep" / "script").write_bytes(b"#!/bin/sh\n\xff\0")
    (place / "deep" / "script").chmod(0o750)
    (place / "link").symlink_to("deep/script")
    (place / "dangling").symlink_to("/nowhere")
    os.utime(place / "deep" / "script", ns=(1, 1_000_000_123))
    return place


def _spoil(place: Path) -> None:
    (place / "deep" / "script").write_text("other")
    (place / "deep" / "script").chmod(0o600)
    (place / "new").write_text("new")
    (place / "link").unlink()
    shutil.rmtree(place / "deep" / "empty")


@pytest.mark.parametrize("until", ["begun", "applied", "kept"])
def test_an_undo_is_exact_at_every_point(tmp_path: Path, until: str) -> None:
    """Contents, modes, links, times, empty directories; and what was not there goes again."""
    journal = Journal(OwnFolder(tmp_path))
    place, absent = _tree(tmp_path), tmp_path / "absent"
    before = digest_of(str(place))
    found = journal.begin(_transaction(), [(str(place), False), (str(absent), False)])
    _spoil(place)
    absent.mkdir()
    (absent / "file").touch()
    if until != "begun":
        found = journal.applied(found)
    if until == "kept":
        found = journal.kept(found)
    (read,) = journal.all()
    assert (read, read.state.value) == (found, until)
    assert [t.id for t in journal.interrupted()] == ([] if until == "kept" else [found.id])
    for _ in range(2):  # an undo that was itself interrupted is repeated
        assert journal.undo(read, "test") == []
        assert digest_of(str(place)) == before
        assert (place / "deep" / "script").stat().st_mtime_ns == 1_000_000_123
        assert not absent.exists()
    assert [t.state for t in journal.all()] == [State.UNDONE]


def test_what_somebody_changed_since_is_theirs(tmp_path: Path) -> None:
    """A file changed after the fix stays; volatile places come back, with the newer one aside."""
    journal = Journal(OwnFolder(tmp_path))
    file, cache = tmp_path / "file", tmp_path / "cache"
    file.write_text("old")
    cache.write_text("old cache")
    found = journal.begin(_transaction(), [(str(file), False), (str(cache), True)])
    file.write_text("fixed")
    cache.write_text("new cache")
    found = journal.kept(journal.applied(found))
    file.write_text("mine")
    cache.write_text("newer cache")
    assert journal.undo(found, "test") == [str(file)]
    assert (file.read_text(), cache.read_text()) == ("mine", "old cache")
    aside = journal.folder_of(found) / "replaced"
    assert [p.read_text() for p in aside.iterdir()] == ["newer cache"]
    assert journal.active()  # it is not done as long as something is left


def test_a_file_in_the_way_is_moved_aside_and_not_lost(tmp_path: Path) -> None:
    """Where a fix was interrupted nobody knows whose a file is, so it is kept."""
    journal = Journal(OwnFolder(tmp_path))
    file = tmp_path / "file"
    found = journal.begin(_transaction(), [(str(file), False)])
    file.write_text("whose?")
    assert journal.undo(found, "test") == []
    assert not file.exists()
    (kept,) = (journal.folder_of(found) / "replaced").iterdir()
    assert kept.read_text() == "whose?"


def test_one_repairs_at_a_time(tmp_path: Path) -> None:
    """A second command is told so, and does not take a fix under way for an interrupted one."""
    journal, other = Journal(OwnFolder(tmp_path)), Journal(OwnFolder(tmp_path))
    journal.begin(_transaction(), [])
    with journal.at_work():
        assert other.interrupted() == []
        with pytest.raises(ProjectError, match="another command"), other.at_work():
            pass
    assert len(other.interrupted()) == 1


def test_a_journal_that_cannot_be_written_stops_the_fix(tmp_path: Path) -> None:
    """What cannot be kept is not changed: too large a place is refused, and nothing is left."""
    journal = Journal(OwnFolder(tmp_path))
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(ProjectError, match="too much"):
        journal.begin(_transaction(), [(str(large), False)])
    assert journal.all() == []
    assert stat.S_ISREG(large.stat().st_mode)
