"""A copy of a project and the surroundings in which it is built.

Knows neither what breaks a build nor what mends it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_SYSTEM_PATH: Final = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
_BUILD_SECONDS: Final = 300
_KEPT_VARIABLES: Final = (
    "CARGO_HOME", "RUSTUP_HOME", "GOPATH", "GOPROXY", "GOSUMDB", "GOFLAGS", "JAVA_HOME",
    "PIP_INDEX_URL", "PIP_CONFIG_FILE", "PYENV_ROOT", "SSL_CERT_FILE",
)  # fmt: skip


@dataclass(frozen=True)
class Base:
    """A project that builds: where it comes from, how it is built and what that leaves behind."""

    fetch: Callable[[Path], Path]
    build: tuple[tuple[str, ...], ...]
    product: str
    """A glob below the project."""
    needs: tuple[str, ...] = ()
    scratch: str = ""
    """A directory in which it is built, when that is not the project's own."""
    arguments: tuple[str, ...] = ()
    """What `cyxmake build` is told so that it does the same."""


@dataclass
class Ran:
    """How a build ended."""

    log: str
    status: int
    seconds: float


@dataclass
class Workplace:
    """A copy of a project, and the surroundings in which it is built."""

    root: Path
    aside: Path
    """For what the surroundings need: wrappers, layers, a home directory."""
    commands: list[list[str]]
    environment: dict[str, str]
    hidden: set[str] = field(default_factory=set)
    limits: list[str] = field(default_factory=list)
    small: tuple[str, str] | None = None
    """Directory below the project that is a small disk, and its size."""
    plain_user: bool = False
    start: dict[str, str] = field(default_factory=dict)
    """The environment before any change."""
    before: dict[Path, tuple[bytes, int] | None] = field(default_factory=dict)

    def wrapped(self, argv: Sequence[str]) -> list[str]:
        """Return a command as it is run in these surroundings."""
        full = [*argv]
        if self.limits:
            full = ["prlimit", *self.limits, *full]
        if self.plain_user:
            full = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *full]
        return full

    def variables(self) -> dict[str, str]:
        """Return the environment of a command."""
        found = dict(self.environment)
        path = found["PATH"]
        wrappers = self.aside / "bin"
        if self.hidden:
            path = str(_farm(self.aside / "farm", path, self.hidden))
        if wrappers.is_dir():
            path = f"{wrappers}:{path}"
        found["PATH"] = path
        return found

    def keep(self, path: Path) -> None:
        """Remember how a file is, once: before its first change."""
        if path in self.before:
            return
        if path.is_file() and not path.is_symlink():
            self.before[path] = (path.read_bytes(), path.stat().st_mode & 0o7777)
        else:
            self.before[path] = None


def workplace(base: Base, sources: Path, place: Path) -> Workplace:
    """Copy sources to a place of their own, and say how they are built there."""
    root, aside = place / "project", place / "aside"
    shutil.copytree(sources, root, symlinks=True)
    (aside / "home").mkdir(parents=True)
    for folder in (place.parent, place, aside, aside / "home", root):
        folder.chmod(0o755)
    environment = _environment(aside / "home")
    commands = [list(argv) for argv in base.build]
    return Workplace(root, aside, commands, environment, start=dict(environment))


def _environment(home: Path) -> dict[str, str]:
    # A virtual environment's python knows modules that the project's own would not.
    path = [p for p in os.environ.get("PATH", "").split(":") if p and not _is_environment(Path(p))]
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    real_home = Path.home()
    environment.setdefault("CARGO_HOME", str(real_home / ".cargo"))
    environment.setdefault("RUSTUP_HOME", str(real_home / ".rustup"))
    environment.setdefault("GOPATH", str(real_home / "go"))
    environment.setdefault("GOCACHE", str(home.parent.parent.parent / "go-cache"))
    return {
        **environment,
        "HOME": str(home),
        "PATH": ":".join([*path, _SYSTEM_PATH]),
        "LC_ALL": "C.UTF-8",
        "MAVEN_OPTS": f"-Duser.home={real_home}",
        "npm_config_cache": str(real_home / ".npm"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


def _is_environment(folder: Path) -> bool:
    return (folder.parent / "pyvenv.cfg").exists()


def run_build(work: Workplace) -> Ran:
    """Run the commands of a build until one fails; output and errors are read as one."""
    started = time.monotonic()
    log = ""
    status = 0
    for command in _as_one(work):
        process = subprocess.Popen(
            command, cwd=work.root, env=work.variables(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            told, _ = process.communicate(timeout=_BUILD_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            told, _ = process.communicate()
        log += told.decode("utf-8", "replace")
        status = process.returncode
        if status != 0:
            break
    return Ran(log, status, time.monotonic() - started)


def _as_one(work: Workplace) -> list[list[str]]:
    """Return the commands; on a small disk they share one mount, which ends with them."""
    commands = [work.wrapped(argv) for argv in work.commands]
    if work.small is None:
        return commands
    folder, size = work.small
    script = ['mkdir -p "$1"', f'mount -t tmpfs -o size={size} tmpfs "$1"', "shift"]
    words: list[str] = []
    for argv in commands:
        numbers = range(len(words) + 1, len(words) + len(argv) + 1)
        script.append(" ".join(f'"${{{n}}}"' for n in numbers) + " || exit $?")
        words += argv
    return [["unshare", "--mount", "sh", "-c", "\n".join(script), "sh", folder, *words]]


def _farm(folder: Path, path: str, hidden: set[str]) -> Path:
    """Make a directory with a link to every program of a search path but some."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for directory in path.split(":"):
        with contextlib.suppress(OSError):
            for entry in os.scandir(directory):
                link = folder / entry.name
                if entry.name not in hidden and not link.is_symlink():
                    link.symlink_to(entry.path)
    return folder
