"""Reads from a failed compile which file was not there, and where this machine has it.

Knows no cluster. The include scan is a superset by design; what it still misses (a name that an
assembler puts together, say) shows as an error of the compiler on the worker. If the file exists
here, the compile is worth a second try with it.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cyxmake_cli.strategies.compile_units import CompileUnit
from cyxmake_common.includes.search import SearchDirectories, absolute

_MISSING: Final = re.compile(
    rb"^(?:(?P<file>[^\n:]+)(?::\d+)*: )?(?:fatal error|Error|error|<inline asm>[^\n]*): (?:"
    rb"can't open (?P<include>[^\n]+) for reading: No such file or directory"
    rb"|(?P<gcc>[^\n]+): No such file or directory"
    rb"|'(?P<clang>[^'\n]+)' file not found"
    rb"|file not found: (?P<gas>[^\n]+)"
    rb"|Could not find (?:incbin|include) file '(?P<integrated>[^'\n]+)'"
    rb")",
    re.MULTILINE,
)
_NAMES: Final = ("gcc", "clang", "gas", "include", "integrated")


@dataclass(frozen=True, slots=True)
class Missed:
    """A name that the compiler asked for in vain, and the file that it says asked."""

    name: str
    asked_by: str = ""


def missed(output: bytes) -> Missed | None:
    """Return what a compiler's messages say is missing; compilers stop at the first."""
    match = _MISSING.search(output)
    if match is None:
        return None
    name = next(match[group] for group in _NAMES if match[group] is not None)
    return Missed(os.fsdecode(name), os.fsdecode(match["file"] or b""))


def places(missing: Missed, unit: CompileUnit, builtin: Iterable[str]) -> tuple[str, ...]:
    """Return every file of that name along the unit's search path.

    All of them go to the worker, so that it finds the same one as a compile here.
    """
    directory = unit.directory
    search = SearchDirectories.of(unit.command, directory, builtin, unit.environment)
    folders = [
        directory,
        posixpath.dirname(unit.source),
        posixpath.dirname(absolute(missing.asked_by, directory)),
        *search.quote,
        *search.bracket,
        *search.system,
        *search.assembler,
    ]
    found = (absolute(missing.name, folder) for folder in folders)
    return tuple(path for path in dict.fromkeys(found) if os.path.isfile(path))  # noqa: PTH113
