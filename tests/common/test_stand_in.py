"""Who fits an action whose toolchain another machine's own tool may stand in for."""

from __future__ import annotations

import pytest

from cyxmake_common.action import ISA, OS_FAMILY
from cyxmake_common.stand_in import STAND_IN, lacking, stands_in

LINUX = ((ISA, "x86-64"), (OS_FAMILY, "linux"))
ARM = ((ISA, "arm-a64"), (OS_FAMILY, "linux"))
ZIG, OLDER = (STAND_IN, "zig 0.17.1"), (STAND_IN, "zig 0.16.0")
GPU = ("gpu", "yes")


@pytest.mark.parametrize(
    ("required", "offered", "absent"),
    [
        ((*LINUX, ZIG), LINUX, ()),
        ((*LINUX, ZIG), (*ARM, ZIG), ()),
        ((*LINUX, ZIG), ARM, ((ISA, "x86-64"),)),
        ((*LINUX, ZIG), (*ARM, OLDER), ((ISA, "x86-64"),)),
        (LINUX, (*ARM, ZIG), ((ISA, "x86-64"),)),
        ((*LINUX, ZIG, GPU), (*ARM, ZIG), (GPU,)),
    ],
)
def test_a_stand_in_replaces_the_machine_and_nothing_else(
    required: tuple[tuple[str, str], ...],
    offered: tuple[tuple[str, str], ...],
    absent: tuple[tuple[str, str], ...],
) -> None:
    """Only the very same tool makes up for another processor, and only where it is named."""
    assert lacking(required, offered) == frozenset(absent)


def test_a_worker_of_the_right_kind_does_not_stand_in() -> None:
    """Its own copy of the tool is of no interest: it gets the toolchain itself."""
    assert not stands_in((*LINUX, ZIG), (*LINUX, ZIG))
    assert stands_in((*LINUX, ZIG), (*ARM, ZIG))
