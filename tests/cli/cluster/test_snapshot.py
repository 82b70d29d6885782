"""A project's tree: what is sent of it and what stays here."""

from __future__ import annotations

import os
from pathlib import Path

from cyxmake_cli.cluster.snapshot import Rules, Snapshot, take
from cyxmake_common.cas.file_digests import FileDigests
from cyxmake_common.digest import Digest


def write(root: Path, *names: str) -> None:
    """Write files that hold their own names."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def snapshot(root: Path, **rules: object) -> Snapshot:
    """Take a snapshot."""
    return take(str(root), Rules(**rules), FileDigests())  # type: ignore[arg-type]


def test_files_links_modes_and_times_are_kept(tmp_path: Path) -> None:
    """Every file is in the tree with its digest, its mode and its time; links are links."""
    write(tmp_path, "a.c", "sub/run.sh")
    (tmp_path / "sub/run.sh").chmod(0o755)
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("sub/run.sh")
    (tmp_path / "dangling").symlink_to("/nowhere")
    os.mkfifo(tmp_path / "pipe")
    os.utime(tmp_path / "a.c", ns=(5, 5))
    found = snapshot(tmp_path)
    assert found.files == {"a.c": Digest.of(b"a.c"), "sub/run.sh": Digest.of(b"sub/run.sh")}
    assert found.times["a.c"] == 5
    assert found.links == {"link": "sub/run.sh", "dangling": "/nowhere"}
    entries = {entry.path: entry for entry in found.tree.entries()}
    assert entries[f"{tmp_path}/sub/run.sh"].executable  # type: ignore[union-attr]
    assert f"{tmp_path}/empty" in entries


def test_what_git_ignores_stays_here(tmp_path: Path) -> None:
    """Nested files count, a later one can take back what an earlier said; git has the last word."""
    write(
        tmp_path, "a.c", "a.o", "keep.o", "out/x", "sub/b.o", "sub/c.tmp", "forced.o", ".git/HEAD",
        "deep/out/y", "vendored/lib/z.o",
    )  # fmt: skip
    (tmp_path / ".gitignore").write_text("*.o\n!keep.o\n/out/\nvendored/\n")
    (tmp_path / "sub/.gitignore").write_text("!b.o\n*.tmp\n")
    found = snapshot(tmp_path, tracked=frozenset(("forced.o", "vendored/lib/z.o")))
    assert set(found.files) == {
        ".gitignore", "a.c", "keep.o", "sub/.gitignore", "sub/b.o", "forced.o", "deep/out/y",
        "vendored/lib/z.o",
    }  # fmt: skip


def test_products_stay_here(tmp_path: Path) -> None:
    """Build directories, by name and by what stands in them, and what builds brought."""
    write(
        tmp_path, "a.c", "build/a.o", "other/CMakeCache.txt", "other/b.o", "node_modules/p/i.js",
        "src/node_modules/q.js", "dist/a.js", "src/dist/b.js", "app", "cmake/build/x.cmake",
    )  # fmt: skip
    found = snapshot(
        tmp_path,
        products=frozenset(("build",)),
        made=("node_modules", "dist"),
        ours=lambda path: path == "app",
    )
    assert set(found.files) == {"a.c", "src/dist/b.js", "cmake/build/x.cmake"}


def test_a_configured_source_directory_is_still_sent(tmp_path: Path) -> None:
    """Whoever configured among the sources has sources there all the same."""
    write(tmp_path, "a.c", "config.status", "CMakeCache.txt")
    assert "a.c" in snapshot(tmp_path).files
