"""What a whole project needs of a worker, and what is said when none has it."""

from __future__ import annotations

import pytest

from cyxmake_cli.strategies.whole_project import (
    Offer,
    Refusal,
    Target,
    needs_network,
    parse_platform,
    requirements,
    steps_of,
    wanted,
)
from cyxmake_cli.systems.model import SystemName, Verb
from cyxmake_cli.systems.plan import PlannedCommand
from cyxmake_cli.systems.table import SYSTEMS
from cyxmake_common.action import ISA, OS_FAMILY
from cyxmake_common.compound import ALLOWED, NETWORK, TOOL
from cyxmake_common.platform import os_family

LINUX = Target("linux", "x86-64")
CARGO, CMAKE = SYSTEMS[SystemName.CARGO], SYSTEMS[SystemName.CMAKE]


def offer(name: str, *tools: str, network: bool = False, target: Target = LINUX) -> Offer:
    """Return a worker that has some tools."""
    found = {*target.properties(), *((TOOL, tool) for tool in tools)}
    return Offer(name, frozenset(found | {(NETWORK, ALLOWED)} if network else found))


def test_a_worker_must_have_one_tool_of_each_group() -> None:
    """Of several that would do, the one that most able workers have is asked for."""
    able = [offer("a", "cmake", "make", "gcc", "cc"), offer("b", "cmake", "make", "ninja", "gcc")]
    found = requirements(CMAKE, (Verb.BUILD,), LINUX, able, network=False)
    assert found == (
        (ISA, "x86-64"), (OS_FAMILY, "linux"), (TOOL, "cmake"), (TOOL, "gcc"), (TOOL, "make"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("offers", "network", "said"),
    [
        ([], False, "no worker is connected"),
        ([offer("a", "cargo", "rustc", target=Target("windows", "x86-64"))], False,
         "no worker is linux x86-64; the cluster has windows x86-64"),
        ([offer("a", "rustc"), offer("b")], False, "no worker has cargo"),
        ([offer("a", "rustc"), offer("b", "cargo")], False,
         "no worker has all that is needed: a lacks cargo; b lacks rustc"),
        ([offer("a", "cargo", "rustc"), offer("b", network=True)], True, "allows the network"),
    ],
)  # fmt: skip
def test_what_no_worker_can_do_is_refused_with_what_is_missing(
    offers: list[Offer], network: bool, said: str
) -> None:
    """The message names the tool, the platform or the setting."""
    found = requirements(CARGO, (Verb.BUILD,), LINUX, offers, network=network)
    assert isinstance(found, Refusal)
    assert said in found.message
    assert found.next_step


def test_the_network_is_asked_for_where_the_tool_fetches() -> None:
    """Package managers need it when the project depends on something, compilers never."""
    assert needs_network(CARGO, depends=True)
    assert not needs_network(CARGO, depends=False)
    assert not needs_network(CMAKE, depends=True)
    assert needs_network(SYSTEMS[SystemName.MAVEN], depends=False)
    able = [offer("a", "cargo", "rustc"), offer("b", "cargo", "rustc", network=True)]
    found = requirements(CARGO, (Verb.BUILD,), LINUX, able, network=True)
    assert not isinstance(found, Refusal)
    assert (NETWORK, ALLOWED) in found


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("arm64-linux", Target("linux", "arm-a64")),
        ("linux/amd64", Target("linux", "x86-64")),
        ("x64-windows", Target("windows", "x86-64")),
        ("macos-arm64", Target("macos", "arm-a64")),
        ("aarch64", Target(os_family(), "arm-a64")),
        ("vax", None),
        ("linux-windows", None),
    ],
)
def test_platforms_are_understood_in_their_usual_spellings(
    text: str, target: Target | None
) -> None:
    """Either order and the common names; what is no platform is none."""
    assert parse_platform(text) == target


def test_steps_follow_each_other_and_products_are_known() -> None:
    """Commands run one after another; what comes back follows from the build system."""
    commands = [PlannedCommand(Verb.BUILD, ("a",), "/p"), PlannedCommand(Verb.TEST, ("b",), "/p")]
    assert [step.after for step in steps_of(commands)] == [(), (0,)]
    assert wanted(CMAKE, "build", ()).products
    assert wanted(CMAKE, "build", ()).patterns == ("build/**",)
    assert wanted(CARGO, "target", ()).patterns[0] == "target/debug/*"
    assert wanted(CMAKE, "build", ("out/*",)).patterns == ("out/*",)
