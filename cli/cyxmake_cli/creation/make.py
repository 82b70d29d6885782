"""A project onto the disk: its files, locked dependencies, a repository; and all that undone.

Knows the gate and nothing of templates. Only files that are not there are ever written; undoing
removes those that are still as they were written.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_cli.building.own_folder import FOLDER, OwnFolder
from cyxmake_cli.building.project import PLAN
from cyxmake_cli.git import git, in_repository
from cyxmake_cli.layers.record import RECORD as LAYERS
from cyxmake_cli.safety.gate import Gate
from cyxmake_cli.safety.permissions import Act, ActKind, Bounds, Risk, judge
from cyxmake_common.errors import ConfigError, Denied, ProjectError
from cyxmake_common.execution.process import ProcessRequest, run_process

RECORD: Final = "created.json"
_VERSION: Final = 1
_LOCK_SECONDS: Final = 300
_MESSAGE: Final = "Start of the project"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be made where; `locks` is the command that writes `lock`, empty: none does."""

    place: Path
    files: Mapping[str, str]
    locks: tuple[str, ...]
    lock: str
    repository: bool

    def act(self) -> Act:
        """Return what is asked about: all of it at once."""
        also = [f"$ {' '.join(self.locks)}"] if self.locks else []
        also += ["$ git init", "$ git commit"] if self.repository else []
        return Act(
            ActKind.WRITE,
            f"create {self.place} with {len(self.files)} files"
            + (" and a git repository" if self.repository else ""),
            writes=tuple(str(self.place / path) for path in self.files),
            detail=(*self.files, *also),
        )


def check_place(place: Path, home: str) -> None:
    """Raise CyxError where no project may be made: among files, or in the system's own places."""
    judgement = judge(Act(ActKind.WRITE, "", writes=(str(place),)), Bounds((), home))
    if judgement.risk is Risk.BLOCKED:
        raise Denied(f"no project is made in {place} ({judgement.reason})")
    try:
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise ProjectError(
                f"{place} is there already", next_step="take another --name or --dir"
            )
        if place.is_dir() and any(place.iterdir()):
            raise ProjectError(
                f"{place} is not empty, and nothing is ever overwritten",
                next_step="take another --name or --dir",
            )
    except OSError as error:
        raise ProjectError(f"{place} cannot be looked at: {error.strerror}") from error


def write(plan: Plan) -> None:
    """Write the files and remember them; raises CyxError. What stands there is never replaced."""
    root = _existing(plan.place)
    made: dict[str, str] = {}
    try:
        for path, text in plan.files.items():
            target = plan.place / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
            made[path] = _digest(text.encode())
    except OSError as error:
        raise ProjectError(
            f"{error.filename}: {error.strerror}", next_step="`cyxmake create --undo` takes back"
        ) from error
    finally:
        if made:
            _remember(plan.place, made, root)


def lock(plan: Plan) -> str:
    """Write down which versions are meant; returns what went wrong, if anything did."""
    if not plan.locks:
        return ""
    if shutil.which(plan.locks[0]) is None:
        return f"not locked: {plan.locks[0]} is not here"
    request = ProcessRequest(plan.locks, cwd=plan.place, timeout=_LOCK_SECONDS, merge=True)
    try:
        done = asyncio.run(run_process(request))
    except OSError as error:
        return f"not locked: {plan.locks[0]}: {error.strerror}"
    if not done.succeeded:
        lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
        return f"not locked: {' '.join(plan.locks[:2])}: {' / '.join(lines[-3:])}"
    made = _record(plan.place)
    with suppress(OSError):
        made["files"][plan.lock] = _digest((plan.place / plan.lock).read_bytes())
        OwnFolder(plan.place).write(RECORD, made)
    return ""


