"""Talks to the process that agents live in, and starts it where that is wanted.

Knows nothing of what agents do.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from time import sleep
from typing import Any, Final

from cyxmake_cli.agents.home import LOG, Home
from cyxmake_common.clock import monotonic
from cyxmake_common.errors import CyxError, ExitStatus, ProjectError

_START_SECONDS: Final = 20.0
_TALK_SECONDS: Final = 30.0
_MODULE: Final = "cyxmake_cli.agents.resident"


class AgentError(CyxError):
    """What the agents' process answered instead of doing it."""

    code = "agent"

    def __init__(self, message: str, next_step: str, status: int) -> None:
        super().__init__(message, next_step=next_step)
        # The class has one status, an answer brings its own.
        self.exit_status = ExitStatus(status)  # type: ignore[misc]


def tell(root: Path, do: str, within: float = _TALK_SECONDS, **facts: Any) -> Any:
    """Have the agents of a project do something; raises CyxError."""
    try:
        return _talk(Home.of(root), {"do": do, **facts}, within)
    except (FileNotFoundError, ConnectionRefusedError):
        raise ProjectError(
            f"no agents are at work in {root}", next_step="start one: `cyxmake agent spawn build`"
        ) from None
    except OSError as error:
        raise ProjectError(f"the agents of {root} do not answer: {error}") from error


def start(root: Path) -> None:
    """Return when the process of the agents answers; raises ProjectError."""
    home = Home.of(root)
    home.make()
    deadline = monotonic() + _START_SECONDS
    started = False
    while True:
        try:
            _talk(home, {"do": "list"}, _TALK_SECONDS)
        except OSError as error:
            if monotonic() > deadline:
                raise ProjectError(
                    f"the process of the agents does not start: {error}",
                    next_step=f"see {home.path / LOG}",
                ) from error
            if not started:
                _spawn(root)
                started = True
            sleep(0.02)
        else:
            return


def _spawn(root: Path) -> None:
    subprocess.Popen(
        [sys.executable, "-P", "-m", _MODULE, str(root)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    ).returncode = 0  # fmt: skip  # it outlives us on purpose: nobody waits for it


def _talk(home: Home, request: dict[str, Any], seconds: float) -> Any:
    with home.connect(seconds) as connection:
        connection.sendall(json.dumps(request).encode() + b"\n")
        said = b""
        while not said.endswith(b"\n"):
            piece = connection.recv(1 << 16)
            if not piece:
                raise ConnectionResetError("it ended")
            said += piece
    answer = json.loads(said)
    if "error" in answer:
        raise AgentError(answer["error"], answer["next_step"], answer["status"])
    return answer["answer"]
