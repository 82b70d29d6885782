"""Stored entries held against the files of today."""

from __future__ import annotations

import time
from pathlib import Path

from cyxmake_cli.cluster.lookup import Tree
from cyxmake_common.cache.key import line, pack_paths
from cyxmake_common.cas.file_digests import FileDigests
from cyxmake_common.digest import Digest
from cyxmake_common.protocol.messages import CacheEntry


def _entry(*paths: Path) -> CacheEntry:
    tokens = sorted(map(str, paths))
    manifest = b"".join(line(token, Digest.of_file(token)) for token in tokens)
    return CacheEntry(
        key=Digest.of(b"key"), manifest=Digest.of(manifest), paths=pack_paths(tokens), result=b""
    )


def test_a_file_is_looked_at_once_for_units_of_one_moment(tmp_path: Path) -> None:
    """And again for those that come later, for whoever forgot it, and when nobody gives a mark."""
    header, source = tmp_path / "a.h", tmp_path / "a.c"
    header.write_text("int a;")
    source.write_text("int b;")
    entry = _entry(header, source)
    digests = FileDigests(clock=lambda: time.time() + 100)  # what stands there now is settled
    tree = Tree(str(tmp_path / "elsewhere"), digests)
    since = digests.moment()
    assert tree.misfit(entry, since) is None

    header.write_text("int c;")
    assert tree.misfit(entry, since) is None, "looked at after the mark: not looked at again"
    assert tree.misfit(entry, digests.moment()) is not None
    assert tree.misfit(entry) is not None

    header.write_text("int a;")
    assert tree.misfit(entry, since := digests.moment()) is None
    header.write_text("int d;")
    digests.forget(str(header))
    assert tree.misfit(entry, since) is not None, "forgotten: looked at again, whatever the mark"


def test_a_file_that_is_being_written_is_looked_at_each_time(tmp_path: Path) -> None:
    """Its time may not tell the next change."""
    header = tmp_path / "a.h"
    header.write_text("int a;")
    entry = _entry(header)
    digests = FileDigests(clock=lambda: header.stat().st_mtime)
    tree = Tree(str(tmp_path / "elsewhere"), digests)
    since = digests.moment()
    assert tree.misfit(entry, since) is None
    header.write_text("int b;")
    assert tree.misfit(entry, since) is not None
