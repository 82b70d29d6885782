"""Which worker fits an action: one that offers all it asks for, or whose own tool stands in.

Knows no files. A toolchain's programs run on one kind of machine, which the action names by
OSFamily and ISA; a tool that gives the same bytes on every machine is named beside them, and a
worker of another kind that has the very same one may run the action, too.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from cyxmake_common.action import ISA, OS_FAMILY

STAND_IN: Final = "stand-in"
"""Property: a tool, with its version, whose output does not depend on where it runs."""

Property = tuple[str, str]

_HOST: Final = (ISA, OS_FAMILY)
_TEXT: Final = "; "


def lacking(required: Collection[Property], offered: Collection[Property]) -> frozenset[Property]:
    """Return what a worker lacks for an action; empty when it fits.

    A stand-in is never required: it only is another way to fit.
    """
    named = {pair for pair in required if pair[0] == STAND_IN}
    absent = frozenset(required) - named - frozenset(offered)
    if not named.isdisjoint(offered):
        return frozenset(pair for pair in absent if pair[0] not in _HOST)
    return absent


def stands_in(required: Collection[Property], offered: Collection[Property]) -> bool:
    """Tell whether a worker that fits does so by a tool of its own only."""
    here = frozenset(offered)
    return any(pair[0] in _HOST and pair not in here for pair in required)


def with_text(name: str, text: str) -> str:
    """Return the value of a tool whose output holds a text of its own, such as its packager."""
    return f"{name}{_TEXT}{text}"


def text_hint(required: Collection[Property], offered: Collection[Property]) -> str:
    """Return how a worker would fit whose tool differs in its text only; else nothing."""
    for pair in required:
        name, said, _ = pair[1].partition(_TEXT)
        if pair[0] == STAND_IN and said and pair not in offered and (STAND_IN, name) in offered:
            return (
                f"its own {name} differs in the version text of .comment only: "
                "with -fno-ident, or build.no_ident = true, it could do this"
            )
    return ""
