"""One cell of the equality table: a project in a configuration, built locally and by a cluster.

Both builds happen in the same directory, from the same configured tree. Every file that the local
build wrote is compared; one that differs is excused only when a second local build shows that it
differs from build to build by itself. Knows nothing of how the table is printed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from support.builds import recorded_dependencies
from support.corpora import CORPORA, configure_commands, holds_paths, targets
from support.launcher_user import User
from support.source_packages import SourceUnavailable, package_version, source_package

_LOGS = {".ninja_log", ".ninja_deps", ".ninja_lock"}
"""ninja's own memory: times. What it says of dependencies is compared as text."""
_DEPENDENCIES = "(recorded dependencies)"
ELSEWHERE = frozenset({"plain", "g"})
"""Configurations in which the second checkout is compared with a local build of its own."""
NO_COMPILES = ("not a compile", "links here: ")
"""Reasons to stay local that are no compile's: they don't count against hits."""
_SECONDS = 1500
_TEST_SECONDS = 300
_ASKS_THE_COMPILER = re.compile(r"__builtin_(?:FILE|source_location)\b")
WITHOUT_CCACHE = {"CCACHE_DISABLE": "1"}
"""Meson puts ccache before compilers; a depfile of its cache may be wrapped for another name."""


class BuildFailed(Exception):
    """A command of a cell failed; its output is the message."""


@dataclass
class Figures:
    """What one cluster build counted."""

    seconds: float
    hits: int
    remote: int
    local: int
    reasons: dict[str, int]
    healed: int
    workers: dict[str, int]

    @classmethod
    def of(cls, summary: dict[str, Any]) -> Figures:
        """Take them out of the summary of a build."""
        return cls(
            summary["wall"], summary["cache_hits"], summary["remote"], summary["local"],
            summary["local_reasons"], summary["healed"], summary["workers"],
        )  # fmt: skip

    @property
    def kept(self) -> dict[str, int]:
        """Return the compiles that ran here, by reason."""
        return {
            text: count for text, count in self.reasons.items() if not text.startswith(NO_COMPILES)
        }

    @property
    def compiles(self) -> int:
        """Return how many compiles there were."""
        return self.hits + self.remote + sum(self.kept.values())

    @property
    def hit_rate(self) -> float:
        """Return the share of compiles that came from the cache, in per cent."""
        return 100 * self.hits / self.compiles if self.compiles else 100.0


@dataclass
class Cell:
    """What came of a cell."""

    project: str
    version: str
    configuration: str
    workers: str
    problem: str = ""
    local_seconds: float = 0.0
    files: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    first: Figures | None = None
    again: Figures | None = None
    elsewhere: Figures | None = None
    unequal: list[str] = field(default_factory=list)
    changing: list[str] = field(default_factory=list)
    """Files in which two plain local builds differ."""
    bound: int = 0
    """Objects that spell the directory they were made in, or whose code or warnings do so."""
    tests: str = ""
    tests_said: str = ""
    commit: str = ""
    date: str = ""

    def faults(self) -> list[str]:
        """Return everything that is not as it should be."""
        found = [self.problem] if self.problem else []
        found += [f"unequal: {name}" for name in self.unequal]
        if self.first is not None:
            found += [f"local: {text} ({n})" for text, n in self.first.kept.items()]
        if self.again is not None and self._misses(self.again):
            found.append(f"second build: {self.again.hit_rate:.1f} % hits")
        shares = not holds_paths(self.project, self.configuration)
        if shares and self.elsewhere is not None and self.misses_elsewhere() > self.bound:
            found.append(f"second checkout: {self.elsewhere.hit_rate:.1f} % hits")
        if self.tests.startswith("failed"):
            found.append(f"tests {self.tests}")
        return found

    def misses_elsewhere(self) -> int:
        """Return how many compiles the second checkout did not share."""
        return self._misses(self.elsewhere) if self.elsewhere is not None else 0

    def _misses(self, found: Figures) -> int:
        """Return how many compiles missed, besides those of objects that always change."""
        objects = sum(name.endswith(".o") for name in self.changing)
        return max(0, found.compiles - found.hits - objects)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Cell:
        """Read what `to_json` wrote."""
        for name in ("first", "again", "elsewhere"):
            if data[name] is not None:
                data[name] = Figures(**data[name])
        return cls(**data)


