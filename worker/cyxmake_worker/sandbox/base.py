"""The interface of a sandbox: run one command over read-only layers, as if on the client's file
system.

Knows nothing of stores, digests or verdicts; the executor reads a SandboxRun and judges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from cyxmake_common.action import Command
from cyxmake_common.compound import Ended, Step
from cyxmake_common.errors import SandboxError
from cyxmake_common.execution.process import ProcessResult

OUTPUT_BYTES: Final = 16 << 20
"""Bytes kept of stdout and of stderr unless limits say otherwise."""


class SandboxKind(StrEnum):
    """How commands are kept apart from the host; a worker offers it as a property."""

    NAMESPACE = "namespace"
    """Own mounts, processes and network: the command sees its layers and nothing else."""
    MAPPED = "mapped"
    """Paths rewritten into a private folder: same results where it is proven, no isolation."""
    NONE = "none"
    """This machine cannot run actions of others."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a command may use; 0 is no limit. Seconds and bytes.

    `memory_bytes` is for each process and counts what it may write to, touched or not: programs
    under an address sanitizer need far more of that than they use.
    """

    timeout: float = 0.0
    output_bytes: int = OUTPUT_BYTES
    file_bytes: int = 0
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class HostView:
    """What commands may see of this machine, read-only: directories and files at their own paths.

    `skeleton` is a directory that holds an empty place for each, and the links between them.
    """

    skeleton: Path
    shown: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OwnTree:
    """A directory of the layers that the command gets as a copy of its own, with these times."""

    path: str
    times: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How several commands run in one sandbox; `jobs` at a time.

    `apart`: what each prints is kept for itself, else `heard` is told of it as it comes.
    """

    steps: tuple[Step, ...]
    jobs: int = 1
    host: HostView | None = None
    network: bool = False
    own: OwnTree | None = None
    apart: bool = False
    keep_going: bool = False
    heard: Callable[[bytes], None] | None = None


Stamp = tuple[int, int, int]
"""Inode, size and time: what a file of one's own looked like before the command ran."""


@dataclass(frozen=True, slots=True)
class SandboxRun:
    """How a command ended and where its files are.

    `upper` holds what the command wrote, as a tree for `/`; `places` gives each output path's
    place in it, which differs from the plain path where the input root has symbolic links on the
    way. `out_of_memory` tells of evidence that the kernel killed for memory while the command ran.
    `ended` is one for each step of an arrangement, `laid` the files of its own tree by path in it.
    """

    process: ProcessResult
    upper: Path
    places: Mapping[str, str]
    out_of_memory: bool = False
    ended: tuple[Ended, ...] = ()
    laid: Mapping[str, Stamp] = field(default_factory=dict)


class ProgramNotStarted(SandboxError):
    """The sandbox stood, but the program is not in the layers or cannot be loaded from them."""

    code = "program-not-started"
    retryable = False


class StageRefused(SandboxError):
    """The system refused a stage of making the sandbox; advice hangs on which one."""

    def __init__(self, stage: str, number: int, message: str) -> None:
        super().__init__(message)
        self.stage = stage
        self.number = number


class Sandbox(Protocol):
    """Runs commands; calls may overlap."""

    @property
    def kind(self) -> SandboxKind:
        """Return what this sandbox is."""
        ...

    async def start(self) -> None:
        """Get ready; raises SandboxError when this machine cannot do it."""
        ...

    async def run(
        self,
        layers: Sequence[Path],
        command: Command,
        limits: Limits,
        scratch: Path,
        arrangement: Arrangement | None = None,
    ) -> SandboxRun:
        """Run a command over layers (uppermost first) with an empty private directory for itself.

        With an arrangement, its steps are run in place of the command's arguments.
        Raises SandboxError when the command was never started or its end is unknown. When
        cancelled, kills every process of the command first.
        """
        ...

    async def close(self) -> None:
        """Kill what runs and let go of everything."""
        ...
