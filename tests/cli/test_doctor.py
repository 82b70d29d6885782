"""`doctor`: what works is said to work, and what is broken is named with its remedy."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from support.processes import environment, python


def doctor(tmp_path: Path, status: int, *arguments: str, **env: str) -> dict[str, dict[str, Any]]:
    """Run the doctor in a project; returns its checks by name."""
    full = environment(
        CYXMAKE_CONFIG_DIR=str(tmp_path / "config"), CYXMAKE_CACHE_DIR=str(tmp_path / "cache")
    )
    done = subprocess.run(
        python("cyxmake_cli.main", "doctor", "-C", str(tmp_path / "p"), "--json", *arguments),
        env=full | env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def test_a_sound_machine_is_sound(tmp_path: Path) -> None:
    """The project's tools are found, the compilers build programs that run."""
    (tmp_path / "p").mkdir()
    (tmp_path / "p/Makefile").touch()
    found = doctor(tmp_path, 0)
    assert "builds with make" in found["project"]["detail"]
    assert found["C compiler"]["state"] == found["C++ compiler"]["state"] == "good"
    assert found["cluster"]["state"] == "skipped"


def test_what_is_broken_is_named_with_its_remedy(tmp_path: Path) -> None:
    """A compiler without headers, a missing tool, wrong settings, an open token, a dead cluster."""
    project, tools = tmp_path / "p", tmp_path / "bin"
    project.mkdir()
    tools.mkdir()
    (project / "SConstruct").touch()
    (project / "cyxmake.toml").write_text("[build]\njbos = 3\n")
    compiler = tools / "cc"
    compiler.write_text("#!/bin/sh\necho 'a.c:1: fatal error: stdio.h: No such file' >&2\nexit 1\n")
    compiler.chmod(0o755)
    token = tmp_path / "config/token"
    token.parent.mkdir()
    token.write_text("cyx1.damaged\n")
    token.chmod(0o644)
    found = doctor(tmp_path, 1, PATH=str(tools))
    assert "cyxmake.toml:2" in found["settings"]["detail"]
    assert "build.jobs" in found["settings"]["fix"]
    assert "stdio.h" in found["C compiler"]["detail"]
    assert found["C compiler"]["fix"]
    assert found["C++ compiler"]["state"] == "warning"
    assert found["tool"]["state"] == "bad"
    assert "scons" in found["tool"]["detail"]
    assert "chmod 600" in found["token"]["fix"]
    assert found["coordinator"]["state"] == "bad"
