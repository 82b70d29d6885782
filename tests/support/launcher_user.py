"""A user of the launcher with a home of their own, for tests with real clusters."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.processes import environment, python


@dataclass
class User:
    """A user with a home of their own, who belongs to a cluster or brings the embedded one."""

    home: Path
    env: dict[str, str]

    def cyxmake(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run one command."""
        return subprocess.run(
            python("cyxmake_cli.main", *arguments), env=self.env | env, capture_output=True,
            text=True, check=False,
        )  # fmt: skip

    def dbuild(self, directory: Path, *arguments: str, **env: str) -> dict[str, Any]:
        """Build; returns the summary with everything that was said."""
        figures = self.home / "summary.json"
        figures.unlink(missing_ok=True)
        done = self.cyxmake(
            "dbuild", "-C", str(directory), "--summary", str(figures), *arguments, **env
        )
        summary: dict[str, Any] = json.loads(figures.read_text()) if figures.exists() else {}
        return summary | {"status": done.returncode, "output": done.stdout + done.stderr}

    def make(self, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run plain make with the stand-ins first in PATH."""
        path = f"{self.home / 'cache/launcher/bin'}:{self.env['PATH']}"
        return subprocess.run(
            ["make", "-C", str(directory), *arguments], env=self.env | {"PATH": path},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def status(self) -> dict[str, Any] | None:
        """Return what the agent says of itself."""
        done = self.cyxmake("launcher", "status", "--json")
        answer: dict[str, Any] | None = json.loads(done.stdout)["agent"]
        return answer

    def served(self) -> tuple[int, int, int]:
        """Return how many hits, remote and local compiles the agent has answered with."""
        status = self.status()
        assert status is not None
        return tuple(status["served"][name] for name in ("hits", "remote", "local"))

    def stop(self) -> None:
        """End the agent."""
        self.cyxmake("launcher", "stop")


def make_user(home: Path, **env: str) -> User:
    """Return a user with an empty home."""
    home.mkdir(exist_ok=True)
    return User(
        home,
        environment(
            CYXMAKE_CACHE_DIR=str(home / "cache"),
            CYXMAKE_CONFIG_DIR=str(home / "config"),
            CYXMAKE_STATE_DIR=str(home / "state"),
            **env,
        ),
    )


def many(directory: Path, units: int = 24) -> Path:
    """Write a project of many files that take a moment each."""
    directory.mkdir()
    for number in range(units):
        (directory / f"u{number}.cpp").write_text(
            f"// {directory}: its own text, so that no test finds another's results\n"
            "#include <map>\n#include <string>\n"
            f"int unit_{number}(const std::string &s) "
            f"{{ std::map<std::string, int> m; m[s] = {number}; return m.begin()->second; }}\n"
        )
    names = " ".join(f"u{number}.o" for number in range(units))
    (directory / "Makefile").write_text(
        f"all: {names}\n%.o: %.cpp\n\tg++ -O1 -c -o $@ $<\n\t@echo made $@\nclean:\n\trm -f *.o\n"
    )
    return directory


def begin_make(user: User, directory: Path, jobs: int) -> subprocess.Popen[str]:
    """Start make with the stand-ins, to be interfered with."""
    path = f"{user.home / 'cache/launcher/bin'}:{user.env['PATH']}"
    return subprocess.Popen(
        ["make", "-C", str(directory), f"-j{jobs}"], env=user.env | {"PATH": path},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def wait_until_made(process: subprocess.Popen[str], count: int) -> str:
    """Read until so many objects are made."""
    assert process.stdout is not None
    seen = ""
    while seen.count("\nmade ") < count:
        line = process.stdout.readline()
        if not line:
            break
        seen += line
    return seen
