"""`cyxmake agent`, as a user has it: the process of the agents, and what each command says."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.model_server import model_server
from support.model_wires import WIRES, Said
from support.processes import environment, python


class Shell:
    """A project, and `cyxmake agent` in it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.root.mkdir()
        (self.root / "Makefile").write_text("all:\n\t@echo made > product\ncheck:\n\t@false\n")
        self.environment = environment(
            CYXMAKE_CONFIG_DIR=str(folder / "config"), CYXMAKE_CACHE_DIR=str(folder / "cache")
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command."""
        return subprocess.run(
            python("cyxmake_cli.main", "agent", words[0], "-C", str(self.root), *words[1:]),
            env=self.environment, capture_output=True, text=True, check=False, input="",
        )  # fmt: skip

    def agent(self, *words: str, status: int = 0) -> str:
        """Run a command; it must end as expected."""
        done = self.run(*words)
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def json(self, *words: str, status: int = 0) -> Any:
        """Return what a command prints as JSON."""
        return json.loads(self.agent(*words, "--json", status=status))


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """Return a project whose agents end with the test."""
    made = Shell(tmp_path)
    try:
        yield made
    finally:
        made.run("stop")


def test_agents_build_one_after_the_other_and_tell_what_came_of_it(shell: Shell) -> None:
    """Spawn, assign with needs, wait, status, send, stop; the process ends with the last one."""
    assert "no agents are at work" in shell.agent("list", status=1)
    assert shell.json("spawn", "build") == {"name": "build-1", "kind": "build"}
    shell.agent("spawn", "explore", "--name", "scout")
    assert "asked about one by one" in shell.agent("spawn", "fix", "--model", "--yes", status=2)
    assert "there is no fix agent" in shell.agent("assign", "fix", "repair", status=2)
    assert shell.agent("assign", "build", "the program") == "task 1\n"
    shell.agent("assign", "scout", "where is product", "--after", "1")
    shell.agent("assign", "build", "run the tests")
    found = shell.json("wait", "--timeout", "60", status=1)
    assert [task["state"] for task in found["tasks"]] == ["done", "done", "failed"]
    assert (shell.root / "product").read_text() == "made\n"
    assert "Makefile (1)" in found["tasks"][1]["summary"]
    assert "letter" in shell.agent("send", "scout", "made")
    assert "scout" in shell.agent("status")
    assert shell.agent("stop") == "stopped: build-1, scout\n"


def test_a_repair_waits_for_a_yes_and_is_made_with_it(shell: Shell) -> None:
    """`wait` tells the question where nobody can answer it; `send` does; the program is there."""
    (shell.root / "Makefile").write_text("all: prog\nprog: main.c\n\tgcc -o prog main.c\n")
    (shell.root / "main.c").write_text(
        '#include <stdio.h>\nint main(void)\n{\n    puts("hi")\n    return 0;\n}\n'
    )
    shell.agent("spawn", "fix", "--name", "mender")
    shell.agent("assign", "mender", "repair it")
    asked = shell.agent("wait", "--timeout", "60", status=5)
    assert "edit main.c, line 4" in asked
    assert 'puts("hi")\n' in (shell.root / "main.c").read_text()
    assert shell.agent("send", "mender", "yes") == "answered\n"
    found = shell.json("wait", "--timeout", "60")
    assert found["tasks"][0]["summary"] == "auto: done, 1 repairs"
    assert (shell.root / "prog").exists()


def test_a_configured_model_chooses_the_steps(shell: Shell) -> None:
    """Over its real wire format; what it read is what the tools returned."""
    steps = [
        {"tool": "read", "path": "Makefile", "text": "", "new": "", "words": []},
        {"tool": "finish", "path": "", "text": "it makes product", "new": "", "words": []},
    ]
    with model_server(WIRES[0]) as server:
        server.think = lambda body: Said(json.dumps(steps["echo made" in str(body)]))
        shell.environment |= {"CYXMAKE_AI_PROVIDERS": server.provider, **server.environ()}
        shell.agent("spawn", "explore", "--model")
        shell.agent("assign", "explore", "what does it make")
        found = shell.json("wait", "--timeout", "60")
    assert found["tasks"][0]["summary"] == "it makes product"
    assert len(server.asked) == 2
