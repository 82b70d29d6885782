"""Finds plug-ins among the installed packages, loads them, and leaves out those that are broken.

Knows what each group has to be, not what is done with it. Nothing is imported before somebody
needs that group; what goes wrong in a plug-in is told once, by its name, and ends nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

_told: set[str] = set()


class Group(StrEnum):
    """What a plug-in can be: the group of its entry point."""

    TOOL = "cyxmake.tools"
    RULES = "cyxmake.rules"
    PROVIDER = "cyxmake.providers"
    HOOK = "cyxmake.hooks"
    COMMAND = "cyxmake.commands"


@dataclass(frozen=True, slots=True)
class Plugin:
    """One plug-in; `problem` says why it is left out, empty: `value` is what it brings."""

    group: Group
    name: str
    package: str
    value: Any = None
    problem: str = ""

    @property
    def warning(self) -> str:
        """Return what a person is told of a broken one."""
        return f"plug-in {self.name} of {self.package} is left out: {self.problem}"


def names(group: Group) -> tuple[str, ...]:
    """Return the names of a group's plug-ins; nothing is loaded."""
    return tuple(dict.fromkeys(point.name for point in _points(group)))


@cache
def load(group: Group) -> tuple[Plugin, ...]:
    """Load the plug-ins of a group, broken ones included; of two with one name the second is."""
    found: dict[str, Plugin] = {}
    twice = []
    for point in _points(group):
        plugin = _load(group, point)
        if point.name in found:
            problem = f"{found[point.name].package} has one of that name"
            twice.append(Plugin(group, plugin.name, plugin.package, None, problem))
        else:
            found[point.name] = plugin
    return (*found.values(), *twice)


def good(group: Group, taken: Iterable[str] = ()) -> Mapping[str, Any]:
    """Return what a group's plug-ins bring, by name; the broken are told of and left out.

    `taken` are names of ours, which a plug-in cannot have.
    """
    ours = frozenset(taken)
    usable = {}
    for plugin in load(group):
        if plugin.name in ours:
            tell(f"plug-in {plugin.name} of {plugin.package} is left out: the name is taken")
        elif plugin.problem:
            tell(plugin.warning)
        else:
            usable[plugin.name] = plugin.value
    return usable


def tell(text: str) -> None:
    """Warn of something, once."""
    if text not in _told:
        _told.add(text)
        print(f"cyxmake: {text}", file=sys.stderr)  # noqa: T201


def _points(group: Group) -> list[EntryPoint]:
    return sorted(entry_points(group=group.value), key=lambda point: (point.name, _package(point)))


def _package(point: EntryPoint) -> str:
    found = point.dist
    return f"{found.name} {found.version}" if found is not None else "an unknown package"


def _load(group: Group, point: EntryPoint) -> Plugin:
    package = _package(point)
    try:
        value = _CHECKS[group](point.name, point.load())
    except (Exception, SystemExit) as error:  # whatever somebody else's module does
        said = " ".join(str(error).split())[:300]
        problem = f"{type(error).__name__}: {said}" if said else type(error).__name__
        return Plugin(group, point.name, package, None, problem)
    return Plugin(group, point.name, package, value)


def _tool(name: str, value: object) -> object:
    from cyxmake_cli.tools.table import Tool

    if not isinstance(value, Tool) or value.name != name or not value.programs:
        raise TypeError(f"a cyxmake_cli.tools.table.Tool called {name!r} is wanted")
    return value


def _rules(name: str, value: object) -> object:
    from cyxmake_common.diagnosis.rules import parse_rules, prove

    if not isinstance(value, str):
        raise TypeError("the text of a TOML file with [[rule]] tables is wanted")
    found = parse_rules(name, value)
    for rule, examples in found:
        prove(rule, examples)
    return tuple(rule for rule, _ in found)


def _callable(name: str, value: object) -> object:
    if not callable(value):
        raise TypeError("something that can be called is wanted")
    return value


def _command(name: str, value: object) -> object:
    import click

    if not isinstance(value, click.Command):
        raise TypeError("a click.Command is wanted")
    return value


_CHECKS: Final[dict[Group, Callable[[str, object], object]]] = {
    Group.TOOL: _tool,
    Group.RULES: _rules,
    Group.PROVIDER: _callable,
    Group.HOOK: _callable,
    Group.COMMAND: _command,
}
