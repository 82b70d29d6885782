"""From a name to packages: exceptions and the table of names, then the index of files.

Pure: the index is handed in. A package that no index has is marked so, and nothing invents one.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import Final, Protocol, cast

from cyxmake_cli.knowledge.names import Candidate, Manager, Name, NameKind
from cyxmake_cli.knowledge.rank import Owned, base_names, best_packages

_MOST: Final = 5


class FileIndex(Protocol):
    """Which package of a system has which file."""

    def owners(self, base_name: str) -> list[Owned]:
        """Return the files of this name, wherever they lie."""
        ...

    def has_package(self, package: str) -> bool:
        """Tell whether the index knows a package."""
        ...


def resolve(name: Name, manager: Manager, index: FileIndex | None = None) -> list[Candidate]:
    """Return the packages of a manager that may have what a name stands for, best first.

    With an index, every candidate of its system is known to exist; without one, none is verified.
    """
    found: list[Candidate] = []
    override = _override(name, manager)
    if override:
        found.append(_candidate(manager, override, index, "named in the table of exceptions"))
    for package in _from_table(name, manager):
        found.append(_candidate(manager, package, index, "named in the table of names"))
    if index is not None and manager is Manager.APT:
        owned = [o for base in base_names(name) for o in index.owners(base)]
        for package in best_packages(name, owned):
            found.append(Candidate(manager, package, True, "has the file"))
    if capability := _capability(name, manager):
        found.append(Candidate(manager, capability, False, "what packages there say they provide"))
    found += _own_ecosystem(name, manager)
    unique = {candidate.package: candidate for candidate in reversed(found)}
    kept = [c for c in dict.fromkeys(unique[c.package] for c in found) if _may_exist(c, index)]
    return kept[:_MOST]


def _candidate(manager: Manager, package: str, index: FileIndex | None, why: str) -> Candidate:
    verified = manager is Manager.APT and index is not None and index.has_package(package)
    return Candidate(manager, package, verified, why)


def _may_exist(candidate: Candidate, index: FileIndex | None) -> bool:
    """Leave out what the index of its own system does not have."""
    return candidate.manager is not Manager.APT or index is None or candidate.verified


def _override(name: Name, manager: Manager) -> str | None:
    by_kind = _data("overrides").get(manager.value, {})
    table = cast("dict[str, str]", by_kind.get(name.kind.value, {}))
    if name.text in table:
        return table[name.text]
    patterns = (key for key in table if key.startswith("^"))
    return next((table[key] for key in patterns if re.search(key, name.text)), None)


def _from_table(name: Name, manager: Manager) -> list[str]:
    rows = _data("names")
    found = []
    for row in rows.values():
        asked = cast("list[str]", row.get(name.kind.value, []))
        package = row.get(manager.value)
        if package and name.text in asked:
            found.append(cast("str", package))
    return found


def _capability(name: Name, manager: Manager) -> str | None:
    """Return what a manager installs by capability instead of by name: `pkgconfig(glib-2.0)`."""
    templates = cast("dict[str, str]", _data("capabilities").get(manager.value, {}))
    template = templates.get(name.kind.value)
    return template.format(name=name.text) if template else None


def _own_ecosystem(name: Name, manager: Manager) -> list[Candidate]:
    """A module of a language is its own package there, or one that a table names."""
    own = {
        (NameKind.PYTHON, Manager.PIP): name.text.split(".")[0],
        (NameKind.NODE, Manager.NPM): _node_package(name.text),
        (NameKind.RUST, Manager.CARGO): name.text,
        (NameKind.GO, Manager.GO): name.text,
        (NameKind.JAVA, Manager.MAVEN): name.text if ":" in name.text else "",
        (NameKind.SYSTEM, manager): name.text,
    }.get((name.kind, manager))
    if not own or not re.fullmatch(r"[\w@][\w@./:+-]*", own):
        return []
    return [Candidate(manager, own, False, "has the module's own name")]


def _node_package(module: str) -> str:
    parts = module.split("/")
    return "/".join(parts[:2]) if module.startswith("@") else parts[0]


@lru_cache(maxsize=3)
def _data(file: str) -> dict[str, dict[str, object]]:
    path = files(__package__).joinpath("data", f"{file}.toml")
    return cast("dict[str, dict[str, object]]", tomllib.loads(path.read_text("utf-8")))
