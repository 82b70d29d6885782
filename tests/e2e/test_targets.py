"""Strategy targets: a target's compiles and its link as one action, with the bytes of ninja."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import link_project
from support.builds import configure, nothing_to_do, products, recorded_dependencies, run
from support.processes import Cluster, cluster

CMAKE = ("cmake", "-S", "{source}", "-B", "{build}", "-G", "Ninja")
TARGETS = ("--strategy", "targets")


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A coordinator and two workers."""
    with cluster(tmp_path_factory.mktemp("targets")) as made:
        yield made


def executed(made: Cluster) -> int:
    """Return how many actions the workers have run so far."""
    texts = [worker.text() for worker in made.workers.values()]
    return sum(len(re.findall(r"\bexecuted\b", text)) for text in texts)


def test_a_target_is_one_action(workers: Cluster, calculator: Path) -> None:
    """Objects, depfiles and programs are ninja's, made by one action for each target."""
    build = calculator / "build"
    configure(CMAKE, calculator, build)
    run(["ninja", "-C", str(build)])
    wanted, depends = products(build), sorted(recorded_dependencies(build).split("\n\n"))
    configure(CMAKE, calculator, build)
    before = executed(workers)
    done = workers.build(calculator, "-v", *TARGETS)
    assert done.status == 0, done.output + done.errors
    assert products(build) == wanted
    assert sorted(recorded_dependencies(build).split("\n\n")) == depends
    assert nothing_to_do(build)
    assert done.summary["remote"] >= 7, done.output
    assert executed(workers) - before < done.summary["remote"], done.output
    assert done.summary["failed"] == 0


def test_the_same_target_again_comes_from_the_cache(workers: Cluster, calculator: Path) -> None:
    """The action of a target is a key: a wiped directory is filled without running anything."""
    build = calculator / "build"
    first = workers.build(calculator, *TARGETS)
    assert first.status == 0, first.output
    wanted = products(build)
    shutil.rmtree(build)
    before = executed(workers)
    again = workers.build(calculator, "-v", *TARGETS)
    assert products(build) == wanted
    assert executed(workers) == before, again.output
    header = next((calculator / "include").rglob("*.h"))
    header.write_text(header.read_text() + "\nint changed_by_test(void);\n")
    changed = workers.build(calculator, "-v", *TARGETS)
    assert changed.status == 0
    assert executed(workers) > before
    assert nothing_to_do(build)


def test_every_kind_of_link(workers: Cluster, tmp_path: Path) -> None:
    """Shared libraries, archives of all kinds, LTO: all outputs equal ninja's; some stay away."""
    root = tmp_path.resolve() / "links"
    outputs = link_project.write(root)
    run(["ninja", "-C", str(root)])
    wanted = {name: (root / name).read_bytes() for name in outputs}
    shutil.rmtree(root / "out")
    done = workers.build(root, "-v", *TARGETS, "--download", "toplevel")
    assert done.status == 0, done.output + done.errors
    different = [name for name in outputs if (root / name).read_bytes() != wanted[name]]
    assert not different, done.output
    assert workers.build(root, *TARGETS, "--download", "toplevel").summary["actions"] == 0


def test_a_compile_that_fails_is_said_by_the_compiler_here(
    workers: Cluster, calculator: Path
) -> None:
    """One bad source fails the build with its own message; the other objects are kept."""
    source = calculator / "src/parse.c"
    text = source.read_text()
    source.write_text(text + "\nint broken = ;\n")
    done = workers.build(calculator, "-v", *TARGETS)
    assert done.status == 1
    assert "broken = ;" in done.output
    assert (calculator / "build/CMakeFiles/calc.dir/src/table.c.o").exists()
    source.write_text(text)
    fixed = workers.build(calculator, *TARGETS)
    assert fixed.status == 0, fixed.output
    assert nothing_to_do(calculator / "build")
