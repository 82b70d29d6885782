"""What the spawner is told, and how it says which step of ours failed. Data only.

Part of the spawner: standard library only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

from cyxmake_worker.sandbox.steps import StepRequest


class Setup(TypedDict):
    """What the spawner is told once, as its argument."""

    user_namespace: bool
    uid: int
    gid: int
    base: str
    network: bool


class Arranged(TypedDict):
    """What is run in place of `argv`, and what it may see of the host."""

    steps: list[StepRequest]
    jobs: int
    keep_going: bool
    apart: bool
    network: bool
    skeleton: str
    shown: list[str]


class Request(TypedDict):
    """What to run; paths are the host's, except `cwd` and `outputs`, which are the command's."""

    scratch: str
    layers: list[str]
    argv: list[str]
    environment: dict[str, str]
    cwd: str
    outputs: list[str]
    file_bytes: int
    memory_bytes: int
    arranged: Arranged | None


class Failed(Exception):
    """A step before the command's own first instruction failed."""

    def __init__(self, stage: str, error: OSError) -> None:
        super().__init__(stage)
        self.stage = stage
        self.error = error


def attempt(stage: str, action: Callable[[], object]) -> None:
    try:
        action()
    except OSError as error:
        raise Failed(stage, error) from error
