"""Execution requests: what follows from an action."""

from __future__ import annotations

import pytest

from cyxmake_common.action import TOOLCHAIN, Action, Command
from cyxmake_common.digest import EMPTY, Digest
from cyxmake_common.errors import ProtocolError
from cyxmake_common.execution.executor import ExecutionRequest

COMMAND = Command(("cc",))


def _action(toolchain: str) -> Action:
    return Action(Digest.of(COMMAND.to_bytes()), EMPTY, platform=((TOOLCHAIN, toolchain),))


def test_the_digest_of_a_request_is_the_digest_of_its_action() -> None:
    """A request names its action by content."""
    action = _action(str(EMPTY))
    request = ExecutionRequest.of(action, COMMAND)
    assert request.digest == Digest.of(action.to_bytes())
    assert request.toolchain == EMPTY


def test_an_action_may_have_no_toolchain() -> None:
    """Without the property the input root stands alone."""
    assert ExecutionRequest.of(Action(EMPTY, EMPTY), COMMAND).toolchain is None


def test_a_toolchain_that_is_no_digest_is_a_protocol_error() -> None:
    """Garbage in the property is refused where it is read."""
    with pytest.raises(ProtocolError, match="cyxmake-toolchain"):
        _ = ExecutionRequest.of(_action("gcc"), COMMAND).toolchain
