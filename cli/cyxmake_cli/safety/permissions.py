"""Which acts are safe, which are asked about, which are dangerous, and which are never done.

Knows no terminal and no file: an act is judged by what it says of itself and by a table. An act
becomes more severe than its kind by what it touches or starts, never less.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import PurePath
from typing import Final


class Risk(IntEnum):
    """How much an act may harm; a higher one is more severe."""

    SAFE = 0
    ASK = 1
    DANGEROUS = 2
    BLOCKED = 3


class ActKind(StrEnum):
    """What kind of thing is done."""

    BUILD = "build"
    TEST = "test"
    CONFIGURE = "configure"
    WRITE_OWN = "write-own"
    WRITE_SETTINGS = "write-settings"
    CLEAN = "clean"
    WRITE = "write"
    REMOVE = "remove"
    RUN = "run"
    INSTALL_PROJECT = "install-project"
    INSTALL_PACKAGE = "install-package"
    REMOVE_PACKAGE = "remove-package"
    GET_LAYER = "get-layer"
    RESTORE_LAYER = "restore-layer"
    RUN_CLUSTER = "run-cluster"
    REMOVE_WORKER = "remove-worker"
    PLAN = "plan"
    PLAN_STEP = "plan-step"
    SET_UP = "set-up"
    """What CyxMake keeps for a project's builds: variables, options, packages unpacked aside."""
    CHANGE_SYSTEM = "change-system"
    """A repair that nobody asked for by name and that reaches beyond the project."""


RISKS: Final[dict[ActKind, Risk]] = {
    ActKind.BUILD: Risk.SAFE,
    ActKind.TEST: Risk.SAFE,
    ActKind.CONFIGURE: Risk.SAFE,
    ActKind.WRITE_OWN: Risk.SAFE,
    ActKind.WRITE_SETTINGS: Risk.SAFE,
    ActKind.CLEAN: Risk.ASK,
    ActKind.WRITE: Risk.ASK,
    ActKind.REMOVE: Risk.ASK,
    ActKind.RUN: Risk.ASK,
    ActKind.INSTALL_PROJECT: Risk.ASK,
    ActKind.INSTALL_PACKAGE: Risk.ASK,
    ActKind.REMOVE_PACKAGE: Risk.DANGEROUS,
    ActKind.GET_LAYER: Risk.ASK,
    ActKind.RESTORE_LAYER: Risk.SAFE,
    ActKind.RUN_CLUSTER: Risk.SAFE,
    ActKind.REMOVE_WORKER: Risk.ASK,
    ActKind.PLAN: Risk.ASK,
    ActKind.PLAN_STEP: Risk.ASK,
    ActKind.SET_UP: Risk.ASK,
    ActKind.CHANGE_SYSTEM: Risk.DANGEROUS,
}
"""The risk of an act that touches nothing special."""

_BLOCKED_PLACES: Final = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/root/.ssh", "/run",
    "/sbin", "/sys", "/usr", "/var",
)  # fmt: skip
_ALLOWED_PLACES: Final = ("/usr/local/src", "/usr/src", "/var/tmp")  # noqa: S108 - a name
_OUR_SETTINGS: Final = ".config/cyxmake"
_BLOCKED_IN_HOME: Final = (
    ".ssh", ".gnupg", ".aws", ".kube", ".docker", _OUR_SETTINGS, ".netrc", ".bashrc",
    ".profile", ".bash_profile", ".zshrc", ".gitconfig", ".pypirc", ".npmrc",
)  # fmt: skip
_NEVER_IN_PROJECT: Final = (".git", ".hg", ".svn", ".jj")
_AS_ROOT: Final = ("sudo", "doas", "su", "pkexec")
_STARTERS: Final = ("env", "nice", "nohup", "setsid", "time", "timeout", "xargs")
_DESTROYERS: Final = (
    "dd", "fdisk", "mkfs", "parted", "shred", "wipefs", "shutdown", "reboot", "halt", "poweroff",
)  # fmt: skip
_REMOVERS: Final = ("rm", "rmdir", "unlink", "find", "git")
_SHELL: Final = re.compile(r"(?:^|/)(?:ba|da|z|k|fi)?sh$|(?:^|/)(?:cmd|powershell|pwsh)(?:\.exe)?$")


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that is to be done: `summary` for a person, the rest to judge it by.

    `writes` and `removes` are absolute paths. `detail` is what a person may want to see first.
    `suggested`: only a language model says that it would help.
    """

    kind: ActKind
    summary: str
    argv: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()
    detail: tuple[str, ...] = ()
    suggested: bool = False

    @property
    def key(self) -> str:
        """Return what an answer "always" is kept under: the kind, and the program if one is run."""
        program = PurePath(self.argv[0]).name if self.argv else ""
        return f"{self.kind.value}:{program}" if program else self.kind.value


@dataclass(frozen=True, slots=True)
class Judgement:
    """How severe an act is, and why it is more so than its kind."""

    risk: Risk
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What belongs to the project: its roots (source and build directories), and the home."""

    roots: tuple[str, ...]
    home: str = ""
    blocked: tuple[str, ...] = field(default=_BLOCKED_PLACES)


