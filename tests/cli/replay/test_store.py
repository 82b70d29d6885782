"""Bundles of failed actions on disk: whole or not there, few, and without secrets."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from cyxmake_cli.replay.bundle import Bundle, Ending, without_secrets
from cyxmake_cli.replay.store import NotWhole, ReplayStore
from cyxmake_common.digest import Digest
from cyxmake_common.errors import UsageError

COMMON = b"what all of them read"


def bundle(name: str, *blobs: bytes) -> tuple[Bundle, dict[Digest, bytes | str]]:
    """Return a bundle of that id, and the blobs that it names."""
    sources: dict[Digest, bytes | str] = {Digest.of(data): data for data in (COMMON, *blobs)}
    some = Digest.of(COMMON)
    made = Bundle(
        id=name,
        time="2026-01-02T03:04:05+00:00",
        target="a.o",
        project="/p",
        directory="/p/build",
        arguments=("cc", "-c", "caf\udce9.c"),
        environment=(("LANG", "C"),),
        withheld=("API_TOKEN",),
        outputs=("a.o",),
        action=some,
        input_root=some,
        toolchain=some,
        toolchain_files=some,
        platform=(("ISA", "x86-64"),),
        blobs=tuple(sources),
        line="missing header: a.h",
        fingerprint="0123",
        ending=Ending("tool", "", "", 1, b"a.c:1: \xff", "w1"),
    )
    return made, sources


def test_a_bundle_comes_back_as_it_was(tmp_path: Path) -> None:
    """Names and output that are no text in any encoding included; nobody else may read it."""
    store = ReplayStore(tmp_path / "replay")
    made, sources = bundle("aa11")
    store.add(made, sources)
    assert store.all() == [made]
    assert store.find("aa") == made
    for path in (tmp_path / "replay").rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077 or path.name == "lock"
    with pytest.raises(UsageError, match="no failed action is kept under 'b'"):
        store.find("b")


def test_the_oldest_goes_with_what_only_it_needs(tmp_path: Path) -> None:
    """By number and by size; the latest stays, whatever its size."""
    store = ReplayStore(tmp_path, bundles=2, limit=2000)
    for number, size in enumerate((100, 200, 1900, 5000)):
        made, sources = bundle(f"b{number}", bytes(size))
        store.add(made, sources)
        os.utime(tmp_path / "bundles" / f"{made.id}.json", (number, number))
        kept = [b.id for b in store.all()]
        assert kept == [["b0"], ["b1", "b0"], ["b2"], ["b3"]][number]
    blobs = {path.name for path in (tmp_path / "blobs").rglob("*-*")}
    assert blobs == {store.path_of(d).name for d in made.blobs}


def test_what_has_changed_since_is_not_kept(tmp_path: Path) -> None:
    """Half a bundle would replay something else."""
    store = ReplayStore(tmp_path / "replay")
    source = tmp_path / "a.c"
    source.write_text("new")
    made, sources = bundle("aa11", b"old")
    sources[Digest.of(b"old")] = str(source)
    with pytest.raises(NotWhole, match="has changed since"):
        store.add(made, sources)
    assert store.all() == []
    assert not list((tmp_path / "replay" / "blobs").rglob("*-*"))


def test_secrets_of_the_environment_are_left_out() -> None:
    """By name, and by what values look like; the names of those are told."""
    kept, withheld = without_secrets([
        ("LANG", "C"),
        ("GITHUB_TOKEN", "x"),
        ("CPATH", "/usr/local/include"),
        ("CFLAGS_EXTRA", "-DURL=https://ann:geheim@host/"),
    ])  # fmt: skip
    assert kept == (("LANG", "C"), ("CPATH", "/usr/local/include"))
    assert withheld == ("GITHUB_TOKEN", "CFLAGS_EXTRA")


def test_a_file_of_another_version_is_no_bundle(tmp_path: Path) -> None:
    """It is not shown, and goes when the next one comes."""
    store = ReplayStore(tmp_path)
    made, sources = bundle("aa11")
    store.add(made, sources)
    (tmp_path / "bundles" / "old.json").write_text('{"version": 0}')
    assert store.all() == [made]
    store.add(replace(made, id="bb22"), sources)
    assert not (tmp_path / "bundles" / "old.json").exists()