class Checkout:
    """A copy of a project's sources below `top`, configured once and restored at will."""

    def __init__(self, project: str, configuration: str, top: Path) -> None:
        self.corpus = CORPORA[project]
        self.configuration = configuration
        self.top = top
        self.source = top / project
        in_source = not configure_commands(self.corpus, configuration, top, top)
        self.build = self.source if in_source else top / "out"
        self._saved = top.with_name(f"{top.name}.configured")
        self._before: dict[str, tuple[int, int]] = {}

    def configure(self) -> None:
        """Copy, prepare and configure, and remember the result; raises SourceUnavailable."""
        for needed in self.corpus.needs:
            if not Path(needed).exists():
                raise SourceUnavailable(f"{self.corpus.package} needs {needed}")
        sources = source_package(self.corpus.package)
        self.remove()
        self.top.mkdir(parents=True)
        _call(["cp", "-a", f"{sources}/.", str(self.source)], self.top)
        for prepare in self.corpus.prepare:
            _call(list(prepare), self.source)
        self.build.mkdir(exist_ok=True)
        for argv in configure_commands(self.corpus, self.configuration, self.source, self.build):
            _call(argv, self.build)
        _call(["cp", "-a", str(self.top), str(self._saved)], self.top)
        self._before = {name: _stamp(path) for name, path in _files(self.top)}

    def restore(self) -> None:
        """Bring back the tree as it was configured, with its times."""
        shutil.rmtree(self.top)
        _call(["cp", "-a", str(self._saved), str(self.top)], self._saved)

    def remove(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self.top, ignore_errors=True)
        shutil.rmtree(self._saved, ignore_errors=True)

    def build_locally(self) -> float:
        """Build with ninja or make alone; returns the seconds it took."""
        argv = ["make", "-j2"] if self.corpus.system.uses_make else ["ninja", "-d", "keepdepfile"]
        start = time.monotonic()
        _call([*argv, *targets(self.corpus, self.configuration)], self.build)
        return time.monotonic() - start

    def build_on(self, user: User) -> Figures:
        """Build on the user's cluster."""
        options = ["-q", "--build-dir", str(self.build)]
        if not self.corpus.system.uses_make:
            options += ["-d", "keepdepfile"]
        done = user.dbuild(self.source, *options, *targets(self.corpus, self.configuration))
        if done["status"] != 0:
            raise BuildFailed(f"dbuild: {done['output'][-3000:]}")
        return Figures.of(done)

    def written(self) -> dict[str, str]:
        """Return the digest of every file that was made or changed since `configure`."""
        found = {}
        for name, path in _files(self.top):
            if path.name not in _LOGS and self._before.get(name) != _stamp(path):
                found[name] = _digest(path)
        if not self.corpus.system.uses_make:
            records = sorted(recorded_dependencies(self.build).split("\n\n"))
            found[_DEPENDENCIES] = hashlib.sha256("\n".join(records).encode()).hexdigest()
        return found

    def bound(self) -> int:
        """Return how many objects spell the checkout's directory."""
        return sum(self._spells(path) for path in self.top.rglob("*.o"))

    def bound_by_text(self) -> int:
        """Return how many objects do, or have code that could, or were made with a word of it.

        Code could if its expanded text spells the directory, or has what only the compiler expands,
        or if a macro of the command line spells it. What is said is part of a result. Only ninja
        tells what it compiles.
        """
        if self.corpus.system.uses_make:
            return self.bound()
        told = json.loads(_call(["ninja", "-t", "compdb"], self.build))
        made = {self.build / unit["output"]: unit["command"] for unit in told}
        return sum(
            self._spells(path) or self._depends(command)
            for path, command in made.items()
            if path.suffix == ".o" and path.exists()
        )

    def _depends(self, command: str) -> bool:
        top, argv = str(self.top), _without_outputs(command)
        if any(word.startswith("-D") and top in word for word in argv):
            return True
        text = _call([*argv, "-E", "-P"], self.build)
        if top in text or _ASKS_THE_COMPILER.search(text):
            return True
        return top in _call([*argv, "-c", "-o", os.devnull], self.build)

    def _spells(self, path: Path) -> bool:
        return str(self.top).encode() in path.read_bytes()

    def run_tests(self) -> str:
        """Run the project's own tests; says how they ended."""
        start = time.monotonic()
        for argv in self.corpus.tests:
            filled = [part.format(source=self.source, build=self.build) for part in argv]
            try:
                _call(filled, self.build, _TEST_SECONDS)
            except BuildFailed as failure:
                return f"failed: {' '.join(filled)}: {str(failure)[-600:]}"
        return f"passed in {time.monotonic() - start:.0f} s"


@dataclass
class _Reference:
    """What a local build of a checkout writes, and in which files a second one differs from it."""

    checkout: Checkout
    wanted: dict[str, str]
    bound: int
    changing: frozenset[str] | None = None
    """None until something differed, and so a second local build was made."""

    @classmethod
    def of(cls, checkout: Checkout) -> _Reference:
        """Take what the build that just ended has written."""
        return cls(checkout, checkout.written(), checkout.bound())

    def judge(self, cell: Cell, where: str, found: dict[str, str]) -> None:
        """Note in a cell what is not as the local build left it.

        A file that differs is excused when it differs between two local builds too.
        """
        suspects = _differences(self.wanted, found)
        if suspects and self.changing is None:
            self.checkout.restore()
            self.checkout.build_locally()
            self.changing = frozenset(_differences(self.wanted, self.checkout.written()))
        excused = self.changing or frozenset()
        cell.changing = sorted({*cell.changing, *excused.intersection(suspects)})
        cell.unequal += [f"{where}{name}" for name in suspects if name not in excused]


