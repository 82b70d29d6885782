"""An output that is made anew with the same bytes: who depends on it runs as ninja's rules say."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.builds import nothing_to_do, run
from support.processes import Cluster


def project(root: Path, restat: bool) -> Path:
    """Write a program of two objects whose rule does, or does not, promise to be looked at."""
    root.mkdir()
    (root / "a.c").write_text('#include "a.h"\nint main(void) { return A + b(); }\n')
    (root / "a.h").write_text("#define A 0\nint b(void);\n")
    (root / "b.c").write_text("int b(void) { return 0; }\n")
    (root / "build.ninja").write_text(
        "rule c\n  command = gcc -O1 -MD -MF $out.d -c $in -o $out\n  deps = gcc\n"
        f"  depfile = $out.d\n{'  restat = 1' if restat else ''}\n"
        "rule link\n  command = gcc $in -o $out && echo linked >> links\n"
        "build a.o: c a.c\nbuild b.o: c b.c\nbuild program: link a.o b.o\n"
    )
    return root


def links(root: Path) -> int:
    """Return how often the program was linked."""
    return len((root / "links").read_text().splitlines())


@pytest.mark.parametrize("restat", [True, False])
def test_equal_outputs_stop_a_rebuild_only_with_restat(
    shared_cluster: Cluster, tmp_path: Path, restat: bool
) -> None:
    """A comment relinks nothing where the rule says restat; ninja agrees each time, and sees a
    change that matters.
    """
    root = project(tmp_path / "p", restat)
    header, made = root / "a.h", root / "a.o"
    assert shared_cluster.build(root).status == 0
    expected, text = 1, header.read_text()
    for edit in (f"{text}/* {tmp_path} */\n", text):
        before = made.read_bytes(), made.stat().st_mtime_ns
        header.write_text(edit)
        done = shared_cluster.build(root)
        assert done.status == 0, done.errors
        assert done.summary["remote"] + done.summary["cache_hits"] == 1
        assert made.read_bytes() == before[0]
        assert (made.stat().st_mtime_ns == before[1]) is restat
        expected += not restat
        assert links(root) == expected
        assert nothing_to_do(root)
    header.write_text(text.replace("A 0", "A 1"))
    assert shared_cluster.build(root).status == 0
    assert links(root) == expected + 1
    assert nothing_to_do(root)
    header.write_text(text.replace("A 0", "A 2"))
    run(["ninja", "-C", str(root)])
    assert links(root) == expected + 2
    assert "no work" in shared_cluster.build(root).output
