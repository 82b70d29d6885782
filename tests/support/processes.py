"""Real programs for tests: a coordinator, workers and builds as processes of their own.

Every process is ended by its own handle; nothing listens beyond loopback.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.bare_root import BareRoot

ROOTS = ("common", "coordinator", "worker", "cli")
LEAVING = 40.0
"""Seconds that a program may take to end; an emulated one needs some."""
REPOSITORY = Path(__file__).resolve().parents[2]


def bare_root(path: Path) -> BareRoot:
    """Make a root for workers that holds what they import, and nothing else."""
    return BareRoot.make(path, [REPOSITORY / root for root in ("common", "worker")])


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which the four packages of this checkout are found."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("CYXMAKE_")}
    env["PYTHONPATH"] = os.pathsep.join(str(REPOSITORY / root) for root in ROOTS)
    env["PYTHONWARNINGS"] = "default"
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of processes would compile us again
    # Workers of tests share this machine's cores: left to itself a build would do all of it here.
    return env | {"CYXMAKE_BUILD_PLACE": "cluster"} | more


def python(module: str, *arguments: str) -> list[str]:
    """Return the argv of one of our programs."""
    return [sys.executable, "-m", module, *arguments]


@dataclass
class Program:
    """A started program with its ready line and its log file."""

    process: subprocess.Popen[bytes]
    ready: str
    log: Path

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self.process.pid

    def await_ready(self) -> None:
        """Wait for the ready line; raises RuntimeError when it ends without one."""
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline().decode().strip()
        if not self.ready:
            self.process.wait(10)
            raise RuntimeError(f"{self.process.args!r} did not start: {self.text()[-2000:]}")

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.process.kill()
        self.process.wait(10)
        self._close()

    def stop(self, seconds: float = 10) -> float:
        """Ask it to end; returns how long that took."""
        start = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        self._close()
        return time.monotonic() - start

    def _close(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()

    def text(self) -> str:
        """Return its log so far."""
        return self.log.read_text("utf-8", "replace")


def start(argv: list[str], log: Path, env: dict[str, str]) -> Program:
    """Start a program and wait for its ready line on standard output."""
    program = launch(argv, log, env)
    program.await_ready()
    return program


def launch(argv: list[str], log: Path, env: dict[str, str]) -> Program:
    """Start a program and wait for nothing."""
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=stderr, stdin=subprocess.DEVNULL, env=env
        )
    return Program(process, "", log)


@dataclass
class BuildRun:
    """What one `cyxmake dbuild` printed and counted."""

    status: int
    output: str
    errors: str
    summary: dict[str, Any]


@dataclass
class Cluster:
    """A coordinator with workers, all under one scratch directory."""

    home: Path
    coordinator: Program
    port: int
    workers: dict[str, Program] = field(default_factory=dict)
    extra_env: dict[str, str] = field(default_factory=dict)
    root: BareRoot | None = None
    """The root file system of its workers, when it is not this machine's."""
    prefix: tuple[str, ...] = ()
    """A program with arguments that starts its next workers."""

    def token(self, role: str, expires: str = "1h") -> str:
        """Make a token through the command line."""
        argv = python(
            "cyxmake_coordinator.main", "token", "create", "--role", role,
            "--expires", expires, "--data-dir", str(self.home / "coordinator"),
        )  # fmt: skip
        done = subprocess.run(argv, env=environment(), capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def coordinate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another coordinator command on the same data directory."""
        argv = python("cyxmake_coordinator.main", *arguments)
        argv += ["--data-dir", str(self.home / "coordinator")]
        return subprocess.run(argv, env=environment(), capture_output=True, text=True, check=False)

    def add_worker(self, name: str, slots: int = 2, **env: str) -> Program:
        """Start a worker and wait until it has joined."""
        data = self.home / f"worker-{name}"
        argv = python(
            "cyxmake_worker.main", "--name", name, "--slots", str(slots), "--data-dir", str(data)
        )
        if self.root is not None:
            argv = [*self.root.prefix([data]), *argv]
        argv = [*self.prefix, *argv]
        token = {"CYXMAKE_WORKER_TOKEN": self.token("worker")}
        program = start(argv, self.home / f"{name}.log", environment(**token, **env))
        self.workers[name] = program
        return program

    def build(self, directory: Path, *arguments: str, **env: str) -> BuildRun:
        """Run `cyxmake dbuild` as a client of this cluster."""
        if "token" not in self.extra_env:
            self.extra_env["token"] = self.token("client")
        return dbuild(
            self.home, directory, *arguments, CYXMAKE_TOKEN=self.extra_env["token"], **env
        )

    def cyxmake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command of the client, which has built here."""
        env = environment(
            CYXMAKE_CACHE_DIR=str(self.home / "cache"),
            CYXMAKE_CONFIG_DIR=str(self.home / "config"),
            CYXMAKE_STATE_DIR=str(self.home / "state"),
            CYXMAKE_TOKEN=self.extra_env["token"],
        )
        argv = python("cyxmake_cli.main", *arguments)
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)

    def ask(self, *arguments: str) -> str:
        """Run another `cyxmake` command as that client; returns what it printed."""
        env = environment(
            CYXMAKE_CACHE_DIR=str(self.home / "cache"),
            CYXMAKE_CONFIG_DIR=str(self.home / "config"),
            CYXMAKE_TOKEN=self.extra_env["token"],
        )
        argv = python("cyxmake_cli.main", *arguments)
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def stop(self) -> None:
        """End everything that still runs."""
        for program in (*self.workers.values(), self.coordinator):
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.stop(LEAVING)


