"""What a line can mean: something to do, to look at, to say, to ask back; or nothing known.

Knows no words. A Look cannot be made of anything that changes something: whatever a question is
taken for, it starts no action.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

Argv = tuple[str, ...]
"""Arguments of `cyxmake`: the command and what follows."""

_READING: Final[dict[str, frozenset[str] | None]] = {
    "audit": None, "discover": None, "doctor": None, "explain": None, "graph": None,
    "history": None, "logs": None, "status": None, "tools": None, "completion": None,
    "agent": frozenset(("list", "status")),
    "ai": frozenset(("list",)),
    "cache": frozenset(("stats", "show")),
    "config": frozenset(("show", "get", "validate")),
    "coordinator": frozenset(("status",)),
    "layer": frozenset(("list",)),
    "packages": frozenset(("managers", "search", "exists", "files")),
    "permissions": frozenset(("show",)),
    "plugin": frozenset(("list",)),
    "launcher": frozenset(("status",)),
    "replay": frozenset(("--list",)),
    "undo": frozenset(("--list",)),
    "workers": frozenset(("", "stats")),
}  # fmt: skip
"""Commands that only read: all their forms (None), or those subcommands."""

_SHOWING: Final = frozenset(("--dry-run", "-n", "--help", "-h", "--version"))
_SHOWN_DRY: Final = frozenset(
    (
        "auto",
        "build",
        "clean",
        "create",
        "dbuild",
        "init",
        "install",
        "layer",
        "packages",
        "test",
        "undo",
    )
)
_WRITING: Final = frozenset(("-o", "--output"))


def reads_only(argv: Argv) -> bool:
    """Tell whether a command changes nothing, whatever becomes of it."""
    if not argv or argv[0] in _SHOWING or argv[-1] in ("--help", "-h"):
        return True
    command, rest = argv[0], argv[1:]
    if dry_run(argv):
        return True
    forms = _READING.get(command, frozenset())
    if _WRITING & set(rest):
        return False
    return forms is None or (rest[0] if rest else "") in forms


def dry_run(argv: Argv) -> bool:
    """Tell whether a command shows what it would do without the option that says so."""
    return bool(argv) and argv[0] in _SHOWN_DRY and bool({"--dry-run", "-n"} & set(argv[1:]))


@dataclass(frozen=True, slots=True)
class Step:
    """One command; `undo` is the one that takes it back, where there is one."""

    argv: Argv
    undo: Argv = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Commands that change something: to be shown first, and asked about."""

    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """Commands that change nothing."""

    commands: tuple[Argv, ...]

    def __post_init__(self) -> None:
        for argv in self.commands:
            if not reads_only(argv):
                raise ValueError(f"not only for reading: {argv}")


@dataclass(frozen=True, slots=True)
class Tell:
    """An answer in words; `commands` are named in it, and not run."""

    text: str
    commands: tuple[Argv, ...] = ()


@dataclass(frozen=True, slots=True)
class Nothing:
    """What was said is that nothing is to be done."""

    text: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """Several things may be meant."""

    text: str
    choices: tuple[Plan | Look | Tell, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing is known that this could mean; `near` are lines that would be understood."""

    text: str
    near: tuple[str, ...] = ()


Meaning = Plan | Look | Tell | Nothing | Unclear | Unknown


@dataclass(frozen=True, slots=True)
class Known:
    """What the reader may rely on: the commands that exist, and what was run last.

    `last` is the last command that did something; `undo` are the commands that take it back.
    """

    commands: frozenset[str]
    last: Argv = ()
    targets: frozenset[str] = frozenset()
    undo: tuple[Argv, ...] = ()


def doing(argv: Argv) -> Plan | Look:
    """Return what running a command means."""
    return Look((argv,)) if reads_only(argv) else Plan((Step(argv),))


def offered(argv: Argv, known: Known) -> bool:
    """Tell whether there is such a command."""
    return argv[0].startswith("-") or argv[0] in known.commands


def not_offered(argv: Argv) -> Unknown:
    """Return the refusal of a command that there is not."""
    return Unknown(f"there is no command {argv[0]!r} here")
