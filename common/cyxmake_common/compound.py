"""An action of several commands: which, in what order, what they see, which files come back.

Knows nothing of build tools, sandboxes or stores. It stands in a file of the action's own input
root, so that the action's digest covers it and no REAPI message has to change.

The steps run in one sandbox, one after another's end as `after` says, and see each other's files.
A sealed one sees its input root and toolchain only; its result follows from its action. One with
`host_tools` also sees programs of the worker, read-only, which its action does not name: its
result is never cached.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from cyxmake_common.errors import ProtocolError

COMPOUND: Final = "cyxmake-compound"
"""Property: the action's command is what stands at PLAN_PATH in its input root."""

PLAN_PATH: Final = "/.cyxmake/compound"

TOOL: Final = "tool"
"""Property, any number of times: a program that a worker has, and an action needs."""

NETWORK: Final = "network"
"""Property: whether commands may use the network; offered only where the worker's owner said so."""

ALLOWED: Final = "allowed"

STEPS: Final = "steps"
"""Property: the worker can run actions of several commands."""

MAX_STEPS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Step:
    """One command; `after` are the numbers of the steps that must have ended well before it."""

    argv: tuple[str, ...]
    directory: str
    environment: dict[str, str] = field(default_factory=dict)
    after: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """The files that come back: globs below the working directory, less the excluded ones.

    `products`: of what matches, only programs, libraries and archives.
    """

    patterns: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    products: bool = False


@dataclass(frozen=True, slots=True)
class Compound:
    """The whole plan.

    `own` is a directory of the input root that the action gets as a copy of its own, writable, with
    the file times of `times` (path below it to nanoseconds). `apart` keeps the output of each step
    for itself: standard output of the result is then a list of Ended in JSON.
    """

    steps: tuple[Step, ...]
    host_tools: bool = False
    network: bool = False
    own: str = ""
    times: dict[str, int] = field(default_factory=dict)
    wanted: Wanted | None = None
    apart: bool = False
    keep_going: bool = False

    def to_bytes(self) -> bytes:
        """Encode, always the same way."""
        return bytes(_adapter(Compound).dump_json(self))

    @staticmethod
    def from_bytes(data: bytes) -> Compound:
        """Decode; raises ProtocolError."""
        found: Compound = _decode(Compound, data)
        if not 0 < len(found.steps) <= MAX_STEPS:
            raise ProtocolError(f"a compound action of {len(found.steps)} steps")
        for number, step in enumerate(found.steps):
            if not step.argv or any(not 0 <= other < number for other in step.after):
                raise ProtocolError(f"step {number} of a compound action is malformed")
        return found


@dataclass(frozen=True, slots=True)
class Ended:
    """How a step ended: its wait status as an exit code, -1 when it never began."""

    exit_code: int
    seconds: float = 0.0
    output: str = ""
    """What it printed, one character a byte."""


def encode_ended(steps: tuple[Ended, ...]) -> bytes:
    """Return the report of a compound action whose outputs were kept apart."""
    return bytes(_adapter(tuple[Ended, ...]).dump_json(steps))


def decode_ended(data: bytes) -> tuple[Ended, ...]:
    """Read such a report; raises ProtocolError."""
    return tuple(_decode(tuple[Ended, ...], data))


def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _decode(kind: Any, data: bytes) -> Any:
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_json(data)
    except ValidationError as error:
        raise ProtocolError(f"not a compound action: {error.error_count()} mistakes") from error
