"""Random projects, random changes: our decisions and the real ninja's must be the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .random_project import RandomProject
from .shell_executor import (
    NINJA,
    VERSION,
    build,
    ninja_build,
    ninja_planned,
    planned,
)

pytestmark = pytest.mark.skipif(NINJA is None, reason="needs ninja")

# Later releases print a reason only for commands that start, and word some differently.
SAME_WORDS = VERSION.startswith("1.11")


def essential(reasons: set[str]) -> set[str]:
    # Ninja 1.11 says this twice, in two wordings, of a header that it met in two ways.
    doubled = ("phony edge with no inputs doesn't exist", "has no in-edge and is missing")
    return {reason for reason in reasons if not reason.endswith(doubled)}


def compare_plans(root: Path, targets: list[str], context: str) -> None:
    expected = ninja_planned(root, *targets)
    got = planned(root, *targets)
    if got.error.startswith("loading '"):
        # Which dyndep file is missed first is chance; ninja 1.13 forgives that in a dry run.
        return
    assert got.error == expected.error, context
    assert got.commands == expected.commands, context
    if SAME_WORDS:
        assert essential(got.reasons) == essential(expected.reasons), context


def check(root: Path, seed: int) -> None:
    root.mkdir()
    twin = root.with_name(f"{root.name}-twin")
    project = RandomProject(root, seed)
    story: list[str] = []
    for _ in range(4):
        targets = project.targets()
        context = f"seed {seed}, {story}, {targets}, {(root / 'build.ninja').read_text()}"
        compare_plans(root, targets, context)
        shutil.copytree(root, twin)
        ours = build(root, *targets)
        theirs = ninja_build(twin, *targets)
        assert sorted(ours.commands) == theirs.commands, context
        compare_plans(root, [], f"after our build, {context}")
        compare_plans(twin, [], f"after ninja's build, {context}")
        assert planned(root).commands == planned(twin).commands, f"after both, {context}"
        if project.random.random() < 0.5:
            shutil.rmtree(root)
            twin.rename(root)
            story.append("ninja built")
        else:
            shutil.rmtree(twin)
            story.append("we built")
        for _ in range(project.random.randint(1, 3)):
            story.append(project.change())


@pytest.mark.parametrize("block", range(10))
def test_we_decide_as_ninja_does(tmp_path: Path, block: int) -> None:
    """After random changes we run what ninja would run, and both then find the same left to do."""
    for seed in range(block * 4, block * 4 + 4):
        check(tmp_path / str(seed), seed)


@pytest.mark.e2e
def test_we_decide_as_ninja_does_at_length(tmp_path: Path) -> None:
    """The same, over many more projects."""
    for seed in range(1000, 1080):
        check(tmp_path / str(seed), seed)
