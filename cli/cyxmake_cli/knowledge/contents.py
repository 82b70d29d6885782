"""Debian's and Ubuntu's list of every file of every package, as an index on this machine.

Fetched by apt itself, from the sources that this machine already uses and with their signatures
checked, into a directory of our own; needs no root and changes nothing of the system. Knows no
ranking. Built on first need, in half a minute, and kept.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from cyxmake_cli.knowledge.rank import Owned
from cyxmake_common.errors import CyxError
from cyxmake_common.execution.process import ProcessRequest, run_process

_TARGET: Final = "CyxContents"
_CONFIG: Final = """
Acquire::IndexTargets::deb::{target} {{
  MetaKey "$(COMPONENT)/Contents-$(ARCHITECTURE)";
  ShortDescription "Contents-$(ARCHITECTURE)";
  Description "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Contents";
  KeepCompressed "true"; KeepCompressedAs "gz"; DefaultEnabled "true"; Optional "true";
}};
Acquire::IndexTargets::deb::Packages::DefaultEnabled "false";
Acquire::IndexTargets::deb::Translations::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb-src::Sources::DefaultEnabled "false";
Acquire::Languages "none";
Acquire::PDiffs "false";
Dir::State::Lists "{lists}";
Dir::Cache "{cache}";
APT::Sandbox::User "";
"""
_WANTED: Final = re.compile(
    rb"(?:(?:usr/)?s?bin/[^/\s]+"
    rb"|usr/games/[^/\s]+"
    rb"|\S*include/\S+"
    rb"|\S+/(?:pkgconfig/[^/\s]+\.pc|[^/\s]+(?:Config|-config)\.cmake)"
    rb"|(?:usr/)?lib(?:32|64)?/\S*lib[^/\s]+\.(?:so[\w.]*|a)"
    rb"|usr/lib/python3[\w.]*/(?:dist-packages/)?[^/\s]+(?:/__init__)?\.py"
    rb"|usr/(?:share|lib)/\S*perl\S*\.pm"
    rb"|usr/share/aclocal\S*/[^/\s]+\.m4)$"
)


_SCHEMA: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE packages (number INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
CREATE TABLE directories (number INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE files (base TEXT NOT NULL, directory INTEGER NOT NULL, package INTEGER NOT NULL);
"""


class IndexUnavailable(CyxError):
    """The index of files cannot be built here: another system, or no network."""

    code = "index_unavailable"


class ContentsIndex:
    """The packages that own files of a name."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)

    def __repr__(self) -> str:
        return "<ContentsIndex>"

    def owners(self, base_name: str) -> list[Owned]:
        """Return the files of this name, wherever they lie."""
        rows = self._database.execute(
            "SELECT directories.name || '/' || base, packages.name FROM files"
            " JOIN packages ON packages.number = package"
            " JOIN directories ON directories.number = directory WHERE base = ?",
            (base_name,),
        )
        return [Owned(path.lstrip("/"), name) for path, name in rows]

    def has_package(self, package: str) -> bool:
        """Tell whether the index knows a package."""
        row = self._database.execute("SELECT 1 FROM packages WHERE name = ?", (package,))
        return row.fetchone() is not None

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


def index_path(cache: Path, os_release: Path = Path("/etc/os-release")) -> Path:
    """Return where the index of this system's release is kept."""
    try:
        text = os_release.read_text("utf-8")
    except OSError:
        text = ""
    fields = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', text, re.MULTILINE))
    name = f"{fields.get('ID', 'unknown')}-{fields.get('VERSION_CODENAME', 'unknown')}"
    return cache / "contents" / f"{re.sub(r'[^a-z0-9.-]', '_', name)}.sqlite"


def open_index(cache: Path) -> ContentsIndex | None:
    """Open the index when it has been built, and may be read."""
    path = index_path(cache)
    try:
        return ContentsIndex(path) if path.is_file() else None
    except (OSError, sqlite3.Error):
        return None


