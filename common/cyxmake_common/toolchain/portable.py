"""A compiler that gives the same bytes whatever machine it runs on: what of its tree is portable.

Knows no processes and no stores. Programs belong to one kind of machine, headers to none; a worker
of another kind puts its own copy of the same tool in the programs' place, and must then pass the
toolchain's own tests before it compiles anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from cyxmake_common.action import Properties
from cyxmake_common.stand_in import STAND_IN


@dataclass(frozen=True, slots=True)
class Portable:
    """One tool: `program` is its path, `data` the folder of files that all machines share.

    `drivers` are the names it is called by, with the words that each puts before its arguments.
    `targets` are machines for which the toolchain has a test, as `aarch64-linux`.
    """

    tool: str
    version: str
    program: str
    data: str
    drivers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    targets: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return what a worker offers that has it."""
        return f"{self.tool} {self.version}"

    def properties(self, argv: Sequence[str]) -> Properties:
        """Return what an action says, so that other machines may do a compile; else nothing."""
        return ((STAND_IN, self.name),) if target_of(argv) in self.targets else ()

    def to_fields(self) -> dict[str, object]:
        """Return plain values, as JSON and msgpack take them."""
        return {
            "tool": self.tool,
            "version": self.version,
            "program": self.program,
            "data": self.data,
            "drivers": {name: list(words) for name, words in self.drivers.items()},
            "targets": list(self.targets),
        }

    @staticmethod
    def from_fields(fields: Mapping[str, object]) -> Portable:
        """Undo `to_fields`; raises ValueError."""
        drivers, targets = fields.get("drivers"), fields.get("targets")
        if not isinstance(drivers, Mapping) or not isinstance(targets, list | tuple):
            raise ValueError("not a portable tool")
        tool, version, program, data = (
            fields.get(name) for name in ("tool", "version", "program", "data")
        )
        if not (
            isinstance(tool, str)
            and isinstance(version, str)
            and isinstance(program, str)
            and isinstance(data, str)
        ):
            raise ValueError("not a portable tool")
        return Portable(
            tool,
            version,
            program,
            data,
            {str(name): tuple(map(str, words)) for name, words in drivers.items()},
            tuple(map(str, targets)),
        )


def target_of(argv: Sequence[str]) -> str:
    """Return the machine and system that a command compiles for; empty when it does not say."""
    named = [value for word, value in pairwise(argv) if word == "-target"]
    named += [word.partition("=")[2] for word in argv if word.startswith("--target=")]
    if len(named) != 1:
        return ""
    return "-".join(named[0].split("-")[:2])
