"""The checks of `cyxmake doctor` that concern this machine alone.

No command itself. Each check does the thing that it checks.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_cli import config
from cyxmake_common.errors import CyxError
from cyxmake_common.execution.process import ProcessRequest, ProcessResult, run_process

_LEAST_FREE: Final = 1 << 30
_MOST_SKEW: Final = 2.0
_C: Final = '#include <stdio.h>\nint main(void) { return puts("works") < 0; }\n'
_CXX: Final = (
    "#include <iostream>\n#include <string>\n"
    'int main() { std::cout << std::string("works") << std::endl; }\n'
)
_COMPILES: Final = (("C", ("cc", "gcc", "clang"), "a.c", _C),
                    ("C++", ("c++", "g++", "clang++"), "a.cpp", _CXX))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found: good, warning, bad or skipped; `told` even when nobody asks for more.

    `fix` says what to do, where there is something to do.
    """

    name: str
    state: str
    detail: str
    fix: str = ""
    told: bool = True


def local_checks(directory: Path) -> Iterator[Check]:
    """Yield the checks of this machine and of the project in a directory."""
    yield _python()
    yield from _settings(directory)
    yield from _project(directory)
    yield from _compilers()
    yield from _places(directory)
    yield _clock()
    yield _cache()


def model_checks(directory: Path, *, offline: bool) -> Iterator[Check]:
    """Yield a check for each language model that is configured; none has to be."""
    from dataclasses import replace

    from cyxmake_cli.llm.open import open_models
    from cyxmake_cli.settings import load

    try:
        settings = load(directory).settings.ai
        models = open_models(replace(settings, timeout=min(settings.timeout, 10.0)))
    except CyxError as error:
        yield Check("language model", "bad", error.message, error.next_step)
        return
    if models is None:
        why = "none is here" if settings.enabled else "ai.enabled is false"
        yield Check("language model", "skipped", f"{why}; nothing needs one")
        return
    for backend in models.backends:
        if (offline or settings.offline) and not backend.capabilities.local:
            yield Check("language model", "skipped", f"{backend.name} is not on this machine")
            continue
        health = backend.health()
        state = "good" if health.good else "warning"
        yield Check("language model", state, f"{backend.name}: {health.detail}", health.fix)
    models.close()


def _python() -> Check:
    version = sys.version.partition(" ")[0]
    return Check("python", "good", f"{version} at {sys.executable}")


def _settings(directory: Path) -> Iterator[Check]:
    from cyxmake_cli.settings import load

    try:
        loaded = load(directory)
    except CyxError as error:
        yield Check("settings", "bad", error.message, error.next_step)
        return
    files = [str(f) for f in (loaded.project_file, loaded.user_file) if f and f.is_file()]
    yield Check("settings", "good", ", ".join(files) or "all at their defaults")


def _project(directory: Path) -> Iterator[Check]:
    from cyxmake_cli.building.project import open_project
    from cyxmake_cli.tools.discovery import Discovery
    from cyxmake_cli.tools.table import TOOLS

    try:
        project = open_project(directory)
    except CyxError as error:
        yield Check("project", "skipped", error.message)
        return
    first = project.detections[0].evidence[0] if project.detections else None
    shown = f" ({first.file}:{first.line})" if first else ""
    yield Check("project", "good", f"{project.source.name} builds with {project.spec.title}{shown}")
    discovery = Discovery()
    missing = project.missing()
    for group in project.spec.tools:
        if group in missing:
            yield Check("tool", "bad", f"{' or '.join(group)} is not installed", how_to_get(group))
        else:
            known = [name for name in group if name in TOOLS]
            for tool in discovery.find(known)[:1]:
                yield Check("tool", "good", f"{tool.name} {tool.version} at {tool.path}")


def how_to_get(group: tuple[str, ...]) -> str:
    """Return the command that brings one program of a group, for this machine."""
    from cyxmake_cli.tools.installing import available, ways_to_get
    from cyxmake_cli.tools.packages import MANAGERS

    for name in group:
        for manager, package in ways_to_get(name, available()):
            words = [package if w == "{names}" else w.replace("{name}", package)
                     for w in MANAGERS[manager].install]  # fmt: skip
            return " ".join(words)
    return f"install {group[0]}, and see that it is in PATH"