def run_cells(rows: Sequence[tuple[Cell, User]], scratch: Path) -> None:
    """Fill the cells of one project in one configuration, each on its user's cluster.

    What goes wrong stands in the cell. They share the local builds, and the project's own tests
    run on what the first cluster built.
    """
    cells = [cell for cell, _ in rows]
    project, configuration = cells[0].project, cells[0].configuration
    here = Checkout(project, configuration, scratch / "here" / project)
    there = Checkout(project, configuration, scratch / "another/place/of/other/depth" / project)
    compared = configuration in ELSEWHERE
    try:
        with _noted(cells):
            here.configure()
            seconds = here.build_locally()
            local = _Reference.of(here)
        for cell, user in _sound(rows):
            with _noted([cell]):
                cell.local_seconds = seconds
                _measure(cell, user, local, tested=cell is cells[0] and configuration == "plain")
        if holds_paths(project, configuration) and not compared:
            return  # as little is shared as with -g
        with _noted(cells):
            there.configure()
            if compared:
                there.build_locally()
            other = _Reference.of(there)
        for cell, user in _sound(rows):
            with _noted([cell]):
                there.restore()
                cell.elsewhere = there.build_on(user)
                if cell.misses_elsewhere() > cell.bound:
                    cell.bound = there.bound_by_text()
                if compared:
                    other.judge(cell, "second checkout: ", there.written())
    finally:
        here.remove()
        there.remove()


def _measure(cell: Cell, user: User, local: _Reference, *, tested: bool) -> None:
    here = local.checkout
    cell.version = package_version(here.source)
    cell.files, cell.kinds = len(local.wanted), _kinds(local.wanted)
    cell.bound = local.bound
    here.restore()
    cell.first = here.build_on(user)
    found = here.written()
    if tested:
        cell.tests_said, cell.tests = here.corpus.tests_said, here.run_tests()
    local.judge(cell, "", found)
    here.restore()
    cell.again = here.build_on(user)
    local.judge(cell, "second build: ", here.written())


@contextmanager
def _noted(cells: Sequence[Cell]) -> Iterator[None]:
    """Turn what goes wrong into the problem of cells."""
    try:
        yield
    except (BuildFailed, SourceUnavailable, AssertionError, OSError) as problem:
        for cell in cells:
            cell.problem = cell.problem or f"{type(problem).__name__}: {problem}"


def _sound(rows: Sequence[tuple[Cell, User]]) -> list[tuple[Cell, User]]:
    return [(cell, user) for cell, user in rows if not cell.problem]


def _differences(wanted: dict[str, str], found: dict[str, str]) -> list[str]:
    return [name for name in sorted({*wanted, *found}) if wanted.get(name) != found.get(name)]


def _kinds(files: dict[str, str]) -> dict[str, int]:
    """Count files by their suffix, so that a table can say what was compared."""
    counted: dict[str, int] = {}
    for name in files:
        suffix = "".join(Path(name).suffixes[-1:]) or "(none)"
        counted[suffix] = counted.get(suffix, 0) + 1
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def _files(top: Path) -> list[tuple[str, Path]]:
    found = []
    for directory, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name != ".cyxmake"]  # what we remember of it
        links = [name for name in folders if Path(directory, name).is_symlink()]
        for name in (*names, *links):
            path = Path(directory, name)
            found.append((path.relative_to(top).as_posix(), path))
    return found


def _without_outputs(command: str) -> list[str]:
    """Return the command of a compile without what it writes."""
    words = iter(shlex.split(command))
    kept = []
    for word in words:
        if word in ("-o", "-MF", "-MT", "-MQ"):
            next(words)
        elif word not in ("-c", "-MD", "-MMD"):
            kept.append(word)
    return kept


def _stamp(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_mtime_ns, status.st_size


def _digest(path: Path) -> str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    if not path.is_file():
        return "special"
    executable = path.stat().st_mode & 0o111
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()} {executable:o}"


def _call(argv: list[str], directory: Path, seconds: float = _SECONDS) -> str:
    """Run a tool that has to succeed; returns what it printed."""
    try:
        done = subprocess.run(
            argv, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False, timeout=seconds,
            env=os.environ | WITHOUT_CCACHE,
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        raise BuildFailed(f"{argv}: no end after {seconds:.0f} s") from late
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0:
        raise BuildFailed(f"{argv}: {text[-3000:]}")
    return text
