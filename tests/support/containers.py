"""Containers for deployment tests: an engine and a base image made on this machine.

Knows nothing of what runs in them. Whatever is started is taken down by its own name.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from support.processes import REPOSITORY

BASE_IMAGE = "localhost/cyxmake-base:1"


class EngineUnavailable(Exception):
    """Containers cannot be run on this machine."""


@dataclass(frozen=True)
class Engine:
    """Podman with its own storage, and podman-compose on the repository's file."""

    home: Path
    project: str
    settings: dict[str, str]

    @classmethod
    def prepare(cls, project: str, **settings: str) -> Engine:
        """Set up what is missing; raises EngineUnavailable."""
        named = os.environ.get("CYXMAKE_DEPLOY_HOME")
        home = Path(named) if named else platformdirs.user_cache_path("cyxmake-tests") / "deploy"
        script = REPOSITORY / "tests/deploy/prepare.sh"
        done = subprocess.run(
            [str(script), str(home)], capture_output=True, text=True, check=False, timeout=1200
        )
        if done.returncode:
            said = (done.stderr + done.stdout).strip().splitlines() or ["no reason given"]
            raise EngineUnavailable(said[-1])
        return cls(home, project, {"CYXMAKE_BASE_IMAGE": BASE_IMAGE, **settings})

    def tool(self, name: str) -> str:
        """Return the path of a program that the set-up installed."""
        return str(self.home / "tools/bin" / name)

    def podman(self, *arguments: str, check: bool = True) -> str:
        """Run podman; returns what it printed on both streams."""
        return self._run(["podman", *arguments], check)

    def succeeds(self, *arguments: str) -> bool:
        """Tell whether a podman command ends with 0."""
        env = os.environ | self._environment()
        argv = ["podman", *arguments]
        done = subprocess.run(argv, env=env, capture_output=True, check=False, timeout=120)
        return done.returncode == 0

    def compose(self, *arguments: str) -> str:
        """Run podman-compose on docker-compose.yml."""
        argv = [self.tool("podman-compose"), "-p", self.project]
        return self._run([*argv, "--podman-build-args=--network=host", *arguments], True)

    def inspect(self, container: str) -> dict[str, Any]:
        """Return what the engine knows of a container."""
        found: list[dict[str, Any]] = json.loads(self.podman("inspect", container))
        return found[0]

    def containers(self, service: str = "") -> list[str]:
        """Return the names of this project's containers."""
        prefix = f"{self.project}_{service}"
        names = self.podman("ps", "--all", "--format", "{{.Names}}").split()
        return sorted(name for name in names if name.startswith(prefix))

    def leftovers(self) -> list[str]:
        """Return this project's containers, volumes and networks; anonymous volumes count."""
        volumes = self.podman("volume", "ls", "--quiet").split()
        networks = self.podman("network", "ls", "--format", "{{.Name}}").split()
        named = [name for name in networks if name.startswith(self.project)]
        return [*self.containers(), *volumes, *named]

    def _run(self, argv: list[str], check: bool) -> str:
        env = os.environ | self._environment()
        done = subprocess.run(
            argv, cwd=REPOSITORY, env=env, text=True, check=False, timeout=900,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0 or not check, f"{argv}: {done.stdout[-3000:]}"
        return done.stdout

    def _environment(self) -> dict[str, str]:
        return self.settings | {
            "CONTAINERS_CONF": str(self.home / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.home / "storage.conf"),
        }


def wait_until(what: Callable[[], bool], seconds: float, complaint: Callable[[], str]) -> None:
    """Look again and again until something is so."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, complaint()
        time.sleep(0.3)
