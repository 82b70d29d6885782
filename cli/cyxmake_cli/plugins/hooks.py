"""Tells hooks of plug-ins what happens in a build.

A hook is called with an event and a document; what it returns counts for nothing, and what goes
wrong in it is told and ends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from cyxmake_cli.plugins.present import may_be_present


class Event(StrEnum):
    """What hooks are told of."""

    STARTED = "started"
    """Something is to be built, tested or installed: `command`, `system`, `source`."""
    ENDED = "ended"
    """It has ended: the JSON document of the command."""


def happened(event: Event, document: Mapping[str, Any]) -> None:
    """Call every hook; each gets a document of its own."""
    if not may_be_present("cyxmake.hooks"):
        return
    from cyxmake_cli.plugins.load import Group, good, tell

    for name, hook in good(Group.HOOK).items():
        try:
            hook(event.value, dict(document))
        except (Exception, SystemExit) as error:  # whatever somebody else's code does
            tell(f"hook {name} failed: {type(error).__name__}: {error}")
