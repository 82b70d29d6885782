"""Which files an earlier whole-project build brought, and whether a new one may take their place.

Knows nothing of clusters. A path from the network is hostile until shown otherwise, and a file that
somebody edited, or that was a source, is never written over.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cyxmake_common.digest import Digest
from cyxmake_common.globs import is_inside


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be written: paths that were `asked` for, none of the `sources`."""

    asked: Callable[[str], bool]
    sources: Collection[str]
    overwrite: bool = False


@dataclass(slots=True)
class Brought:
    """The files of one project that builds brought, by path in it: digest, or `-> target`."""

    file: Path
    known: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def load(cache_dir: Path, source: str) -> Brought:
        """Return what is known of a project; nothing where the record is unreadable."""
        name = hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        file = cache_dir / "brought" / f"{name}.json"
        try:
            known = json.loads(file.read_text("utf-8"))
            return Brought(file, {str(k): str(v) for k, v in known.items()})
        except (OSError, ValueError, AttributeError):
            return Brought(file)

    def save(self) -> None:
        """Replace the record; raises OSError."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.file.with_name(f"{self.file.name}.{os.getpid()}")
        temporary.write_text(json.dumps(self.known, indent=0, sort_keys=True), "utf-8")
        temporary.replace(self.file)

    def is_ours(self, source: str, path: str, digest: Callable[[str], Digest]) -> bool:
        """Tell whether a file of the project is, unchanged, one that a build brought."""
        known = self.known.get(path)
        return known is not None and present(f"{source}/{path}", digest) == known


def present(place: str, digest: Callable[[str], Digest]) -> str | None:
    """Return what stands at a place, as it is recorded; None when nothing does."""
    try:
        mode = os.lstat(place).st_mode
        if stat.S_ISLNK(mode):
            return f"-> {os.readlink(place)}"  # noqa: PTH115
        return str(digest(place)) if stat.S_ISREG(mode) else "something else"
    except (FileNotFoundError, NotADirectoryError):
        return None


def why_not(path: str, new: str, there: str | None, known: Mapping[str, str], rules: Rules) -> str:
    """Say why a file that came back is not put in place; empty when it is.

    `new` and `there` are what came and what stands at its place, as they are recorded.
    """
    if not is_inside(path):
        return "is no path inside of the project"
    if new.startswith("-> ") and not _stays_inside(path, new[3:]):
        return "is a link that leads out of the project"
    if not rules.asked(path):
        return "was not asked for"
    if path in rules.sources:
        return "is a source, which the build changed there"
    if there in (None, new) or there == known.get(path) or rules.overwrite:
        return "" if there != "something else" else "is no plain file here"
    return "is another file here than the last such build brought (--overwrite replaces it)"


def leads_through_link(source: str, path: str) -> bool:
    """Tell whether a directory on the way to a path of the project is none of its own."""
    place = source
    for name in path.split("/")[:-1]:
        place += "/" + name
        try:
            if not stat.S_ISDIR(os.lstat(place).st_mode):
                return True
        except FileNotFoundError:
            return False
    return False


def _stays_inside(path: str, target: str) -> bool:
    return not target.startswith("/") and is_inside(
        os.path.normpath(f"{path.rpartition('/')[0]}/{target}".lstrip("/"))
    )