def commit(plan: Plan) -> str:
    """Make a repository with a first commit; returns what was not done and why, if anything."""
    place = plan.place
    if git(place, "init", "--quiet") is None:
        return "no repository: git could not make one"
    if not (git(place, "config", "user.email") and git(place, "config", "user.name")):
        return "nothing is committed: git does not know who you are (git config user.name, .email)"
    may_be = (*plan.files, plan.lock, f"{FOLDER}/{LAYERS}")
    files = [path for path in may_be if path and (place / path).is_file()]
    # Whoever signs commits is not to be asked for a key here: the first one says nothing.
    words = ("commit", "--quiet", "--no-gpg-sign", "--no-verify", "-m", _MESSAGE)
    if git(place, "add", "--", *files) is None or git(place, *words) is None:
        return "nothing is committed: git refused"
    return ""


def wants_repository(place: Path) -> str:
    """Return why no repository is to be made unasked; empty: one is."""
    if shutil.which("git") is None:
        return "git is not here"
    if in_repository(_existing(place)):
        return f"{place} is in a repository already"
    return ""


def check_made(place: Path) -> None:
    """Raise ProjectError where nothing is known to have been made."""
    _record(place)


def undo(
    place: Path, gate: Gate, clean: Callable[[], object]
) -> tuple[list[str], list[tuple[str, str]]] | None:
    """Remove what was made and is unchanged; returns it, and what stays with the reason.

    `clean` takes away what builds made of it. None: not allowed.
    """
    known = _record(place)
    going, staying = [], []
    for path, digest in known["files"].items():
        target = place / path
        if Path(path).is_absolute() or ".." in Path(path).parts or _leads_away(place, target):
            staying.append((path, "reached through a symbolic link"))
        elif not target.is_file():
            continue
        elif _digest(target.read_bytes()) != digest:
            staying.append((path, "changed since"))
        else:
            going.append(path)
    targets = tuple(str(place / path) for path in going)
    act = Act(
        ActKind.REMOVE, f"remove {len(going)} files of {place}", removes=targets,
        detail=tuple(going),
    )  # fmt: skip
    if not gate.permit(act):
        return None
    clean()
    for path in going:
        (place / path).unlink(missing_ok=True)
    if (place / ".git").exists():
        staying.append((".git", "what is committed there is yours: remove it yourself"))
    _forget(place, going, known)
    return going, staying


def _forget(place: Path, going: list[str], known: dict[str, dict[str, str]]) -> None:
    own = OwnFolder(place)
    parents = {parent for path in known["files"] for parent in Path(path).parents}
    for parent in sorted(parents, key=lambda p: -len(p.parts)):
        if parent != Path():
            with suppress(OSError):
                (place / parent).rmdir()
    left = {path: d for path, d in known["files"].items() if path not in going}
    left = {path: d for path, d in left.items() if (place / path).exists()}
    if left:
        own.write(RECORD, {**known, "files": left})
        return
    (own.path / RECORD).unlink(missing_ok=True)
    alone = {entry.name for entry in place.iterdir()} == {FOLDER}
    if alone and not own.path.is_symlink() and not (own.path / PLAN).exists():
        shutil.rmtree(own.path)  # what is remembered of a project that is gone
    top = Path(str(known.get("root", "")))
    for folder in (place, *place.parents):
        if folder == top or not top.is_absolute():
            break
        try:
            folder.rmdir()
        except OSError:
            break


def _leads_away(place: Path, target: Path) -> bool:
    real = os.path.realpath(place) + str(target.parent).removeprefix(str(place))
    return target.is_symlink() or os.path.realpath(target.parent) != real


def _existing(place: Path) -> Path:
    """Return the nearest directory that is there: what a project is made below."""
    return next(folder for folder in (place, *place.parents) if folder.is_dir())


def _remember(place: Path, made: Mapping[str, str], root: Path) -> None:
    with suppress(ConfigError):
        OwnFolder(place).write(
            RECORD, {"version": _VERSION, "files": dict(made), "root": str(root)}
        )


def _record(place: Path) -> dict[str, dict[str, str]]:
    found = OwnFolder(place).read(RECORD)
    if found.get("version") != _VERSION or not isinstance(found.get("files"), dict):
        raise ProjectError(
            f"nothing is known of {place} having been created here",
            next_step="name the directory of the project with --dir",
        )
    return found


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
