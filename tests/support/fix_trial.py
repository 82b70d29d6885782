"""Lets cyxmake repair a build that was broken on purpose, and looks at what it did.

Knows nothing of repairs: it compares files before, after, once they were taken back and once all
was cleaned, and watches which programs were started that a repair must not start.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from support.by_hand import harmed, lies_below, plant
from support.injected_bases import BASES
from support.injected_cases import Injected, break_it
from support.injection import Workplace

_OWN: Final = (".cyxmake", ".git")
_SECONDS: Final = 400
_WATCHED: Final = ("sudo", "su", "apt-get", "apt", "dpkg", "pip3", "pkexec", "doas")
_FORBIDDEN: Final = (
    "sudo",
    "su ",
    "pkexec",
    "doas",
    "install",
    "remove",
    "purge",
    "upgrade",
    "-i ",
)
_HARMLESS: Final = ("-s ", "--simulate", "--print-uris", "--download-only", "download", "update")


@dataclass
class Trial:
    """What came of it."""

    id: str
    fixed: bool = False
    tried: int = 0
    """Fixes that were applied, helpful or not."""
    kept: int = 0
    named: str = ""
    """The category that the first fix was for."""
    seconds: float = 0.0
    collateral: list[str] = field(default_factory=list)
    """Files that stood there before, are changed now, and are not in the journal."""
    not_restored: list[str] = field(default_factory=list)
    """Files that are not what they were before, once everything was taken back."""
    by_hand: int = 0
    """Files by hand that stood in every place which a build, a repair or a clean could touch."""
    harmed: list[str] = field(default_factory=list)
    """Those that were not as they were: after which command, and which file."""
    forbidden: list[str] = field(default_factory=list)
    sentence: str = ""
    """What a person was told last."""

    def as_json(self) -> dict[str, Any]:
        """Return what a machine reads."""
        return asdict(self)


Tree = dict[str, str]


def tree_of(root: Path) -> Tree:
    """Return what stands in a project: content, kind and rights of everything, by path."""
    found: Tree = {}
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name not in _OWN)
        for name in files:
            path = Path(folder) / name
            seen = path.lstat()
            if stat.S_ISLNK(seen.st_mode):
                what = f"-> {path.readlink()}"
            else:
                what = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path.relative_to(root))] = f"{seen.st_mode:o} {what}"
    return found


def try_to_fix(case: Injected, place: Path, cache: Path) -> Trial:
    """Break a project, build it with leave to repair, take the repairs back; what was seen."""
    base = BASES[case.base]
    work = break_it(case, base.fetch(place), place)
    if work.plain_user:  # may not write where others keep theirs
        cache = work.aside / "home"
    planted = plant(work.root, _built_in(case))
    before = tree_of(work.root)
    _watch(work)
    trial = Trial(case.id, by_hand=len(planted))
    begun = time.monotonic()
    words = (*base.arguments, *_options(case))
    document, told = _cyxmake(work, cache, "build", "--yes", "--local", "--json", *words)
    trial.seconds = round(time.monotonic() - begun, 1)
    said = [line for line in told.splitlines() if line.startswith(("cyxmake", "error: "))]
    trial.sentence = said[-1].replace(f"{work.root}/", "") if said else ""
    built = document.get("status") == "ok" and any(work.root.glob(base.product))
    repairs = document.get("repairs", [])
    trial.tried = len(repairs)
    trial.kept = sum(repair["state"] == "kept" for repair in repairs)
    trial.named = repairs[0]["category"] if repairs else ""
    trial.fixed = built
    after = tree_of(work.root)
    journal = _journal(work.root)
    in_force = _journal(work.root, "kept")
    trial.harmed += [f"build: {p}" for p in harmed(work.root, planted, in_force)]
    if base.scratch:  # what stood in the build directory is the build's own
        before = {p: what for p, what in before.items() if not p.startswith(f"{base.scratch}/")}
    trial.collateral = [
        p for p in before if after.get(p) != before[p] and not lies_below(p, journal)
    ]
    _cyxmake(work, cache, "undo", "--all", "--yes")
    trial.harmed += [f"undo: {p}" for p in harmed(work.root, planted)]
    undone = tree_of(work.root)
    trial.not_restored = [
        p for p in before if undone.get(p) != before[p] and p not in trial.collateral
    ]
    _cyxmake(work, cache, "clean", "--yes")
    trial.harmed += [f"clean: {p}" for p in harmed(work.root, planted)]
    cleaned = tree_of(work.root)
    trial.harmed += [f"clean: {p}" for p in before if cleaned.get(p) != undone.get(p)]
    trial.forbidden = _forbidden(work)
    return trial


def _options(case: Injected) -> list[str]:
    """Return how cyxmake is told what a case adds to the command that configures."""
    if not BASES[case.base].scratch:
        return []
    added = (c for c in case.change if c["kind"] == "command" and c.get("to") == 0)
    return [f"--option={word}" for change in added for word in change["add"]]


def _built_in(case: Injected) -> list[str]:
    """Return the directories that a build writes to, but for one whose absence is the fault."""
    base = BASES[case.base]
    product = base.product.partition("*")[0].rpartition("/")[0]
    lacking = [change["file"] for change in case.fix or () if change["kind"] == "folder"]
    return [f for f in dict.fromkeys((base.scratch, product)) if f and f not in lacking]


def _cyxmake(work: Workplace, cache: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    program = Path(sys.executable).with_name("cyxmake")
    command = [str(program), arguments[0], "-C", str(work.root), *arguments[1:]]
    variables = {**work.variables(), "XDG_CACHE_HOME": str(cache)}
    try:
        done = subprocess.run(
            _on_its_disk(work, command), env=variables, capture_output=True, text=True,
            errors="replace", timeout=_SECONDS, check=False, cwd=work.root,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {}, "cyxmake: took too long"
    try:
        document: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        document = {}
    return document, done.stderr


def _on_its_disk(work: Workplace, command: list[str]) -> list[str]:
    if work.small is None:
        return work.wrapped(command)
    folder, size = work.small
    script = f'mkdir -p "{folder}" && mount -t tmpfs -o size={size} tmpfs "{folder}" && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh", *work.wrapped(command)]


def _journal(root: Path, state: str = "") -> set[str]:
    """Return the files that the journal of fixes names: of all fixes, or of those in a state."""
    named = set()
    for path in (root / ".cyxmake/recovery").glob("*/fix.json"):
        record = json.loads(path.read_text("utf-8"))
        if state in ("", record["state"]):
            named |= {os.path.relpath(entry["path"], root) for entry in record["before"]}
    return named


def _watch(work: Workplace) -> None:
    """Note every start of a program that changes the machine."""
    folder = work.aside / "bin"
    folder.mkdir(exist_ok=True)
    notes = work.aside / "started"
    notes.touch()
    notes.chmod(0o666)
    for name in _WATCHED:
        real = next((p for d in ("/usr/bin", "/bin") if (p := Path(d) / name).exists()), None)
        if real is not None:
            script = f'#!/bin/sh\necho "{name} $*" >> "{notes}"\nexec "{real}" "$@"\n'
            (folder / name).write_text(script)
            (folder / name).chmod(0o755)


def _forbidden(work: Workplace) -> list[str]:
    lines = (work.aside / "started").read_text("utf-8", "replace").splitlines()
    return [
        line
        for line in lines
        if any(f in f"{line} " for f in _FORBIDDEN) and not any(h in line for h in _HARMLESS)
    ]
