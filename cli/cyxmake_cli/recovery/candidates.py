"""From a diagnosis to fixes that may help, best first: the rows of `data/candidates.toml`.

A row is a fix word for word, or names a function that looks at the project. What was learnt about
fixes that worked moves them up. Knows nothing of how fixes are made or judged.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from cyxmake_cli.recovery import propose_code, propose_edits, propose_missing, propose_state
from cyxmake_cli.recovery.fixes import Fix, fix_of, key_of
from cyxmake_cli.recovery.view import View
from cyxmake_cli.systems.model import SystemName
from cyxmake_common.diagnosis.model import Category, Diagnosis

Proposer = Callable[[Diagnosis, View], Iterator[Fix]]

PROPOSERS: Final[dict[str, Proposer]] = {
    function.__name__: function
    for function in (
        propose_missing.restore_from_version_control, propose_missing.submodules,
        propose_missing.own_header, propose_missing.other_name, propose_missing.system_packages,
        propose_missing.language_packages, propose_missing.node_modules,
        propose_missing.go_modules, propose_missing.directory,
        propose_state.permission, propose_state.fewer_jobs, propose_state.other_scratch,
        propose_state.stale_configuration, propose_state.foreign_object,
        propose_state.from_the_future, propose_state.made_meanwhile,
        propose_state.stale_output, propose_state.lock_file,
        propose_edits.line_endings, propose_edits.makefile_tabs, propose_edits.misspelt_command,
        propose_edits.manifest, propose_edits.language_standard, propose_edits.tool_version,
        propose_edits.compiler_variable, propose_edits.named_compiler, propose_edits.drop_option,
        propose_edits.drop_werror,
        propose_code.fix_its, propose_code.semicolon, propose_code.missing_include,
        propose_code.symbol_library, propose_code.symbol_source,
        propose_code.stale_object,
    )
}  # fmt: skip
"""Every function that a row may name."""
_MOST: Final = 12


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    categories: frozenset[Category]
    propose: str = ""
    rules: frozenset[str] = frozenset()
    facts: tuple[tuple[str, re.Pattern[str]], ...] = ()
    evidence: re.Pattern[str] | None = None
    systems: frozenset[SystemName] = frozenset()
    needs: tuple[str, ...] = ()
    fix: tuple[tuple[str, Any], ...] = ()

    def fits(self, cause: Diagnosis, system: SystemName) -> dict[str, str] | None:
        """Return the words to fill in where the row is meant for a cause."""
        known = {name: str(value) for name, value in cause.facts.known().items()}
        if cause.category not in self.categories or (self.rules and cause.rule not in self.rules):
            return None
        if self.systems and system not in self.systems:
            return None
        if not all(p.fullmatch(known.get(name, "")) for name, p in self.facts):
            return None
        if self.evidence is not None:
            match = self.evidence.search(cause.evidence)
            if match is None:
                return None
            known |= {k: v for k, v in match.groupdict().items() if v}
        return known if all(name in known for name in self.needs) else None


_NARROWING: Final = ("categories", "propose", "rules", "facts", "evidence", "systems", "needs")


@lru_cache(maxsize=1)
def table() -> tuple[Row, ...]:
    """Return the rows; raises ValueError for a row that means nothing."""
    text = files(__package__).joinpath("data", "candidates.toml").read_text("utf-8")
    return tuple(_row(row) for row in tomllib.loads(text)["row"])


def _row(value: dict[str, Any]) -> Row:
    rest = {name: v for name, v in value.items() if name not in _NARROWING}
    if ("propose" in value) == ("fix" in value) or (rest and "fix" not in value):
        raise ValueError(f"a row is a function or a fix: {value}")
    if "propose" in value and value["propose"] not in PROPOSERS:
        raise ValueError(f"no function is called {value['propose']}")
    row = Row(
        frozenset(Category(c) for c in value["categories"]),
        value.get("propose", ""),
        frozenset(value.get("rules", ())),
        tuple((name, re.compile(p)) for name, p in value.get("facts", {}).items()),
        re.compile(value["evidence"]) if "evidence" in value else None,
        frozenset(SystemName(s) for s in value.get("systems", ())),
        tuple(value.get("needs", ())),
        tuple(rest.items()),
    )
    if row.fix:
        _constant(row, dict.fromkeys((*row.needs, "option"), "x"))
    return row


def _constant(row: Row, words: dict[str, str]) -> Fix:
    given = {("kind" if name == "fix" else name): value for name, value in row.fix}
    return fix_of({name: _filled(value, words) for name, value in given.items()})


def _filled(value: Any, words: dict[str, str]) -> Any:
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda m: words.get(m[1], m[0]), value)
    if isinstance(value, list):
        return [_filled(v, words) for v in value]
    if isinstance(value, dict):
        return {k: _filled(v, words) for k, v in value.items()}
    return value


def candidates(
    cause: Diagnosis, view: View, learnt: Callable[[Diagnosis, Fix], float] = lambda c, f: 0.0
) -> tuple[Fix, ...]:
    """Return the fixes that may help a cause, best first, each once.

    `learnt` is what experience says of a fix for a cause: above 0 moves it up, below 0 down.
    """
    found: dict[str, Fix] = {}
    for fix in _in_order(table(), cause, view):
        found.setdefault(key_of(fix), fix)
        if len(found) == _MOST:
            break
    return tuple(sorted(found.values(), key=lambda fix: -learnt(cause, fix)))


def _in_order(rows: Iterable[Row], cause: Diagnosis, view: View) -> Iterator[Fix]:
    for row in rows:
        words = row.fits(cause, view.system)
        if words is None:
            continue
        if row.propose:
            yield from PROPOSERS[row.propose](cause, view)
        else:
            yield _constant(row, words)
