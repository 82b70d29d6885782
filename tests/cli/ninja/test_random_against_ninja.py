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


def compare_plans(root: Path, targets: list[str], context: str) -> None:
    expected = ninja_planned(root, *targets)
    got = planned(root, *targets)
    assert got.commands == expected.commands, context
    if SAME_WORDS:
        assert got.reasons == expected.reasons, context


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
    for seed in range(1000, 1200):
        check(tmp_path / str(seed), seed)
