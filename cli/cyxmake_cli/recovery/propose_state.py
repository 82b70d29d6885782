"""Proposes fixes of state: permissions, stale leavings, scratch space, jobs, locks of versions.

Looks at the project through `View` only, and changes nothing.
"""

from __future__ import annotations

import os.path
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cyxmake_cli.recovery.fixes import (
    SOURCE,
    FewerJobs,
    Fix,
    Permit,
    Retry,
    RunTool,
    SetAside,
    SetVariables,
    Touch,
    Variable,
)
from cyxmake_cli.recovery.view import View
from cyxmake_cli.systems.model import SystemName
from cyxmake_common.diagnosis.model import Category, Diagnosis

_SCRATCH: Final = ".cyxmake/scratch"


def permission(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """A script of the project becomes executable, an output of the build writable."""
    facts = cause.facts
    if facts.kind in ("root", "managed environment", "read-only"):
        return
    named = facts.path or _path_in(cause.evidence)
    place = view.place_of(named)
    if place is None:
        place = view.inside(named) if named else None
        if place is None or not view.exists(place):
            folder = os.path.dirname(place) if place else ""  # noqa: PTH120
            place = folder if folder and view.exists(folder) else None
    if place is None or place == ".":
        return
    full = os.path.join(view.source, place)  # noqa: PTH118
    if os.path.isfile(full) and not os.access(full, os.R_OK):  # noqa: PTH113
        yield Permit(place, "r")
        return
    executable = facts.kind == "execute" or "Error 126" in cause.evidence
    if not os.path.isdir(full) and not os.access(full, os.X_OK):  # noqa: PTH112
        text = view.text(place) or ""
        if executable or text.startswith("#!"):
            yield Permit(place, "x")
    if not executable and not Path(full).stat().st_mode & 0o200:
        yield Permit(place, "w")


def _path_in(evidence: str) -> str | None:
    match = re.search(r"(?:^|[\s'\"`(])((?:\.{0,2}/)?[\w.+/-]+): [Pp]ermission denied", evidence)
    return match[1] if match else None


def fewer_jobs(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """Fewer at a time need less memory and fewer processes."""
    if cause.category is Category.LIMIT_EXCEEDED and cause.facts.kind not in (
        "processes", "open files",
    ):  # fmt: skip
        return
    jobs = view.jobs
    while jobs > 1:
        jobs //= 2
        yield FewerJobs(jobs)


def other_scratch(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """Where the place for temporary files is full, the project's own disk may have room."""
    named = " ".join((cause.facts.path or "", cause.facts.file or "", cause.evidence))
    temporary = view.variable("TMPDIR") or "/tmp"  # noqa: S108 - a name
    if temporary not in named and "/tmp/" not in named:  # noqa: S108
        return
    if free_bytes(view.source) > 4 * max(free_bytes(temporary), 16 << 20):
        yield SetVariables((Variable("TMPDIR", f"{SOURCE}/{_SCRATCH}"),))


def free_bytes(path: str) -> int:
    """Return how much room is left where a path is; 0 where that cannot be told."""
    try:
        found = os.statvfs(path)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize


def stale_configuration(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """What CMake left of a configuration of other sources goes out of the way."""
    if cause.facts.kind != "stale cache" and "CMakeCache.txt" not in cause.evidence:
        return
    build = view.inside(view.build)
    base = "" if build in (None, ".") else f"{build}/"
    cache = view.text(f"{base}CMakeCache.txt") or ""
    paths = tuple(f"{base}{n}" for n in ("CMakeCache.txt", "CMakeFiles") if view.exists(base + n))
    made_by_cmake = "# This is the CMakeCache file." in cache
    if made_by_cmake and not any(t.startswith(paths) for t in view.tracked):
        yield SetAside(paths)


def stale_output(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """A precompiled header, or the like, that is older than what it was made of goes."""
    if cause.facts.kind != "stale":
        return
    for named in re.findall(r"[\w./+-]+\.(?:gch|pch)\b", cause.evidence):
        place = view.place_of(named)
        if place and place not in view.tracked:
            yield SetAside((place,))


def foreign_object(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """An object that no linker can use, beside the source that it is made from, is made anew."""
    named = " ".join((cause.facts.library or "", cause.facts.file or "", cause.facts.path or "",
                      cause.evidence))  # fmt: skip
    for word in dict.fromkeys(re.findall(r"[\w./+-]+\.(?:o|obj|lo|a|gch)\b", named)):
        place = view.place_of(word)
        stem = place.rpartition(".")[0] if place else ""
        made = any(view.exists(f"{stem}.{ending}") for ending in _SOURCES)
        if place and place not in view.tracked and made:
            yield SetAside((place,))


_SOURCES: Final = ("c", "cc", "cpp", "cxx", "C", "S", "s", "m", "f90", "f", "h", "hpp")


def from_the_future(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """Files that are newer than the clock says get the time of now."""
    now = time.time() + 1
    late = [f for f in view.files if (Path(view.source) / f).lstat().st_mtime > now]
    if late:
        yield Touch(tuple(late))


def made_meanwhile(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """What was missing when it was looked for, and is here now, was made by a job beside it."""
    facts = cause.facts
    named = facts.header or facts.path or facts.target
    if not named:
        return
    folders = [view.source, view.build]
    if place := view.place_of(facts.file):
        folders.append(os.path.dirname(os.path.join(view.source, place)))  # noqa: PTH118, PTH120
    if any(os.path.isfile(os.path.join(f, named)) for f in folders):  # noqa: PTH113, PTH118
        yield Retry(1, 0.0)
        yield FewerJobs(1)


def lock_file(cause: Diagnosis, view: View) -> Iterator[Fix]:
    """A lock file that does not fit its manifest is written anew by its own tool."""
    if cause.facts.kind != "lock file":
        return
    if cause.facts.ecosystem == "node" and view.system is SystemName.NPM:
        argv = ("npm", "install", "--package-lock-only", "--no-audit", "--no-fund")
        yield RunTool(argv, ("package-lock.json",))
    if cause.facts.ecosystem == "rust":
        yield RunTool(("cargo", "generate-lockfile"), ("Cargo.lock",))
