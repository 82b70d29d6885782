"""A cluster whose coordinator, workers and users are hosts of a private network, with their faults.

Knows nothing of what is built. Everything runs as real programs; each is known by its process id.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from support.journal import Line, read_journal
from support.netns import Delay, Network, network
from support.processes import Program, environment, launch, python

COORDINATOR: Final = "coordinator"
USER: Final = "user"
PORT: Final = 9876
FAKE_CLOCK: Final = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
"""Of the Debian package libfaketime."""

_ON_SMALL_DISK: Final = 'mount -t tmpfs -o "size=$1" tmpfs "$2" && shift 2 && exec "$@"'
_STRICT: Final = {"LOG_LEVEL": "debug", "LOG_JSON": "true"}
_BARE: Final = {"CYXMAKE_WORKER_PROBE_TOOLCHAINS": "false"}
"""Workers that get the compiler over the network: that is where faults have most to hit."""


@dataclass
class Site:
    """One cluster on one network."""

    home: Path
    network: Network
    settings: dict[str, str]
    """Of the coordinator: names as in its environment, without the prefix."""
    disks: dict[str, int]
    """Mebibytes of the hosts that keep their data on a small disk."""
    racing: bool
    """Whether builds run things wherever they are done first: then workers have the compiler, and
    processors that are not the user's."""
    programs: dict[str, Program] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    builds: list[subprocess.Popen[str]] = field(default_factory=list)
    joined: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    """Slots and environment of each worker, for when it is started again."""

    @property
    def workers(self) -> list[str]:
        """Return the names of the hosts that are workers."""
        return [name for name in self.network.hosts if name.startswith("w")]

    def data(self, name: str) -> Path:
        """Return where a host keeps its data."""
        return self.home / name

    # ── programs ────────────────────────────────────────────────────────────────────────────────

    def coordinate(self) -> None:
        """Start the coordinator, or start it anew."""
        host = self.network[COORDINATOR]
        argv = python(
            "cyxmake_coordinator.main", "serve", "--host", host.address, "--port", str(PORT),
            "--data-dir", str(self.data(COORDINATOR)),
        )  # fmt: skip
        settings = _STRICT | {"AUDIT_EVERY": "0"} | self.settings
        env = environment(**{f"CYXMAKE_COORDINATOR_{k}": v for k, v in settings.items()})
        self._start(COORDINATOR, argv, env)
        self.programs[COORDINATOR].await_ready()

    def token(self, role: str, label: str = "") -> str:
        """Return a token of a role; each label has one of its own."""
        key = role + label
        if key not in self.tokens:
            address = f"wss://{self.network[COORDINATOR].address}:{PORT}"
            argv = python(
                "cyxmake_coordinator.main", "token", "create", "--role", role, "--expires", "1h",
                "--address", address, "--data-dir", str(self.data(COORDINATOR)),
            )  # fmt: skip
            inside = ["nsenter", f"--mount=/proc/{self.programs[COORDINATOR].pid}/ns/mnt", "--"]
            done = subprocess.run(
                [*inside, *argv], env=environment(), capture_output=True, text=True, check=True
            )
            self.tokens[key] = done.stdout.strip()
        return self.tokens[key]

    def work(self, name: str, slots: int = 2, **env: str) -> None:
        """Start a worker, or start it anew as it was; it joins some time later."""
        slots, env = self.joined.setdefault(name, (slots, env))
        argv = python(
            "cyxmake_worker.main", "--name", name, "--slots", str(slots),
            "--data-dir", str(self.data(name)),
        )  # fmt: skip
        full = environment(CYXMAKE_WORKER_TOKEN=self.token("worker"))
        full |= ({} if self.racing else _BARE) | env
        full |= {f"CYXMAKE_WORKER_{k}": v for k, v in _STRICT.items()}
        self._start(name, argv, full)

    def _start(self, name: str, argv: list[str], env: dict[str, str]) -> None:
        prefix = self._prefix(name)
        if name in self.disks:
            self.data(name).mkdir(exist_ok=True)
            prefix += ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c"]
            prefix += [_ON_SMALL_DISK, "sh", f"{self.disks[name]}m", str(self.data(name))]
        self.programs[name] = launch([*prefix, *argv], self.home / f"{name}.log", env)

    def begin(
        self, directory: Path, *arguments: str, user: str = "", output: IO[bytes] | None = None
    ) -> subprocess.Popen[str]:
        """Start a build on the user's host; what it says goes to a pipe, or to `output`."""
        home = self.home / f"{USER}{user}"
        env = environment(
            CYXMAKE_CACHE_DIR=str(home / "cache"),
            CYXMAKE_STATE_DIR=str(home / "state"),
            CYXMAKE_CONFIG_DIR=str(home / "config"),
            CYXMAKE_TOKEN=self.token("client", user),
            CCACHE_DISABLE="1",
            CYXMAKE_BUILD_PLACE="auto" if self.racing else "cluster",
        )
        argv = python("cyxmake_cli.main", "dbuild", "-C", str(directory), *arguments)
        build = subprocess.Popen(
            [*self._prefix(USER), *argv],
            stdout=output or subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env,
        )  # fmt: skip
        self.builds.append(build)
        return build

    def _prefix(self, name: str) -> list[str]:
        prefix = self.network[name].prefix()
        if self.racing and name != COORDINATOR:
            first, *others = sorted(os.sched_getaffinity(0))
            ours = [first] if name == USER else others
            prefix += ["taskset", "--cpu-list", ",".join(map(str, ours))]
        return prefix

    def stop(self) -> None:
        """End everything that still runs, frozen or not."""
        for name, program in self.programs.items():
            if program.process.poll() is None:
                self.kill(name)
        for build in self.builds:
            build.kill()
            build.wait()
            if build.stdout is not None:
                build.stdout.close()

    # ── faults ──────────────────────────────────────────────────────────────────────────────────

    def kill(self, name: str) -> None:
        """End a program at once; what it has started has to end by itself, as it would unfrozen."""
        family = _family(self.programs[name].pid)
        self.programs[name].kill()
        _send(family, signal.SIGCONT)

    def freeze(self, name: str) -> None:
        """Stop a program and everything it has started."""
        _send(_family(self.programs[name].pid), signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a frozen program go on."""
        _send(_family(self.programs[name].pid), signal.SIGCONT)

    def fill(self, name: str) -> None:
        """Leave no byte free on a host's small disk."""
        path = self._filler(name)
        with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(65_536))

    def empty(self, name: str) -> None:
        """Take away what filled a disk."""
        self._filler(name).unlink(missing_ok=True)

    def _filler(self, name: str) -> Path:
        # A small disk is seen by its host alone.
        inside = Path(f"/proc/{self.programs[name].pid}/root")
        return inside / self.data(name).relative_to("/") / "filler"

    # ── what is seen ────────────────────────────────────────────────────────────────────────────

    def journal(self) -> list[Line]:
        """Return what the coordinator has written down so far."""
        return read_journal(self.home / f"{COORDINATOR}.log")

    def wait_for(self, event: str, count: int = 1, seconds: float = 60, **fields: object) -> Line:
        """Wait until the journal has so many lines of an event; returns the last of them."""
        until = time.monotonic() + seconds
        while True:
            found = [line for line in self.journal() if line.is_(event, **fields)]
            if len(found) >= count:
                return found[count - 1]
            if time.monotonic() > until:
                raise TimeoutError(f"no {count} {event} {fields} in {seconds:g} s: {self.home}")
            time.sleep(0.05)


