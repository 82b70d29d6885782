"""Machines of other kinds on this one: arm64 below qemu, Windows below wine, with real workers.

Knows nothing of builds. What is fetched comes by package name and is kept outside of the
repository; where that cannot be had, PlatformUnavailable says why.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import platformdirs
from packaging.requirements import Requirement

from support.processes import REPOSITORY, Cluster, Program, start
from support.zig import version_of

_TAGS = {
    "arm64": ("manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_28_aarch64"),
    "windows": ("win_amd64",),
}
_PREPARE = str(REPOSITORY / "tests/platforms/prepare.sh")
_NAME = re.compile(r"[\w.-]+")


def patient(home: Path) -> tuple[str, ...]:
    """Return options of a coordinator for workers that may be slow to say that they live."""
    file = home / "patient.toml"
    file.write_text("heartbeat_seconds = 5\nworker_timeout_seconds = 90\n")
    return "--config", str(file)


class PlatformUnavailable(Exception):
    """This machine cannot play the other one; the text says why."""


@dataclass(frozen=True)
class Home:
    """Where everything of one kind of machine is kept."""

    kind: str
    path: Path

    @classmethod
    def prepare(cls, kind: str) -> Home:
        """Set up what is missing; raises PlatformUnavailable."""
        named = os.environ.get("CYXMAKE_PLATFORMS_HOME")
        base = Path(named) if named else platformdirs.user_cache_path("cyxmake-tests") / "platforms"
        home = cls(kind, base / kind)
        _run([_PREPARE, kind, str(home.path)])
        there = {"sys_platform": "win32" if kind == "windows" else "linux", "extra": ""}
        requirements = [
            line.partition(";")[0].strip()
            for line in metadata.requires("cyxmake") or ()
            if (marker := Requirement(line).marker) is None or marker.evaluate(there)
        ]
        more = ["colorama"] if kind == "windows" else []  # click's, there only
        home._install("site", [*requirements, *more], follow=True)
        return home

    def install_zig(self, zig: str) -> None:
        """Have zig of the same version as the one here; raises PlatformUnavailable."""
        self._install("zig", [f"ziglang=={version_of(zig)}"], follow=False)

    def _install(self, folder: str, wanted: Sequence[str], *, follow: bool) -> None:
        """Fetch wheels for the other machine and unpack them."""
        place, note = self.path / folder, self.path / f"{folder}.txt"
        told = "\n".join(wanted)
        if note.exists() and note.read_text() == told:
            return
        wheels = self.path / f"{folder}.wheels"
        tags = [word for tag in _TAGS[self.kind] for word in ("--platform", tag)]
        _run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(wheels)),
                *("--only-binary=:all:", "--python-version", "3.11", *tags),
                *(() if follow else ("--no-deps",)),
                *wanted,
            ]
        )
        for wheel in sorted(wheels.glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(place)
            wheel.unlink()
        for program in place.glob("ziglang/zig*"):
            program.chmod(0o755)
        note.write_text(told)


@dataclass(frozen=True)
class Arm64:
    """An arm64 Debian whose programs the kernel runs through qemu."""

    home: Home

    @classmethod
    def prepare(cls, zig: str) -> Arm64:
        """Set it up; raises PlatformUnavailable."""
        made = cls(Home.prepare("arm64"))
        made.home.install_zig(zig)
        _run([*made.prefix({}), "python3", "-c", "import ssl, websockets, msgpack, pydantic"])
        return made

    def prefix(
        self, variables: Mapping[str, str], writable: Path | None = None, *, zig: bool = True
    ) -> list[str]:
        """Return the argv before a command that shall run there; `writable` is its /data."""
        home = self.home.path
        path = "/usr/bin:/bin:/zig" if zig else "/usr/bin:/bin"
        whole = {
            "PATH": path,
            "HOME": "/data",
            "PYTHONPATH": "/site:/src/common:/src/worker",
            "PYTHONDONTWRITEBYTECODE": "1",
            **variables,
        }
        return [
            "bwrap", "--die-with-parent", "--cap-add", "ALL", "--clearenv",
            "--ro-bind", str(home / "rootfs"), "/", "--dev", "/dev", "--proc", "/proc",
            "--tmpfs", "/tmp", "--ro-bind", str(REPOSITORY), "/src",
            "--ro-bind", str(home / "site"), "/site",
            "--ro-bind", str(home / "zig/ziglang"), "/zig",
            *(() if writable is None else ("--bind", str(writable), "/data")),
            *(word for pair in whole.items() for word in ("--setenv", *pair)),
        ]  # fmt: skip

    def run(self, data: Path, *argv: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command there to the end; `data` is its /data."""
        src = {"PYTHONPATH": "/site:/src/common:/src/worker:/src/coordinator:/src/cli"}
        return subprocess.run(
            [*self.prefix({**src, **variables}, data, zig=False), *argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def join(
        self,
        cluster: Cluster,
        name: str,
        *options: str,
        zig: bool = True,
        changed: Mapping[str, Path] | None = None,
    ) -> Program:
        """Start a worker there and wait until it has joined; `changed` replaces files of its."""
        data = cluster.home / f"worker-{name}"
        data.mkdir()
        # To look at compilers takes minutes below qemu; a worker that starts again knows them.
        known, kept = self.home.path / "toolchains", data / "worker/toolchains"
        if known.is_dir() and not changed:
            shutil.copytree(known, kept)
        (data / "token").write_text(cluster.token("worker"))
        over = [
            word for at, file in (changed or {}).items() for word in ("--ro-bind", str(file), at)
        ]
        argv = [
            *self.prefix({}, data, zig=zig), *over, "python3", "-m", "cyxmake_worker.main",
            "--name", name, "--data-dir", "/data/worker", "--token-file", "/data/token", *options,
        ]  # fmt: skip
        program = start(argv, cluster.home / f"{name}.log", {"PATH": os.environ["PATH"]})
        cluster.workers[name] = program
        if not changed:
            shutil.copytree(kept, known, dirs_exist_ok=True)
        return program


def prepare_cross() -> None:
    """Have gccs of this machine that compile for arm64; raises PlatformUnavailable."""
    _run([_PREPARE, "cross", tempfile.gettempdir()])


@dataclass(frozen=True)
class Windows:
    """Windows below wine, with the Windows build of Python.

    wine reads `/home/...` as a path of Linux where a drive of it leads there, so its drives lead to
    nothing but what is needed: C: is its own, S: the set-up and this repository.
    """

    home: Home

    @classmethod
    def prepare(cls, zig: str) -> Windows:
        """Set it up; raises PlatformUnavailable."""
        made = cls(Home.prepare("windows"))
        made.home.install_zig(zig)
        _run([_PREPARE, "windows_tools", str(made.home.path)])
        source = made.home.path / "src"
        source.unlink(missing_ok=True)
        source.symlink_to(REPOSITORY)
        made.drive("s", made.home.path)
        made.run("-c", "import ssl, websockets, msgpack, pydantic, cryptography")
        return made

    @property
    def prefix(self) -> Path:
        """Return where wine keeps this machine."""
        return self.home.path / "prefix"

    def drive(self, letter: str, folder: Path) -> None:
        """Let a letter lead to a directory, as `subst` does on Windows; wine 8 has that not."""
        link = self.prefix / "dosdevices" / f"{letter}:"
        link.unlink(missing_ok=True)
        link.symlink_to(folder)

    def environment(self, variables: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment for wine, with variables for the program."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home.path),
            "WINEPREFIX": str(self.prefix),
            "WINEDEBUG": "-all",
            "WINEDLLOVERRIDES": "mscoree,mshtml=",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUTF8": "1",
            **(variables or {}),
        }

    def argv(self, *arguments: str) -> list[str]:
        """Return the command line of its Python; standard handles must be pipes."""
        return ["wine", "S:\\python\\python.exe", *arguments]

    def run(self, *arguments: str) -> str:
        """Run its Python to the end; raises PlatformUnavailable."""
        done = subprocess.run(
            self.argv(*arguments),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if done.returncode:
            raise PlatformUnavailable(f"python.exe: {done.stderr[-500:]}")
        return done.stdout.replace("\r\n", "\n")

    def execute(self, program: Path) -> str:
        """Run a program of ours there, and return what it printed."""
        place = self.prefix / "drive_c" / program.name
        shutil.copyfile(program, place)
        place.chmod(0o755)
        done = subprocess.run(
            ["wine", f"C:\\{program.name}"],
            cwd=place.parent,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=300,
        )
        return done.stdout.decode().replace("\r\n", "\n")

    def join(self, cluster: Cluster, name: str, *options: str, slots: int = 1) -> Program:
        """Start a worker there and wait until it has joined."""
        data = self.prefix / "drive_c" / f"worker-{name}"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        for letter in "zyxwvu"[:slots]:
            self.drive(letter, data / "data/run/sandbox/drives" / f"drive-{letter}")
        (data / "token").write_text(cluster.token("worker"))
        argv = self.argv(
            "-m", "cyxmake_worker.main", "--name", name, "--slots", str(slots), "--allow-mapped",
            "--data-dir", f"C:\\worker-{name}\\data",
            "--token-file", f"C:\\worker-{name}\\token", *options,
        )  # fmt: skip
        path = "S:\\zig\\ziglang;S:\\tools;S:\\tools\\tcc;C:\\windows\\system32;C:\\windows"
        program = _piped(argv, cluster.home / f"{name}.log", self.environment({"WINEPATH": path}))
        cluster.workers[name] = program
        return program


def _piped(argv: list[str], log: Path, env: dict[str, str]) -> Program:
    """Start a program whose second output is a pipe as well, and wait for its ready line."""
    process = subprocess.Popen(
        argv,
        cwd=env["HOME"],  # where a drive leads
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
    )

    def copy() -> None:
        assert process.stderr is not None
        with log.open("ab", buffering=0) as file, process.stderr:
            while chunk := process.stderr.read1():  # type: ignore[attr-defined]
                file.write(chunk)

    log.touch()
    threading.Thread(target=copy, daemon=True).start()
    program = Program(process, "", log)
    program.await_ready()
    return program


def _run(argv: Sequence[str]) -> None:
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=900, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PlatformUnavailable(f"{argv[0]}: {error}") from error
    if done.returncode:
        said = (done.stderr + done.stdout).strip().splitlines() or ["no reason given"]
        raise PlatformUnavailable(f"{Path(argv[0]).name}: {said[-1]}")