def _compilers() -> Iterator[Check]:
    with tempfile.TemporaryDirectory(prefix="cyxmake-doctor-") as folder:
        for language, programs, name, text in _COMPILES:
            compiler = next((p for p in programs if shutil.which(p)), None)
            if compiler is None:
                yield Check(f"{language} compiler", "warning", f"no {' or '.join(programs)}",
                            how_to_get(programs[1:2]))  # fmt: skip
                continue
            yield _compile(language, compiler, Path(folder), name, text)


def _compile(language: str, compiler: str, folder: Path, name: str, text: str) -> Check:
    """Compile, link and run a program."""
    (folder / name).write_text(text)
    title = f"{language} compiler"
    program = folder / f"{name}.exe"
    made = _run((compiler, name, "-o", str(program)), folder)
    if made is None or not made.succeeded:
        said = (made.stderr if made else b"").decode("utf-8", "replace").strip().splitlines()
        where = said[0] if said else "it does not start"
        packages = {"C": "libc6-dev", "C++": "g++"} if shutil.which("apt-get") else {}
        fix = f"apt-get install -y {packages[language]}" if packages else f"reinstall {compiler}"
        return Check(title, "bad", f"{compiler} cannot build a program: {where}", fix)
    ran = _run((str(program),), folder)
    if ran is None or ran.stdout.strip() != b"works":
        return Check(title, "bad", f"what {compiler} builds does not run here",
                     f"see that {compiler} is no cross compiler, and that {folder.parent} is not "
                     "mounted noexec (TMPDIR names another place)")  # fmt: skip
    return Check(title, "good", f"{compiler} builds a program, and that runs")


def _run(argv: tuple[str, ...], cwd: Path) -> ProcessResult | None:
    try:
        return asyncio.run(run_process(ProcessRequest(argv, cwd=cwd, timeout=60)))
    except OSError:
        return None


def _places(directory: Path) -> Iterator[Check]:
    for name, place in (
        ("cache directory", config.cache_directory()),
        ("configuration directory", config.config_directory()),
        ("project directory", directory),
        ("temporary directory", Path(tempfile.gettempdir())),
    ):
        yield _place(name, place)
    token = config.config_directory() / "token"
    if token.exists() and sys.platform != "win32" and token.stat().st_mode & 0o077:
        yield Check("token", "bad", f"{token} can be read by others", f"chmod 600 {token}")


def _place(name: str, place: Path) -> Check:
    """Write, rename and link a file there, and look how much room is left."""
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place, prefix=".cyxmake-doctor-") as folder:
            first, second = Path(folder, "a"), Path(folder, "b")
            first.write_bytes(b"x" * 4096)
            first.replace(second)
            os.link(second, first)
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Check(name, "bad", f"{place}: {error.strerror}", f"make {place} writable")
    if free < _LEAST_FREE:
        return Check(name, "warning", f"{place} has {free / 1e9:.1f} GB left",
                     "make room, or name another place")  # fmt: skip
    return Check(name, "good", f"{place}, {free / 1e9:.0f} GB free", told=False)


def _clock() -> Check:
    """Compare the system's time with that of the file system, which stamps what builds make."""
    with tempfile.NamedTemporaryFile(prefix="cyxmake-doctor-") as file:
        file.write(b"x")
        file.flush()
        skew = os.fstat(file.fileno()).st_mtime - time.time()
    made = Path(__file__).stat().st_mtime
    if abs(skew) > _MOST_SKEW:
        return Check("clock", "bad", f"file times differ from the clock by {skew:+.1f} s",
                     "set the clocks of this machine and of its file server")  # fmt: skip
    if time.time() < made:
        return Check("clock", "bad", "the clock stands before the day this program was installed",
                     "set the clock: certificates and file times depend on it")  # fmt: skip
    return Check("clock", "good", "agrees with the file system", told=False)


def _cache() -> Check:
    """Read what is kept for the embedded cluster."""
    import sqlite3

    data = config.cache_directory() / "embedded" / "coordinator"
    files = sorted(data.rglob("*.sqlite*")) + sorted(data.rglob("*.db"))
    broken = []
    for path in files:
        try:
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2) as database:
                answer = database.execute("pragma quick_check(1)").fetchone()
            database.close()
            if answer != ("ok",):
                broken.append(path)
        except sqlite3.DatabaseError:
            broken.append(path)
    if broken:
        return Check("cache", "bad", f"{broken[0]} is damaged", "cyxmake cache verify")
    return Check("cache", "good", f"{len(files)} indexes are sound" if files else "empty so far")
