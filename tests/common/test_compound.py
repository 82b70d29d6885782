"""The plan of an action of several commands, as it travels."""

from __future__ import annotations

import pytest

from cyxmake_common.action import ActionResult, OutputSymlink
from cyxmake_common.compound import (
    Compound,
    Ended,
    Step,
    Wanted,
    decode_ended,
    encode_ended,
)
from cyxmake_common.errors import ProtocolError


def test_a_plan_comes_back_as_it_was_sent() -> None:
    """Every field survives, and the bytes are always the same."""
    plan = Compound(
        (Step(("cc", "-c", "ä.c"), "/p", {"CC": "gcc"}), Step(("ld",), "/p", {}, (0,))),
        host_tools=True,
        network=True,
        own="/p",
        times={"a.c": 5},
        wanted=Wanted(("**",), ("x",), products=True),
        apart=True,
    )
    assert Compound.from_bytes(plan.to_bytes()) == plan
    assert plan.to_bytes() == Compound.from_bytes(plan.to_bytes()).to_bytes()
    ended = (Ended(1, 0.5, "\xff"), Ended(-1))
    assert decode_ended(encode_ended(ended)) == ended


@pytest.mark.parametrize(
    "steps",
    [(), (Step((), "/"),), (Step(("a",), "/", {}, (0,)),), (Step(("a",), "/", {}, (-1,)),)],
)
def test_a_malformed_plan_is_refused(steps: tuple[Step, ...]) -> None:
    """No steps, no command, and steps that wait for themselves or for later ones are none."""
    with pytest.raises(ProtocolError):
        Compound.from_bytes(Compound(steps).to_bytes())
    with pytest.raises(ProtocolError):
        Compound.from_bytes(b"{")


def test_links_are_part_of_a_result() -> None:
    """A result's symbolic links survive its encoding."""
    result = ActionResult(0, symlinks=(OutputSymlink("lib/a.so", "a.so.1"),))
    assert ActionResult.from_bytes(result.to_bytes()) == result
