"""Says in one line why a tool failed, and which package has what is missing.

Knows no fix: it is what a person reads below the output. Nothing is said where the diagnosis
abstains.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

from cyxmake_cli.knowledge.contents import open_index
from cyxmake_cli.knowledge.names import Manager, Name, NameKind, in_tree, name_of
from cyxmake_cli.knowledge.resolve import FileIndex, resolve
from cyxmake_cli.plugins.rules import known_rules
from cyxmake_cli.tools.installing import available
from cyxmake_common.diagnosis.diagnose import diagnose
from cyxmake_common.diagnosis.model import Category, Diagnosis, LogInput

_OWN: Final = {
    NameKind.PYTHON: Manager.PIP,
    NameKind.NODE: Manager.NPM,
    NameKind.RUST: Manager.CARGO,
    NameKind.GO: Manager.GO,
    NameKind.JAVA: Manager.MAVEN,
}
_WORDS: Final = {
    NameKind.HEADER: "the header",
    NameKind.LIBRARY: "the library",
    NameKind.RUNTIME: "the shared library",
    NameKind.PKG_CONFIG: "the pkg-config package",
    NameKind.CMAKE: "the CMake package",
    NameKind.COMMAND: "the command",
    NameKind.MACRO: "the autoconf macro",
    NameKind.PYTHON: "the Python module",
    NameKind.PERL: "the Perl module",
    NameKind.NODE: "the Node package",
    NameKind.RUST: "the crate",
    NameKind.GO: "the Go module",
    NameKind.JAVA: "the Java library",
    NameKind.SYSTEM: "the package",
}
_SENTENCES: Final = {
    Category.OUT_OF_MEMORY: "the machine ran out of memory; fewer jobs at a time (-j) need less",
    Category.DISK_FULL: "no space is left on the disk",
    Category.PERMISSION_DENIED: "a file may not be read or written by this user",
    Category.TIMEOUT: "a command took too long",
    Category.CLOCK_SKEW: "clocks disagree: files are newer than now",
    Category.WORKER_FAULT: "this machine's storage fails",
    Category.TOOL_CRASH: "a tool crashed; its input may be innocent",
}


def advice(
    output: bytes, exit_status: int, root: Path, cache: Path, files: Collection[str] = ()
) -> str | None:
    """Return one line on the first cause in a tool's output; None when no cause is certain."""
    found = diagnose(LogInput(output.decode("utf-8", "replace"), exit_status), known_rules())
    if not found:
        return None
    index = open_index(cache)
    try:
        return sentence(found[0], system_manager(), index, files or headers_below(root, found[0]))
    finally:
        if index is not None:
            index.close()


def sentence(
    cause: Diagnosis,
    manager: Manager | None,
    index: FileIndex | None,
    files: Collection[str] = (),
    *,
    verified_only: bool = False,
) -> str:
    """Return what a person is told of a cause; `verified_only`: with packages of an index alone."""
    name = name_of(cause)
    if name is not None:
        where = _where(name, manager, index, files, verified_only=verified_only)
        return f"{_WORDS[name.kind]} {name.text} is missing{where}"
    facts = cause.facts
    if cause.category is Category.VERSION_MISMATCH and facts.subject:
        wanted = f" {facts.wanted} is asked for" if facts.wanted else " has the wrong version"
        return f"{facts.subject}{wanted}" + (f", {facts.found} is here" if facts.found else "")
    if known := _SENTENCES.get(cause.category):
        return known
    words = cause.category.value.replace("_", " ")
    line = cause.evidence.split("\n")[0].strip()
    return f"{words}: {line[:160]}" if line else words


def system_manager() -> Manager | None:
    """Return the package manager of this system."""
    known = {manager.value: manager for manager in Manager}
    return next((known[m.name] for m in available() if m.system and m.name in known), None)


def _where(
    name: Name,
    manager: Manager | None,
    index: FileIndex | None,
    files: Collection[str],
    *,
    verified_only: bool,
) -> str:
    if own := in_tree(name, files):
        place = f" ({own[0]})" if own[0] != name.text else ""
        return f"; it is the project's own{place}, so no package has it"
    manager = _OWN.get(name.kind, manager)
    candidates = resolve(name, manager, index) if manager else []
    candidates = [c for c in candidates if c.verified or not verified_only]
    if not candidates:
        return ""
    best = candidates[0]
    has = "has it" if best.verified else "may have it"
    return f"; {best.package} {has} ({best.manager.value})"


_MOST_FILES: Final = 20_000


def headers_below(root: Path, cause: Diagnosis) -> list[str]:
    """Return the project's headers of the missing header's name; a look at a bounded tree."""
    header = cause.facts.header
    if cause.category is not Category.MISSING_HEADER or not header:
        return []
    wanted = header.rsplit("/", 1)[-1]
    found = []
    seen = 0
    for directory, folders, names in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith(".") and f != "node_modules"]
        seen += len(names)
        if wanted in names:
            found.append(str(Path(directory, wanted).relative_to(root)))
        if seen > _MOST_FILES:
            break
    return found
