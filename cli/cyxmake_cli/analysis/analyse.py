"""The whole analysis of a repository, and the cache of it that is never older than its truth.

Knows in which order the readers are asked, and nothing of what they read.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from cyxmake_cli.analysis import languages
from cyxmake_cli.analysis.changes import Changes, changes, fingerprint
from cyxmake_cli.analysis.components import components
from cyxmake_cli.analysis.dependencies import dependencies
from cyxmake_cli.analysis.files import Files, files_of
from cyxmake_cli.analysis.git_facts import git_facts
from cyxmake_cli.analysis.hints import hints
from cyxmake_cli.analysis.identity import identity
from cyxmake_cli.analysis.installed import Installed
from cyxmake_cli.analysis.model import Analysis
from cyxmake_cli.analysis.targets import targets
from cyxmake_cli.analysis.versions import versions

CACHE: Final = "cache.json"
VERSION: Final = 1


def analyse(root: Path, files: Files | None = None) -> Analysis:
    """Return everything that can be told of a repository by reading it; nothing is run but git."""
    files = files or files_of(root)
    looked_at: list[str] = []

    def head(path: str) -> str:
        looked_at.append(path)
        return files.head(path)

    spoken = languages.count(files.sizes, head)
    parts = components(files)
    first = parts[0] if parts and parts[0].directory == "." else None
    named = identity(files, (first.system, *first.others) if first else ())
    made = targets(files)
    own = {named.name.lower(), *(target.name.lower() for target in made)}
    needed = Installed(root).check(d for d in dependencies(files) if d.name.lower() not in own)
    asked = versions(files)
    shown = hints(files)
    evidence = [str(e["file"]) for part in parts for e in part.evidence]
    read = tuple({*files.read(), *looked_at, *evidence})
    return Analysis(
        named.name,
        named.version,
        named.description,
        len(files.sizes),
        sum(files.sizes.values()),
        spoken,
        parts,
        made,
        needed,
        asked,
        shown,
        git_facts(root),
        fingerprint(files, read),
    )


def as_json(analysis: Analysis) -> dict[str, Any]:
    """Return what is written to the cache: the fields of `Analysis`."""
    return {"version": VERSION, **asdict(analysis)}


def what_changed(found: dict[str, Any], files: Files) -> Changes:
    """Return how a repository differs from a cached analysis of it."""
    if found.get("version") != VERSION or not isinstance(found.get("fingerprint"), dict):
        return Changes(unreadable=True)
    return changes(found["fingerprint"], files)
