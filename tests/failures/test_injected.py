"""Builds that were broken on purpose: what is said of them is true, and so is what is told there.

The cases are tried on this machine with `pytest -m failures`; without it a few of the quickest
are, and the diagnosis is held against what all of them said when they were last tried.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.by_hand import harmed, plant
from support.diagnosis_score import injected, score
from support.fix_score import fix_scores
from support.fix_trial import try_to_fix
from support.injected_bases import BASES
from support.injected_cases import Injected, break_it, build_cleanly, cases, mend, run_broken
from support.source_packages import SourceUnavailable

_QUICK = ("link-math-make", "no-execute-bit-make", "gone-source-make")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that other users reach, too."""
    with tempfile.TemporaryDirectory(prefix="injected-", ignore_cleanup_errors=True) as made:
        yield Path(made)


def _in_three_ways(case: Injected, place: Path) -> None:
    if why := case.reason_to_skip():
        pytest.skip(why)
    base = BASES[case.base]
    try:
        sources = base.fetch(place)
    except SourceUnavailable as why:
        pytest.skip(str(why))
    build_cleanly(base, sources, place / "clean", case.first)
    work = break_it(case, sources, place / "broken")
    run_broken(work)
    mend(case, work)


@pytest.mark.e2e
@pytest.mark.parametrize("case", [c for c in cases() if c.id in _QUICK], ids=lambda c: c.id)
def test_the_quickest_are_what_they_say(case: Injected, place: Path) -> None:
    """It builds; broken, it fails; mended, it builds."""
    _in_three_ways(case, place)


@pytest.mark.failures
@pytest.mark.timeout(600)
@pytest.mark.parametrize("case", cases(), ids=lambda c: c.id)
def test_each_is_what_it_says(case: Injected, place: Path) -> None:
    """It builds; broken, it fails; mended, it builds."""
    _in_three_ways(case, place)


def test_the_diagnosis_reads_what_was_broken() -> None:
    """Of what they said, 95 % of the causes and 90 % of their facts are read rightly."""
    result = score(injected())
    assert result.cases >= 120
    assert result.right_share >= 0.95, result.misses
    assert result.wrong_share <= 0.03, result.misses
    assert result.facts_share >= 0.90, result.misses


def test_repairs_were_right_when_they_were_last_tried() -> None:
    """Three of four are mended; nothing is harmed, forbidden, or not put back, for anybody."""
    scores = fix_scores()
    alone = scores["to be mended alone"]
    assert alone.cases >= 100
    assert alone.fixed >= 0.75 * alone.cases, alone.misses
    for kind in scores.values():
        assert (kind.collateral, kind.not_restored, kind.forbidden, kind.harmed) == (0, 0, 0, 0)
        assert kind.by_hand >= 40 * kind.cases, "each was tried among files by hand"


def test_every_case_says_why_nobody_but_a_person_may_mend_it() -> None:
    """A case that is not to be repaired alone has a reason, and only such a one."""
    assert [c.id for c in cases() if c.autonomous == bool(c.why_not)] == []


def test_files_by_hand_stand_everywhere_and_are_missed(place: Path) -> None:
    """Whichever is removed, changed or closed is named, unless the journal tells of its place."""
    (place / "src/deep").mkdir(parents=True)
    (place / "src/deep/a.c").touch()
    (place / "vendor/module").mkdir(parents=True)
    (place / "build").mkdir()
    (place / "build/notes.md").write_text("was here before")
    planted = plant(place, ["build", "out/bin"])
    somewhere = {"src/deep/by_hand.o", "build/CMakeFiles/by_hand.txt", "out/bin/.by-hand"}
    assert somewhere | {".cyxmake/recovery/by-hand.txt", "target/by-hand.txt"} <= set(planted)
    assert "build/notes.md" not in planted
    assert not [name for name in planted if name.startswith("vendor/module/")]
    assert harmed(place, planted) == []
    (place / "src/deep/by_hand.o").unlink()
    (place / "build/by_hand.o").write_text("made by a compiler")
    (place / "a.out").chmod(0o755)
    shutil.rmtree(place / "node_modules")
    named = {name for name in planted if name.startswith("node_modules/")}
    others = {"src/deep/by_hand.o", "build/by_hand.o", "a.out"}
    assert set(harmed(place, planted)) == named | others
    assert set(harmed(place, planted, {"node_modules", "a.out"})) == others - {"a.out"}


@pytest.mark.failures
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "fixed"),
    [
        ("no-execute-bit-make", True),
        ("output-directory-make-redirect", True),
        ("submodule-make", True),
        ("gone-source-make", False),
    ],
)
def test_a_repair_changes_what_it_names_and_is_taken_back(
    name: str, fixed: bool, place: Path
) -> None:
    """Mended or told of; nothing else is touched, nothing forbidden, and undo is exact."""
    (case,) = cases(f"^{name}$")
    trial = try_to_fix(case, place, place.parent)
    assert trial.fixed is fixed, trial.sentence
    assert (trial.collateral, trial.not_restored, trial.forbidden) == ([], [], [])
    assert trial.by_hand >= 40
    assert trial.harmed == []
    assert trial.sentence.startswith("cyxmake: ")