def build_index(cache: Path) -> ContentsIndex:
    """Fetch the lists and build the index anew; raises IndexUnavailable."""
    path = index_path(cache)
    apt = shutil.which("apt-get")
    if apt is None:
        raise IndexUnavailable("this system has no apt, so no list of what its packages hold")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="building-") as folder:
        place = Path(folder)
        unfinished = place / "index.sqlite"
        _fill(unfinished, _entries(_fetch(apt, place)))
        unfinished.replace(path)
    return ContentsIndex(path)


def _fetch(apt: str, place: Path) -> list[Path]:
    (place / "lists" / "partial").mkdir(parents=True)
    (place / "cache").mkdir()
    config = place / "apt.conf"
    config.write_text(
        _CONFIG.format(target=_TARGET, lists=place / "lists", cache=place / "cache"), "utf-8"
    )
    _run(apt, config, "-q", "update")
    listed = _run(apt, config, "indextargets", "--format", "$(FILENAME)", f"Created-By: {_TARGET}")
    names = [Path(line) for line in listed.decode("utf-8", "replace").splitlines() if line]
    found = [name for name in names if name.is_file() and name.suffix == ".gz"]
    if not found:
        raise IndexUnavailable(
            "the package sources of this machine offer no list of files",
            next_step="check `apt-get update`",
        )
    return found


def _run(apt: str, config: Path, *arguments: str) -> bytes:
    environ = {**os.environ, "APT_CONFIG": str(config), "LC_ALL": "C"}
    request = ProcessRequest((apt, *arguments), environment=environ, timeout=600)
    done = asyncio.run(run_process(request))
    if not done.succeeded:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise IndexUnavailable(
            f"the lists of files cannot be fetched: {said[-1] if said else 'apt-get failed'}",
            next_step="check `apt-get update`",
        )
    return done.stdout


def _entries(lists: Iterable[Path]) -> Iterator[tuple[str, list[str]]]:
    """Yield each file that a build may ask for, with the packages that have it.

    A package whose files nobody asks for comes once, without a file: it exists.
    """
    seen: set[bytes] = set()
    for path in lists:
        with gzip.open(path, "rb") as lines:
            for line in lines:
                file, _, owners = line.rstrip().rpartition(b" ")
                file = file.rstrip()
                if _WANTED.match(file):
                    yield file.decode("utf-8", "replace"), _packages(owners)
                elif owners not in seen:
                    yield "", _packages(owners)
                seen.add(owners)


def _packages(owners: bytes) -> list[str]:
    """Return package names from `section/name,section/name`."""
    return [name.rpartition(b"/")[2].decode("ascii", "replace") for name in owners.split(b",")]


def _fill(path: Path, entries: Iterable[tuple[str, list[str]]]) -> None:
    database = sqlite3.connect(path)
    database.executescript(_SCHEMA)
    packages: dict[str, int] = {}
    directories: dict[str, int] = {}

    def rows() -> Iterator[tuple[str, int, int]]:
        for file, owners in entries:
            directory, base = split_path(file)
            place = directories.setdefault(directory, len(directories) + 1)
            numbers = [packages.setdefault(owner, len(packages) + 1) for owner in owners]
            if file:
                yield from ((base, place, number) for number in numbers)

    with database:
        database.executemany("INSERT INTO files VALUES (?, ?, ?)", rows())
        for table, numbers in (("packages", packages), ("directories", directories)):
            database.executemany(
                f"INSERT INTO {table} VALUES (?, ?)",  # noqa: S608 - two constants
                ((number, name) for name, number in numbers.items()),
            )
        database.execute("CREATE INDEX by_base ON files (base)")
    database.close()


def split_path(file: str) -> tuple[str, str]:
    """Return directory and base name; a Python package is named by its directory, too."""
    directory, _, base = file.rpartition("/")
    if base == "__init__.py":
        directory, _, package = directory.rpartition("/")
        base = f"{package}/{base}"
    return directory, base