def dbuild(home: Path, directory: Path, *arguments: str, **env: str) -> BuildRun:
    """Run `cyxmake dbuild` in a scratch home and return what came of it."""
    figures = home / "summary.json"
    figures.unlink(missing_ok=True)
    argv = python(
        "cyxmake_cli.main", "dbuild", "-C", str(directory), "--summary", str(figures), *arguments
    )
    full = environment(
        CYXMAKE_CACHE_DIR=str(home / "cache"),
        CYXMAKE_CONFIG_DIR=str(home / "config"),
        CYXMAKE_STATE_DIR=str(home / "state"),
        **env,
    )
    done = subprocess.run(argv, env=full, capture_output=True, text=True, check=False)
    summary = json.loads(figures.read_text()) if figures.exists() else {}
    return BuildRun(done.returncode, done.stdout, done.stderr, summary)


@contextlib.contextmanager
def cluster(
    home: Path,
    *,
    workers: int = 2,
    slots: int = 2,
    root: BareRoot | None = None,
    serve: tuple[str, ...] = (),
) -> Iterator[Cluster]:
    """Run a coordinator, with more options to `serve`, and workers for a with block."""
    argv = python(
        "cyxmake_coordinator.main", "serve", "--port", "0",
        "--data-dir", str(home / "coordinator"), *serve,
    )  # fmt: skip
    coordinator = start(argv, home / "coordinator.log", environment())
    made = Cluster(home, coordinator, int(coordinator.ready.rsplit(":", 1)[1]), root=root)
    try:
        for number in range(workers):
            made.add_worker(f"w{number}", slots)
        yield made
    finally:
        made.stop()


def begin(made: Cluster, directory: Path, *arguments: str, **env: str) -> subprocess.Popen[str]:
    """Start a build that the test can interfere with."""
    full = environment(
        CYXMAKE_CACHE_DIR=str(made.home / "cache"),
        CYXMAKE_STATE_DIR=str(made.home / "state"),
        CYXMAKE_CONFIG_DIR=str(made.home / "config"),
        CYXMAKE_TOKEN=made.token("client"),
        **env,
    )
    return subprocess.Popen(
        python("cyxmake_cli.main", "dbuild", "-C", str(directory), *arguments),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=full,
    )  # fmt: skip


def wait_for_lines(build: subprocess.Popen[str], count: int) -> str:
    """Read until that many edges have finished."""
    assert build.stdout is not None
    seen = ""
    while seen.count("\n[") + seen.startswith("[") < count:
        line = build.stdout.readline()
        if not line:
            break
        seen += line
    return seen
