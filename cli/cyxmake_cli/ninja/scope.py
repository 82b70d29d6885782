"""Variables: templates parsed once and expanded late, scopes that look outward, rules.

Knows nothing of edges; `$in` and `$out` are the edge's business.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias

Template: TypeAlias = tuple[str, ...]
"""Text, name, text, name, ..., text: the names stand at odd places."""

EMPTY: Final[Template] = ("",)

RESERVED: Final = frozenset(
    {
        "command",
        "depfile",
        "deps",
        "description",
        "dyndep",
        "generator",
        "msvc_deps_prefix",
        "pool",
        "restat",
        "rspfile",
        "rspfile_content",
    }
)
"""The only variables that a rule may bind."""

_ESCAPE: Final = re.compile(
    r"\$(?:\{([a-zA-Z0-9_.-]+)\}|([a-zA-Z0-9_-]+)|([$ :])|\r?\n *)",
)


class BadEscape(ValueError):
    """A `$` is followed by something that means nothing; `offset` says where."""

    def __init__(self, offset: int) -> None:
        super().__init__("bad $-escape (literal $ must be written as $$)")
        self.offset = offset


def parse_template(raw: str) -> Template:
    """Split raw manifest text into text and variable names; raises BadEscape."""
    if "$" not in raw:
        return (raw,)
    parts: list[str] = []
    text, position = "", 0
    while (dollar := raw.find("$", position)) >= 0:
        match = _ESCAPE.match(raw, dollar)
        if match is None:
            raise BadEscape(dollar)
        text += raw[position:dollar]
        name = match[1] or match[2]
        if name:
            parts += (text, name)
            text = ""
        elif match[3]:
            text += match[3]
        position = match.end()
    parts.append(text + raw[position:])
    return tuple(parts)


def expand(template: Template, lookup: Callable[[str], str]) -> str:
    """Return the template's text with every variable replaced."""
    if len(template) == 1:
        return template[0]
    pieces = list(template)
    pieces[1::2] = map(lookup, template[1::2])
    return "".join(pieces)


class Rule:
    """A named recipe: variables whose templates are expanded for each edge."""

    __slots__ = ("bindings", "name")

    def __init__(self, name: str, bindings: dict[str, Template] | None = None) -> None:
        self.name = name
        self.bindings: dict[str, Template] = {} if bindings is None else bindings

    def __repr__(self) -> str:
        return f"Rule({self.name}: {', '.join(sorted(self.bindings))})"


PHONY: Final = Rule("phony")
"""The built-in rule of edges that only give names to their inputs."""


class Scope:
    """Variables and rules of one file or one edge, looked up outward through the parents."""

    __slots__ = ("bindings", "parent", "rules")

    def __init__(self, parent: Scope | None = None) -> None:
        self.bindings: dict[str, str] = {}
        self.rules: dict[str, Rule] = {}
        self.parent = parent

    def __repr__(self) -> str:
        return f"Scope({len(self.bindings)} variables, {len(self.rules)} rules)"

    def lookup(self, name: str) -> str:
        """Return a variable's value; an unknown variable is empty."""
        scope: Scope | None = self
        while scope is not None:
            value = scope.bindings.get(name)
            if value is not None:
                return value
            scope = scope.parent
        return ""

    def lookup_rule(self, name: str) -> Rule | None:
        """Return the innermost rule of that name."""
        scope: Scope | None = self
        while scope is not None:
            rule = scope.rules.get(name)
            if rule is not None:
                return rule
            scope = scope.parent
        return None
