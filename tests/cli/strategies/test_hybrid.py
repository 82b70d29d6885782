"""Targets of a plan, and whether hybrid does them together."""

from __future__ import annotations

from pathlib import Path

import pytest

from cyxmake_cli.ninja.disk import RealDisk
from cyxmake_cli.ninja.graph import Edge
from cyxmake_cli.ninja.session import BuildGraph, Options
from cyxmake_cli.settings import Strategy
from cyxmake_cli.strategies.hybrid import choose, cluster_size, whole_because
from cyxmake_cli.strategies.targets import Group, Part, combine, plan_groups
from cyxmake_cli.systems.model import SystemName

NINJA = """
rule cc
  command = gcc -c $in -o $out
rule link
  command = gcc $in -o $out
rule gen
  command = ./gen $in $out
build a.o: cc a.c
build b.o: cc b.c
build shared.o: cc shared.c
build app: link a.o b.o shared.o
build c.o: cc c.c
build d.o: cc d.c
build both: phony c.o d.o
build other: link both shared.o
build e.o: cc e.c
build single: link e.o
build table: gen e.o
build f1.o: cc f1.c
build f2.o: cc f2.c
build f3.o: cc f3.c
build f4.o: cc f4.c
build f5.o: cc f5.c
build f6.o: cc f6.c
build large: link f1.o f2.o f3.o f4.o f5.o f6.o
"""
SOURCES = ("a", "b", "c", "d", "e", "shared", "f1", "f2", "f3", "f4", "f5", "f6")


@pytest.fixture
def groups(tmp_path: Path) -> tuple[Group, ...]:
    """Return the targets of a plan in which everything is dirty."""
    (tmp_path / "build.ninja").write_text(NINJA)
    for name in SOURCES:
        (tmp_path / f"{name}.c").write_text("")
    graph = BuildGraph.load(RealDisk(str(tmp_path)), Options())
    assert graph.plan()
    found = plan_groups(graph.wanted())
    graph.close()
    return found


def names(group: Group) -> tuple[str, list[str]]:
    """Return a target's link and compiles by their outputs."""
    return group.link.outputs[0].path, sorted(e.outputs[0].path for e in group.compiles)


def test_a_target_has_what_nothing_else_wants(groups: tuple[Group, ...]) -> None:
    """Shared objects and those that a generator reads stay alone; phony names are seen through."""
    assert sorted(map(names, groups)) == [
        ("app", ["a.o", "b.o"]),
        ("large", ["f1.o", "f2.o", "f3.o", "f4.o", "f5.o", "f6.o"]),
        ("other", ["c.o", "d.o"]),
    ]


def test_the_link_waits_for_all_compiles() -> None:
    """Compiles run at one time; outputs are named from the root."""
    parts = [Part(("cc", name), "/p/b", (("A", "1"),), (f"{name}.o",)) for name in ("a", "../b")]
    compound, outputs = combine(parts, Part(("ld",), "/p/b", (), ("app",)))
    assert [step.after for step in compound.steps] == [(), (), (0, 1)]
    assert outputs == ("p/b/a.o", "p/b.o", "p/b/app")
    assert compound.apart
    assert compound.keep_going


def decide(groups: tuple[Group, ...], seconds: float | None, *slots: int) -> set[str]:
    """Return the targets that go together when every compile takes so long."""

    def took(edge: Edge) -> float | None:
        return seconds

    found = choose(groups, took, cluster_size(slots))
    assert all(decision.reason for decision in found)
    together = {d.group.link.outputs[0].path for d in found if d.strategy is Strategy.TARGETS}
    alone = {d.strategy for d in found} - {Strategy.TARGETS}
    assert alone <= {Strategy.COMPILE_UNITS}
    return together


def test_short_compiles_of_one_worker_go_together(groups: tuple[Group, ...]) -> None:
    """What each compile costs beside the compiler is saved; long ones gain nothing."""
    assert decide(groups, 0.05, 4) == {"large"}
    assert decide(groups, 5.0, 4) == set()


def test_a_target_of_two_compiles_saves_nothing(groups: tuple[Group, ...]) -> None:
    """An action of several commands costs about what two of one each do."""
    small = tuple(group for group in groups if len(group.compiles) == 2)
    assert len(small) == 2
    assert decide(small, 0.01, 4) == set()


def test_many_workers_share_a_target(groups: tuple[Group, ...]) -> None:
    """With far more slots than one worker has, a target is spread over all of them."""
    assert decide(groups, 1.0, *[2] * 16) == set()


def test_what_is_not_known_goes_one_by_one(groups: tuple[Group, ...]) -> None:
    """Without history, or without workers, nothing is done otherwise than by default."""
    assert decide(groups, None, 4) == set()
    assert decide(groups, 0.05) == set()


def test_projects_without_a_graph_are_built_whole() -> None:
    """A package manager's project is one action, as is a build for another platform."""
    assert whole_because(SystemName.CARGO, elsewhere=False)
    assert not whole_because(SystemName.CMAKE, elsewhere=False)
    assert whole_because(SystemName.CMAKE, elsewhere=True)
    assert not whole_because(None, elsewhere=False)
