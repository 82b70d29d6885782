"""What a `clean` may remove: only files that builds made, as they left them, and empty folders.

Knows nothing of build systems. Whatever is in doubt stays, and is named with the reason.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from cyxmake_cli.building.journal import Journal, look

_BY_HAND: Final = frozenset((
    ".ac", ".adoc", ".am", ".bat", ".bzl", ".c", ".cc", ".cfg", ".clj", ".cmake", ".cpp", ".cs",
    ".css", ".csv", ".cu", ".cxx", ".dart", ".f", ".f90", ".go", ".gradle", ".groovy", ".h", ".hh",
    ".hpp", ".hs", ".html", ".in", ".ini", ".java", ".jl", ".js", ".json", ".jsx", ".kt", ".l",
    ".lua", ".m", ".md", ".ml", ".mm", ".nim", ".php", ".pl", ".properties", ".proto", ".ps1",
    ".py", ".r", ".rb", ".rs", ".rst", ".s", ".scala", ".sh", ".sql", ".swift", ".tex", ".toml",
    ".ts", ".tsx", ".txt", ".vue", ".xml", ".y", ".yaml", ".yml", ".zig",
))  # fmt: skip
"""Endings of files that people write: outside of build folders such a file always stays."""


@dataclass(frozen=True, slots=True)
class CleanPlan:
    """What goes, and what stays though a build seems to have made it, each with the reason."""

    files: tuple[str, ...]
    folders: tuple[str, ...]
    kept: tuple[tuple[str, str], ...]


def plan_clean(
    journal: Journal,
    roots: Iterable[str],
    tracked: Collection[str],
    made_folders: Collection[str],
) -> CleanPlan:
    """Return what a clean removes.

    `tracked` are the absolute paths that version control knows; `made_folders` are folders, or
    globs of such, that the build system makes for itself.
    """
    places = tuple(os.path.abspath(root) for root in roots)  # noqa: PTH100 - as spelled
    files, kept = [], []
    for path, seen in sorted(journal.files.items()):
        now = look(path)
        if now is None:
            continue
        reason = _reason_to_keep(path, places, tracked, made_folders, journal.folders)
        if not reason and now != seen:
            reason = "changed after the build"
        if reason:
            kept.append((path, reason))
        else:
            files.append(path)
    folders = sorted(
        (p for p in journal.folders if any(_below(p, place) for place in places)),
        key=lambda p: -p.count(os.sep),
    )
    return CleanPlan(tuple(files), tuple(folders), tuple(kept))


def _reason_to_keep(
    path: str,
    places: tuple[str, ...],
    tracked: Collection[str],
    made_folders: Collection[str],
    new_folders: Collection[str],
) -> str:
    place = next((p for p in places if _below(path, p)), None)
    if place is None:
        return "outside of the project"
    if path in tracked:
        return "under version control"
    # A folder that has become a link leads to somebody else's files.
    folder = os.path.dirname(path)  # noqa: PTH120 - pure text
    real = os.path.realpath(place) + folder.removeprefix(place)
    if os.path.realpath(folder) != real:
        return "reached through a symbolic link"
    below = PurePath(path).relative_to(place)
    if below.suffix.lower() in _BY_HAND and not _in_made_folder(
        place, below, made_folders, new_folders
    ):
        return "looks like something written by hand"
    return ""


def _in_made_folder(
    place: str, below: PurePath, made: Collection[str], new_folders: Collection[str]
) -> bool:
    """Tell whether a file stands in a folder that is the build's own: by name, and made by it."""
    for parent in below.parents:
        if parent == PurePath():
            return place in new_folders
        named = any(parent.match(pattern) for pattern in made)
        if named and os.path.join(place, parent) in new_folders:  # noqa: PTH118 - pure text
            return True
    return False


def remove(plan: CleanPlan, journal: Journal) -> tuple[int, int]:
    """Remove files that still look as planned, then folders that are empty; returns the counts.

    The journal forgets what is gone; whoever calls saves it.
    """
    files = folders = 0
    for path in plan.files:
        if look(path) != journal.files.get(path):
            continue
        try:
            Path(path).unlink()
        except OSError:
            continue
        del journal.files[path]
        files += 1
    for path in plan.folders:
        if Path(path).is_symlink():
            continue
        try:
            Path(path).rmdir()
        except OSError:
            continue
        journal.folders.discard(path)
        folders += 1
    return files, folders


def _below(path: str, place: str) -> bool:
    return path.startswith(place.rstrip(os.sep) + os.sep)