def judge(act: Act, bounds: Bounds) -> Judgement:
    """Return how severe an act is."""
    found = [Judgement(RISKS[act.kind])]
    if act.suggested:  # no option and no earlier answer is a yes to this
        found.append(Judgement(Risk.DANGEROUS, "only a language model says that it would help"))
    private = {f"{bounds.home}/{name}" for name in _BLOCKED_IN_HOME} if bounds.home else set()
    if act.kind is ActKind.WRITE_SETTINGS:
        private.discard(f"{bounds.home}/{_OUR_SETTINGS}")
    found.extend(_judge_path(path, bounds, private, removes=False) for path in act.writes)
    found.extend(_judge_path(path, bounds, private, removes=True) for path in act.removes)
    if act.argv:
        found.append(_judge_argv(act.argv))
    return max(found, key=lambda judgement: judgement.risk)


def _judge_path(
    path: str, bounds: Bounds, private: AbstractSet[str], *, removes: bool
) -> Judgement:
    if not os.path.isabs(path) or os.path.normpath(path) != path:  # noqa: PTH117 - pure text
        return Judgement(Risk.BLOCKED, f"{path} is no plain absolute path")
    if removes and (path in ("/", bounds.home) or path in bounds.roots):
        return Judgement(Risk.BLOCKED, f"{path} would be removed as a whole")
    if any(_below(path, place) for place in private):
        return Judgement(Risk.BLOCKED, f"{path} holds settings or secrets of yours")
    inside = next((root for root in bounds.roots if root != "/" and _below(path, root)), None)
    if inside is not None:
        parts = PurePath(os.path.relpath(path, inside)).parts
        if hit := next((p for p in parts if p in _NEVER_IN_PROJECT), None):
            return Judgement(Risk.BLOCKED, f"{path} belongs to version control ({hit})")
        return Judgement(Risk.SAFE)
    if any(_below(path, p) for p in bounds.blocked) and not any(
        _below(path, place) for place in _ALLOWED_PLACES
    ):
        return Judgement(Risk.BLOCKED, f"{path} belongs to the system")
    return Judgement(Risk.DANGEROUS, f"{path} is outside of the project")


def _judge_argv(argv: tuple[str, ...]) -> Judgement:
    found = Judgement(Risk.SAFE)
    words = argv
    while words and (program := PurePath(words[0]).name) in (*_AS_ROOT, *_STARTERS):
        if program in _AS_ROOT:
            found = Judgement(Risk.DANGEROUS, f"{program} acts with the rights of the system")
        words = words[1:]
        while words and (words[0].startswith("-") or "=" in words[0]):
            words = words[1:]
    return max(found, _judge_program(words), key=lambda judgement: judgement.risk)


def _judge_program(words: tuple[str, ...]) -> Judgement:
    program = PurePath(words[0]).name if words else ""
    if program.partition(".")[0] in _DESTROYERS:
        return Judgement(Risk.BLOCKED, f"{program} destroys what cannot be brought back")
    if program in _REMOVERS and _removes(program, words[1:]):
        return Judgement(Risk.DANGEROUS, f"{program} removes files")
    if _SHELL.search(program) and any(re.match(r"-\w*c$", word) for word in words[1:]):
        return Judgement(Risk.DANGEROUS, "a shell command can do anything")
    return Judgement(Risk.SAFE)


def _removes(program: str, words: tuple[str, ...]) -> bool:
    match program:
        case "find":
            return bool({"-delete", "-exec", "-execdir", "-ok"} & set(words))
        case "git":
            return bool({"clean", "reset", "checkout", "restore", "rm"} & set(words[:2]))
        case _:
            return True


def _below(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip("/") + "/")