@contextlib.contextmanager
def site(
    home: Path,
    *,
    workers: int = 3,
    slots: int = 2,
    delay: Delay | None = None,
    disks: dict[str, int] | None = None,
    worker_env: dict[str, dict[str, str]] | None = None,
    racing: bool = False,
    **settings: str,
) -> Iterator[Site]:
    """Run a coordinator, workers and a user's host for the length of a with block."""
    home.mkdir(parents=True, exist_ok=True)
    names = [f"w{number}" for number in range(workers)]
    with network(COORDINATOR, USER, *names, delay=delay) as made:
        cluster = Site(home, made, settings, disks or {}, racing)
        try:
            cluster.coordinate()
            for name in names:
                cluster.work(name, slots, **(worker_env or {}).get(name, {}))
            for name in names:
                cluster.programs[name].await_ready()
            yield cluster
        finally:
            cluster.stop()
        for name in cluster.programs:  # hundreds of megabytes; what failed stays to be looked at
            shutil.rmtree(cluster.data(name), ignore_errors=True)


def skewed(offset: str) -> dict[str, str]:
    """Return the environment of a host whose clock is wrong by `offset`, as in `+1h`."""
    return {
        "LD_PRELOAD": str(FAKE_CLOCK),
        "FAKETIME": offset,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def _send(processes: list[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def _family(top: int) -> list[int]:
    """Return a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                children.setdefault(int(parent), []).append(int(entry.name))
    found = [top]
    for process in found:
        found += children.get(process, [])
    return found
