"""The broken builds of tests/failures/injected: recipes as data, each with the truth about it.

Knows how a case is tried: it builds, it fails once broken, it builds again once mended.
"""

from __future__ import annotations

import re
import shutil
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from support.changes import Change, apply, take_back
from support.injected_bases import BASES
from support.injection import Base, Ran, Workplace, run_build, workplace
from support.layers import installed

FOLDER: Final = Path(__file__).parents[1] / "failures" / "injected"
_SHARED: Final = ("told", "category", "also", "facts", "autonomous", "why_not", "absent", "root",
                  "first", "change", "fix")  # fmt: skip
_PLACEHOLDER: Final = re.compile(r"@(\w+)@")


@dataclass(frozen=True)
class Injected:
    """A broken build: what is done to which project, and what is true of it then."""

    id: str
    base: str
    told: str
    category: str
    change: tuple[Change, ...]
    also: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    """What a diagnosis must say; a value that starts with a star is the end of the right one."""
    autonomous: bool = False
    """Whether it can be mended without a person."""
    why_not: str = ""
    fix: tuple[Change, ...] | None = None
    """What mends it; None: the change is taken back. Empty: building again is enough."""
    first: tuple[Change, ...] = ()
    """Surroundings in which it builds cleanly, too."""
    absent: str = ""
    """A package that must not be installed on this machine."""
    root: bool = False

    def reason_to_skip(self) -> str | None:
        """Return why this machine cannot try the case."""
        lacking = [tool for tool in BASES[self.base].needs if shutil.which(tool) is None]
        if lacking:
            return f"not installed: {', '.join(lacking)}"
        if self.absent and installed(self.absent):
            return f"{self.absent} is installed here"
        return None


def cases(chosen: str = "") -> list[Injected]:
    """Return the cases whose id matches a regular expression, in the order of their files."""
    found = []
    for path in sorted(FOLDER.glob("*.toml")):
        for recipe in tomllib.loads(path.read_text("utf-8"))["recipe"]:
            for row in recipe["each"]:
                case = _case(recipe, row)
                if re.search(chosen, case.id):
                    found.append(case)
    ids = [case.id for case in found]
    assert len(ids) == len(set(ids)), sorted({i for i in ids if ids.count(i) > 1})
    return found


def _case(recipe: dict[str, Any], row: dict[str, Any]) -> Injected:
    values = {name: _filled(recipe[name], row) for name in _SHARED if name in recipe}
    values["also"] = tuple(c for c in values.get("also", ()) if c)
    for name in ("first", "change", "fix"):
        if name in values:
            values[name] = tuple(values[name])
    return Injected(id=f"{recipe['id']}-{row['id']}", base=row["base"], **values)


def _filled(value: Any, row: dict[str, Any]) -> Any:
    """Put a row's values into a recipe; a placeholder alone stands for a value of any type."""
    if isinstance(value, str):
        alone = _PLACEHOLDER.fullmatch(value)
        if alone:
            return row[alone[1]]
        return _PLACEHOLDER.sub(lambda m: str(row.get(m[1], m[0])), value)
    if isinstance(value, dict):
        return {name: _filled(inner, row) for name, inner in value.items()}
    if isinstance(value, list):
        made: list[Any] = []
        for inner in value:
            alone = _PLACEHOLDER.fullmatch(inner) if isinstance(inner, str) else None
            known = row.get(alone[1], []) if alone else _filled(inner, row)
            made.extend(known if alone and isinstance(known, list) else [known])
        return made
    return value


class NotAsTold(Exception):
    """A case is not what it says: it does not build, does not fail or is not mended."""


def build_cleanly(base: Base, sources: Path, place: Path, first: tuple[Change, ...] = ()) -> None:
    """Build a project that nothing was done to; raises NotAsTold."""
    work = workplace(base, sources, place)
    for change in first:
        apply(work, change)
    _must_build(work, base, run_build(work), "builds cleanly")


def break_it(case: Injected, sources: Path, place: Path) -> Workplace:
    """Return a copy of the project after the change."""
    work = workplace(BASES[case.base], sources, place)
    for change in (*case.first, *case.change):
        apply(work, change)
    return work


def run_broken(work: Workplace) -> Ran:
    """Build what was broken; raises NotAsTold when that works."""
    ran = run_build(work)
    if ran.status == 0:
        raise NotAsTold(f"it builds although it was broken: {ran.log[-1500:]}")
    return ran


def mend(case: Injected, work: Workplace) -> None:
    """Do what mends it, and build in the same place; raises NotAsTold."""
    base = BASES[case.base]
    if case.fix is None:
        take_back(work)
    for change in case.fix or ():
        apply(work, change)
    if base.scratch and work.small is None:
        # What was configured while it was broken is half done.
        shutil.rmtree(work.root / base.scratch, ignore_errors=True)
    _must_build(work, base, run_build(work), "builds once mended")


def _must_build(work: Workplace, base: Base, ran: Ran, what: str) -> None:
    if ran.status != 0:
        raise NotAsTold(f"not true that it {what}: {ran.log[-1500:]}")
    if work.small is None and not any(work.root.glob(base.product)):
        raise NotAsTold(f"not true that it {what}: there is no {base.product}")
