"""The tools of the table with those of plug-ins."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from cyxmake_cli.plugins.load import Group, good
from cyxmake_cli.tools.table import TOOLS, Tool


@cache
def known_tools() -> Mapping[str, Tool]:
    """Return every tool by name; the table's own cannot be replaced."""
    return {**TOOLS, **good(Group.TOOL, TOOLS)}
