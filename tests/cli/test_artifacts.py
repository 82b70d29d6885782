"""Files that come back: which may be put in place, and over what."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyxmake_cli.artifacts import Brought, Rules, leads_through_link, present, why_not
from cyxmake_common.digest import Digest
from cyxmake_common.globs import matcher

RULES = Rules(matcher(["build/**", "src/*"]), frozenset(("src/a.c",)))


@pytest.mark.parametrize(
    ("path", "new", "there", "known", "said"),
    [
        ("build/app", "2", None, None, ""),
        ("build/app", "2", "2", None, ""),
        ("build/app", "2", "1", "1", ""),
        ("build/app", "2", "3", "1", "another file here"),
        ("build/app", "2", "3", None, "another file here"),
        ("build/app", "2", "something else", "1", "another file here"),
        ("../build/app", "2", None, None, "no path inside"),
        ("/etc/passwd", "2", None, None, "no path inside"),
        ("build/../../x", "2", None, None, "no path inside"),
        ("other/app", "2", None, None, "not asked for"),
        ("src/a.c", "2", "1", "1", "is a source"),
        ("build/l", "-> a.so.1", None, None, ""),
        ("build/l", "-> ../src/x", None, None, ""),
        ("build/l", "-> ../../x", None, None, "leads out"),
        ("build/l", "-> /etc/passwd", None, None, "leads out"),
    ],
)  # fmt: skip
def test_only_artefacts_are_written_over(
    path: str, new: str, there: str | None, known: str | None, said: str
) -> None:
    """A new place, the same bytes, or the very file that the last build brought; nothing else."""
    reason = why_not(path, new, there, {path: known} if known else {}, RULES)
    assert (said in reason) if said else not reason


def test_overwriting_is_for_files_alone() -> None:
    """Who asks for it gets a changed file replaced, never a source or a directory."""
    rules = Rules(matcher(["**"]), frozenset(("a.c",)), overwrite=True)
    assert not why_not("app", "2", "1", {}, rules)
    assert why_not("a.c", "2", "1", {}, rules)
    assert why_not("app", "2", "something else", {}, rules)


def test_links_on_the_way_are_seen(tmp_path: Path) -> None:
    """A directory that is a link would let a file be written anywhere."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("/tmp")
    assert leads_through_link(str(tmp_path), "link/x/y")
    assert not leads_through_link(str(tmp_path), "real/x/y")


def test_what_was_brought_is_remembered(tmp_path: Path) -> None:
    """A file is ours until somebody changes it."""
    (tmp_path / "app").write_bytes(b"1")
    brought = Brought.load(tmp_path / "cache", str(tmp_path))
    digest = present(str(tmp_path / "app"), Digest.of_file)
    assert digest is not None
    brought.known["app"] = digest
    brought.save()
    again = Brought.load(tmp_path / "cache", str(tmp_path))
    assert again.is_ours(str(tmp_path), "app", Digest.of_file)
    (tmp_path / "app").write_bytes(b"2")
    assert not again.is_ours(str(tmp_path), "app", Digest.of_file)
    brought.file.write_text("[")
    assert not Brought.load(tmp_path / "cache", str(tmp_path)).known
