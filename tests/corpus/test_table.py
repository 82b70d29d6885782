"""The equality table's own rules: what counts as a fault, and where sources come from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from support.equality import Cell, Figures
from support.equality_report import markdown
from support.source_packages import source_entries

STANZA = "Types: deb\nURIs: http://one.example/debian\nSuites: a b\nComponents: main\n"


def figures(**more: int) -> Figures:
    """Return figures of a build of ten compiles, all hits unless told otherwise."""
    counts = {"hits": 10, "remote": 0, "local": 3} | more
    return Figures(
        1.0, counts["hits"], counts["remote"], counts["local"], {"not a compile": 3}, 0, {}
    )


def test_a_source_list_of_several_stanzas_is_read_whole(tmp_path: Path) -> None:
    """Every suite of every stanza becomes an entry, with its key."""
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    second = STANZA.replace("one.", "two.").replace("a b", "c") + "Signed-By: /key\n"
    (folder / "debian.sources").write_text(f"{STANZA}\n{second}")
    assert source_entries(tmp_path).splitlines() == [
        "deb-src http://one.example/debian a main",
        "deb-src http://one.example/debian b main",
        "deb-src [signed-by=/key] http://two.example/debian c main",
    ]


def test_what_counts_as_a_fault() -> None:
    """Unequal files, compiles that stay here, misses in a second build or checkout, and tests."""
    good = Cell("zstd", "1", "plain", "bare", first=figures(hits=0, remote=10))
    good.again = good.elsewhere = figures()
    assert good.faults() == []
    assert "None." in markdown([good])
    bad = Cell("zstd", "1", "plain", "bare", unequal=["a.o"], tests="failed: x")
    bad.first = figures(hits=0, remote=10)
    bad.first.reasons = {"not a compile": 3, "unknown option": 1}
    bad.again, bad.elsewhere = figures(hits=9, remote=1), figures(hits=5, remote=5)
    faults = bad.faults()
    assert faults == [
        "unequal: a.o",
        "local: unknown option (1)",
        "second build: 90.0 % hits",
        "second checkout: 50.0 % hits",
        "tests failed: x",
    ]
    assert not [f for f in replace(bad, bound=5).faults() if f.startswith("second checkout")]
    page = markdown([bad])
    assert all(fault in page for fault in faults)
    assert (
        "second checkout: 50.0 % hits"
        not in Cell.from_json(bad.to_json() | {"configuration": "g"}).faults()
    )
