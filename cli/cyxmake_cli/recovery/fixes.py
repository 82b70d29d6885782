"""Typed fixes: everything that recovery can do, as data.

Knows nothing of how a fix is done (`apply`), when (`engine`) or for what (`candidates`). There is
no free command among them: a fix that runs a tool names its words and every place it writes to.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from cyxmake_cli.safety.permissions import ActKind

SOURCE: Final = "{source}"
"""Stands for the project's directory in variables, so that a recipe fits every checkout."""


class How(StrEnum):
    """How a variable's new value goes together with the old one."""

    SET = "set"
    BEFORE = "before"
    """An entry before those of a search path."""
    AFTER = "after"
    """Words after the old ones."""
    UNSET = "unset"


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable of the environment in which a project is built."""

    name: str
    value: str
    how: How = How.SET


@dataclass(frozen=True, slots=True)
class Edit:
    """One line of a file, from 1, and what stands there instead; the old text is the anchor."""

    line: int
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class ObtainPackages:
    """Packages of the system's archive unpacked aside, without root: a layer."""

    manager: str
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SystemInstall:
    """Packages installed for everybody on this machine."""

    manager: str
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SetVariables:
    """Variables for everything that is run for this project."""

    variables: tuple[Variable, ...]


@dataclass(frozen=True, slots=True)
class AddOptions:
    """Options for the tool that configures, or builds where nothing is configured."""

    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AddFlags:
    """Words for every compile of C and C++ (or one of them), and for the end of every link."""

    compile: tuple[str, ...] = ()
    link: tuple[str, ...] = ()
    languages: tuple[str, ...] = ("c", "c++")


@dataclass(frozen=True, slots=True)
class FewerJobs:
    """So many jobs at a time."""

    jobs: int


@dataclass(frozen=True, slots=True)
class RaiseLimit:
    """A soft limit of this process raised to its hard one, for what is started from here."""

    limit: str


@dataclass(frozen=True, slots=True)
class Retry:
    """The same once more, after a pause; `attempt` tells the first from the second."""

    attempt: int
    seconds: float


@dataclass(frozen=True, slots=True)
class EditFile:
    """A few lines of one file of the project."""

    path: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class SetAside:
    """Files that the build itself made and that are stale, moved out of the way and kept."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Restore:
    """Files that version control has and the work tree lacks."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Permit:
    """Permission bits added to files of the project: `r`, `w` or `x`, for the owner of the file."""

    path: str
    bits: str


