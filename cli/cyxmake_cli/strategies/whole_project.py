"""Whole-project: which commands build a project on one worker, what it must have, what comes back.

Knows words only: which workers there are and what the project looks like is handed in. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from cyxmake_cli.systems.model import SystemName, SystemSpec, Verb
from cyxmake_cli.systems.plan import PlannedCommand
from cyxmake_common.action import ISA, OS_FAMILY, Properties
from cyxmake_common.compound import ALLOWED, NETWORK, TOOL, Step, Wanted
from cyxmake_common.platform import is_processor, isa, os_family

_FETCHES: Final = frozenset((
    SystemName.CARGO, SystemName.GO, SystemName.MAVEN, SystemName.GRADLE, SystemName.NPM,
    SystemName.YARN, SystemName.PNPM, SystemName.PYTHON, SystemName.BAZEL,
))  # fmt: skip
"""Systems that get what a project depends on by the network."""

_NATIVE: Final = frozenset((
    SystemName.CMAKE, SystemName.MESON, SystemName.AUTOTOOLS, SystemName.MAKE, SystemName.NINJA,
    SystemName.SCONS,
))  # fmt: skip
"""Systems whose products can stand anywhere: they are known by what they are."""

_LEFT_OUT: Final = (
    "**/CMakeFiles/**", "**/meson-private/**", "**/conftest*", "**/autom4te.cache/**",
)  # fmt: skip

_PRODUCTS: Final = frozenset((SystemName.CARGO, SystemName.GO))

PASSED_ON: Final = (
    "AR", "CC", "CFLAGS", "CGO_ENABLED", "CPPFLAGS", "CXX", "CXXFLAGS", "GOARCH", "GOFLAGS", "GOOS",
    "LC_ALL", "LDFLAGS", "LIBS", "MAVEN_OPTS", "NODE_ENV", "RUSTFLAGS", "SOURCE_DATE_EPOCH", "TZ",
)  # fmt: skip
"""Variables of whoever builds that its tools are to see; all others stay here."""

_SPELLINGS: Final = {"x64": "x86_64", "x86-64": "x86_64", "mac": "darwin", "windows": "win32"}


@dataclass(frozen=True, slots=True)
class Offer:
    """A live worker, by what it offers."""

    name: str
    properties: frozenset[tuple[str, str]]

    def tools(self) -> frozenset[str]:
        """Return the programs that actions can ask for."""
        return frozenset(value for name, value in self.properties if name == TOOL)

    def get(self, name: str) -> str:
        """Return the value of a property, or nothing."""
        return next((value for key, value in self.properties if key == name), "")


@dataclass(frozen=True, slots=True)
class Target:
    """The machine to build for and on."""

    os: str
    isa: str

    def __str__(self) -> str:
        return f"{self.os} {self.isa}"

    def properties(self) -> Properties:
        """Return the properties that a worker must offer."""
        return ((ISA, self.isa), (OS_FAMILY, self.os))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no live worker can build the project, and what could be done."""

    message: str
    next_step: str


def parse_platform(text: str | None) -> Target | None:
    """Read `arm64-linux`, `linux-arm64`, `x64-windows`; None is this machine, or no platform.

    A processor alone is one with this machine's system.
    """
    if text is None:
        return Target(os_family(), isa())
    words = [_SPELLINGS.get(word, word) for word in text.lower().replace("/", "-").split("-")]
    systems = [word for word in words if os_family(word) in ("linux", "macos", "windows")]
    others = [word for word in words if word not in systems]
    if not systems and len(others) == 1 and is_processor(others[0]):
        return Target(os_family(), isa(others[0]))
    if len(systems) != 1 or len(others) != 1:
        return None
    return Target(os_family(systems[0]), isa(others[0]))


def needs_network(spec: SystemSpec, depends: bool) -> bool:
    """Tell whether a project has to fetch what it depends on; `depends`: it names something."""
    return spec.name in _FETCHES and (depends or spec.name in (SystemName.MAVEN, SystemName.GRADLE))


def steps_of(commands: Sequence[PlannedCommand]) -> tuple[Step, ...]:
    """Return the commands as steps, each after the one before."""
    return tuple(
        Step(c.argv, c.cwd, dict(c.environment), (number - 1,) if number else ())
        for number, c in enumerate(commands)
    )


def wanted(spec: SystemSpec, build: str, chosen: Sequence[str]) -> Wanted:
    """Return what comes back: what somebody chose, else what the build system makes.

    `build` is where it builds, relative to the project; empty for the project itself.
    """
    if chosen:
        return Wanted(tuple(chosen))
    prefix = f"{build}/" if build else ""
    if spec.name in _NATIVE:
        return Wanted((f"{prefix}**",), _LEFT_OUT, products=True)
    patterns = tuple(prefix + pattern for pattern in spec.artefacts)
    return Wanted(patterns, products=spec.name in _PRODUCTS)


def requirements(
    spec: SystemSpec,
    verbs: Collection[Verb],
    target: Target,
    offers: Sequence[Offer],
    *,
    network: bool,
    provided: Collection[str] = (),
) -> Properties | Refusal:
    """Return what a worker must offer so that it can build this, or why none does.

    `provided` are programs that the project brings itself.
    """
    if not offers:
        return Refusal("no worker is connected", "start one: cyxmake-worker --token TOKEN")
    fitting = [o for o in offers if set(target.properties()) <= o.properties]
    if not fitting:
        there = sorted({f"{o.get(OS_FAMILY)} {o.get(ISA)}" for o in offers if o.get(OS_FAMILY)})
        return Refusal(
            f"no worker is {target}; the cluster has {', '.join(there) or 'none that builds'}",
            "start a worker there, or choose another --platform",
        )
    groups = [g for g in spec.tools if not any(name in provided for name in g)]
    able = [o for o in fitting if all(_choose(group, [o]) for group in groups)]
    if not able:
        return Refusal(_lacking(groups, fitting), "install it on a worker and start that again")
    if network and not any(o.get(NETWORK) == ALLOWED for o in able):
        return Refusal(
            f"no worker that could build this allows the network, which {spec.title} needs "
            "to fetch what the project depends on",
            "start a worker with --allow-network (its setting allow_network), "
            "or say --no-network if everything stands in the project",
        )
    if network:
        able = [o for o in able if o.get(NETWORK) == ALLOWED]
    tools = {_choose(group, able) for group in groups} - {""}
    named = [(TOOL, name) for name in tools]
    if network:
        named.append((NETWORK, ALLOWED))
    return tuple(sorted((*target.properties(), *named)))


def tools_at_hand(target: Target, offers: Sequence[Offer]) -> frozenset[str]:
    """Return the programs that some worker of a platform has."""
    fitting = [o.tools() for o in offers if set(target.properties()) <= o.properties]
    return frozenset().union(*fitting)


def _choose(group: Sequence[str], offers: Sequence[Offer]) -> str:
    """Return the program of a group that most workers have; the earlier of equals, or nothing."""
    counts = {name: sum(name in offer.tools() for offer in offers) for name in group}
    best = max(group, key=lambda name: counts[name])
    return best if counts[best] else ""


def _lacking(groups: Sequence[Sequence[str]], offers: Sequence[Offer]) -> str:
    """Say what is missing: everywhere, or on each worker something else."""
    nowhere = [group for group in groups if not _choose(group, offers)]
    if nowhere:
        return f"no worker has {' and '.join(' or '.join(group) for group in nowhere)}"
    each = (
        f"{o.name} lacks " + ", ".join(" or ".join(g) for g in groups if not _choose(g, [o]))
        for o in offers
    )
    return f"no worker has all that is needed: {'; '.join(each)}"
