"""What a whole build asks of the agent: begin, count, end; and what a person asks: stop.

Knows nothing of build tools.
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypedDict

from cyxmake_cli import config
from cyxmake_cli.launcher.client import control
from cyxmake_cli.launcher.home import Home
from cyxmake_cli.launcher.starting import ensure_agent, lock
from cyxmake_common.clock import monotonic
from cyxmake_common.errors import ClusterUnreachable

_BEGIN_SECONDS: Final = 60.0
_END_SECONDS: Final = 10.0
_ASKED: Final = (config.TOKEN_VARIABLE, config.CONFIG_VARIABLE)


@dataclass(frozen=True, slots=True)
class AgentBuild:
    """A build that the agent counts; `problem` says why its cluster is not there."""

    id: str
    slots: int
    problem: str


class AgentFigures(TypedDict):
    """What came of compiles, as far as the agent was asked; the names are those of its answer."""

    hits: int
    remote: int
    local: int
    seconds: float
    bytes_up: int
    bytes_down: int
    reasons: dict[str, int]
    workers: dict[str, int]


class AgentStatus(TypedDict):
    """The agent's view of itself."""

    pid: int
    running: int
    clusters: dict[str, str]
    served: AgentFigures


NO_FIGURES: Final[AgentFigures] = {
    "hits": 0,
    "remote": 0,
    "local": 0,
    "seconds": 0.0,
    "bytes_up": 0,
    "bytes_down": 0,
    "reasons": {},
    "workers": {},
}


def begin(home: Home, environ: Mapping[str, str]) -> AgentBuild:
    """Have an agent, and wait until its cluster is there or is known not to be.

    Raises ClusterUnreachable when there is no agent.
    """
    home.make()
    ensure_agent(home, environ)
    build = uuid.uuid4().hex
    try:
        answer = json.loads(control(home, _question("begin", build, environ), _BEGIN_SECONDS))
    except OSError as error:
        raise ClusterUnreachable(
            f"the launcher's agent has ended: {error}", next_step=f"see {home.log}"
        ) from error
    return AgentBuild(build, int(answer["slots"]), str(answer["problem"]))


def end(home: Home, build: AgentBuild, environ: Mapping[str, str]) -> AgentFigures | None:
    """Return a build's figures; None when the agent is gone."""
    try:
        data = control(home, _question("end", build.id, environ), _END_SECONDS)
    except OSError:
        return None
    figures: AgentFigures = json.loads(data)
    return figures


def status(home: Home) -> AgentStatus | None:
    """Return what the agent says of itself; None when no agent runs."""
    try:
        answer: AgentStatus = json.loads(control(home, b'{"ask": "status"}', _END_SECONDS))
    except OSError:
        return None
    return answer


def save(home: Home) -> None:
    """Have the agent, if one runs, write down what explains misses."""
    with contextlib.suppress(OSError):
        control(home, b'{"ask": "save"}', _END_SECONDS)


def end_agent(home: Home) -> bool:
    """End the agent and wait until it is gone; tells whether there was one."""
    from time import sleep

    try:
        control(home, b'{"ask": "stop"}', _END_SECONDS)
    except OSError:
        return False
    deadline = monotonic() + _END_SECONDS
    while monotonic() < deadline and not _is_free(home):
        sleep(0.02)
    return True


def _is_free(home: Home) -> bool:
    with contextlib.suppress(OSError):
        descriptor = os.open(home.lock, os.O_RDWR)
        try:
            return lock(descriptor)
        finally:
            os.close(descriptor)
    return True


def _question(what: str, build: str, environ: Mapping[str, str]) -> bytes:
    asked = {name: environ[name] for name in _ASKED if name in environ}
    return json.dumps({"ask": what, "build": build, "environ": asked}).encode()