@dataclass(frozen=True, slots=True)
class Touch:
    """Files of the project that are newer than the clock says, given the time of now."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """A directory that a build expects to be there."""

    path: str


@dataclass(frozen=True, slots=True)
class Alias:
    """A name under which a program that is here is found as well, in this project only."""

    name: str
    program: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunTool:
    """A tool of a language or of version control that changes only `writes`, below the project."""

    argv: tuple[str, ...]
    writes: tuple[str, ...]
    variables: tuple[Variable, ...] = ()
    options: tuple[str, ...] = ()


Fix: TypeAlias = (
    ObtainPackages | SystemInstall | SetVariables | AddOptions | AddFlags | FewerJobs | RaiseLimit
    | Retry | EditFile | SetAside | Restore | Permit | Touch | MakeDirectory | Alias | RunTool
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """What holds for all fixes of a kind.

    `act`: what the gate judges it as. `cost`: what is tried first among equals, in rough seconds.
    `undo` and `proof`: in words, for people.
    """

    name: str
    act: ActKind
    cost: float
    undo: str
    proof: str = "the cause is gone, and nothing that worked before fails"
    lasting: bool = True
    """It is kept in the recipe; layers have a record of their own, the rest is of this machine."""


KINDS: Final = MappingProxyType(
    {
        Retry: Kind("retry", ActKind.BUILD, 1, "nothing was changed", lasting=False),
        FewerJobs: Kind("fewer-jobs", ActKind.BUILD, 2, "the old number again", lasting=False),
        RaiseLimit: Kind("raise-limit", ActKind.BUILD, 2, "ends with the command", lasting=False),
        MakeDirectory: Kind("make-directory", ActKind.WRITE, 2, "removed if empty"),
        Permit: Kind("permit", ActKind.WRITE, 2, "the old mode"),
        Touch: Kind("touch", ActKind.WRITE, 2, "the old times"),
        Restore: Kind("restore", ActKind.WRITE, 2, "removed again"),
        Alias: Kind("alias", ActKind.SET_UP, 3, "the link is removed"),
        SetVariables: Kind("environment", ActKind.SET_UP, 3, "no longer set"),
        AddOptions: Kind("option", ActKind.SET_UP, 4, "no longer given; configured anew"),
        AddFlags: Kind("flags", ActKind.SET_UP, 4, "no longer given; configured anew"),
        SetAside: Kind("set-aside", ActKind.REMOVE, 4, "moved back"),
        ObtainPackages: Kind(
            "layer", ActKind.GET_LAYER, 10, "the project no longer uses the layer", lasting=False
        ),
        EditFile: Kind("edit", ActKind.WRITE, 12, "the old bytes, mode and time"),
        RunTool: Kind("tool", ActKind.RUN, 15, "every place it may write to, as before"),
        SystemInstall: Kind(
            "system-install", ActKind.CHANGE_SYSTEM, 60, "remove the packages yourself"
        ),
    }
)  # fmt: skip
"""The table of kinds: permission, cost, undo and verification of each."""

_BY_NAME: Final = {kind.name: cls for cls, kind in KINDS.items()}
_NESTED: Final[dict[str, type[Variable] | type[Edit]]] = {"variables": Variable, "edits": Edit}


def kind_of(fix: Fix) -> Kind:
    """Return what holds for all fixes of this kind."""
    return KINDS[type(fix)]


def as_json(fix: Fix) -> dict[str, Any]:
    """Return a fix as a JSON object."""
    return {"kind": kind_of(fix).name, **asdict(fix)}


def fix_of(value: dict[str, Any]) -> Fix:
    """Return the fix that a JSON object describes; raises ValueError for anything else."""
    cls = _BY_NAME.get(str(value.get("kind")))
    if cls is None:
        raise ValueError(f"no fix is called {value.get('kind')!r}")
    given = {k: v for k, v in value.items() if k != "kind"}
    known = {f.name: f for f in fields(cls)}
    if set(given) - set(known):
        raise ValueError(f"{value['kind']}: unknown {', '.join(sorted(set(given) - set(known)))}")
    try:
        made = cls(**{name: _value(name, str(known[name].type), v) for name, v in given.items()})
    except TypeError as error:
        raise ValueError(f"{value['kind']}: {error}") from error
    fix: Fix = made
    return fix


def _value(name: str, type_: str, value: Any) -> Any:
    if name in _NESTED:
        parts = [dict(part) for part in value]
        if name == "variables":
            return tuple(Variable(p["name"], p["value"], How(p.get("how", "set"))) for p in parts)
        return tuple(Edit(int(p["line"]), p["old"], p["new"]) for p in parts)
    if type_.startswith("tuple"):
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            raise ValueError(f"{name} is no list of words")
        return tuple(value)
    wanted: type = {"int": int, "float": float, "str": str}[type_]
    if wanted is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, wanted):
        raise ValueError(f"{name} is no {type_}")
    return value


def key_of(fix: Fix) -> str:
    """Return the name of a fix: the same for the same fix in every run and checkout."""
    text = json.dumps(as_json(fix), sort_keys=True)
    return f"{kind_of(fix).name}:{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def summary_of(fix: Fix) -> str:
    """Return in words what a fix does, after "would" or "to"."""
    match fix:
        case ObtainPackages():
            return f"get {', '.join(fix.packages)} of {fix.manager} as a layer, nothing installed"
        case SystemInstall():
            return f"install {', '.join(fix.packages)} with {fix.manager} for the whole machine"
        case SetVariables():
            return f"build with {' '.join(_shown(v) for v in fix.variables)}"
        case AddOptions():
            return f"hand {' '.join(fix.options)} to the build system"
        case AddFlags():
            to = f" ({' and '.join(fix.languages)})" if fix.compile else ""
            words = (*fix.compile, *fix.link)
            return f"{'compile' if fix.compile else 'link'}{to} with {' '.join(words)}"
        case FewerJobs():
            return f"go on with {fix.jobs} at a time"
        case RaiseLimit():
            return f"raise the limit of {fix.limit} as far as this user may"
        case Retry():
            return f"try once more after {fix.seconds:.0f} s"
        case EditFile():
            where = ", ".join(str(edit.line) for edit in fix.edits)
            return f"edit {fix.path}, line {where}"
        case SetAside():
            return f"move {', '.join(fix.paths)} out of the way: left by another build"
        case Restore():
            return f"bring {', '.join(fix.paths)} back from version control"
        case Permit():
            word = {"x": "executable", "w": "writable", "r": "readable"}[fix.bits]
            return f"make {fix.path} {word} for its owner"
        case Touch():
            return f"set the time of {len(fix.paths)} files from the future to now"
        case MakeDirectory():
            return f"make the directory {fix.path}"
        case Alias():
            return f"use {' '.join((fix.program, *fix.arguments))} as {fix.name} in this project"
        case RunTool():
            return f"run {' '.join(fix.argv)}"


def after_undo(fix: Fix) -> str:
    """Return what a person has to know once a fix was taken back, if anything."""
    if isinstance(fix, SystemInstall):
        names = " ".join(fix.packages)
        return f"{names} stays installed: `cyxmake packages remove {names}` removes it"
    return ""


def _shown(variable: Variable) -> str:
    match variable.how:
        case How.UNSET:
            return f"no {variable.name}"
        case How.SET:
            return f"{variable.name}={variable.value}"
        case How.BEFORE:
            return f"{variable.name}={variable.value}:..."
        case How.AFTER:
            return f"{variable.name}='... {variable.value}'"


def detail_of(fix: Fix) -> tuple[str, ...]:
    """Return what a person may want to see before saying yes."""
    if isinstance(fix, EditFile):
        lines = []
        for edit in fix.edits:
            lines.append(f"{fix.path}:{edit.line}")
            lines.extend(f"- {line}" for line in edit.old.split("\n"))
            lines.extend(f"+ {line}" for line in edit.new.split("\n"))
        return tuple(lines)
    return (f"undo: {kind_of(fix).undo}", f"accepted when {kind_of(fix).proof}")
