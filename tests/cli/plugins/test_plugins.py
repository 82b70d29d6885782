"""Plug-ins: each example of the documentation does its work; a broken one is named and left out."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from support.plugins import EXAMPLES, install, install_example
from support.processes import environment, python


class Shell:
    """A project, a place for packages, and the command line with them."""

    def __init__(self, folder: Path) -> None:
        self.site = folder / "site"
        self.root = folder / "project"
        self.root.mkdir()
        (self.root / "Makefile").write_text("all:\n\t@echo made\n")
        self.environment = environment(
            CYXMAKE_CONFIG_DIR=str(folder / "config"), CYXMAKE_CACHE_DIR=str(folder / "cache")
        )
        before = self.environment.get("PYTHONPATH", "")
        self.environment["PYTHONPATH"] = f"{self.site}:{before}".rstrip(":")

    def run(self, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run cyxmake; it must end as expected."""
        done = subprocess.run(
            python("cyxmake_cli.main", *words), env=self.environment, cwd=self.root,
            capture_output=True, text=True, check=False, input="",
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return a small project."""
    return Shell(tmp_path)


def test_every_example_is_found_and_does_its_work(shell: Shell) -> None:
    """A command, a tool, a rule, a hook and a provider, each of a package of its own."""
    kinds = sorted(place.name for place in EXAMPLES.iterdir())
    assert kinds == ["command", "hook", "provider", "rules", "tool"]
    for kind in kinds:
        install_example(kind, shell.site)
    found = json.loads(shell.run("plugin", "list", "--json").stdout)["plugins"]
    assert [(one["group"], one["name"], one["problem"]) for one in found] == [
        ("cyxmake.tools", "frobnicate", ""),
        ("cyxmake.rules", "frobnicate-rules", ""),
        ("cyxmake.providers", "echo", ""),
        ("cyxmake.hooks", "build-log", ""),
        ("cyxmake.commands", "greet", ""),
    ]
    assert shell.run("greet", "Ada").stdout == "Hello, Ada!\n"
    assert "greet" in shell.run("--help").stdout
    known = json.loads(shell.run("tools", "frobnicate", "--json", status=1).stdout)
    assert known["missing"][0]["packages"].get("apt", "frobnicate-tools") == "frobnicate-tools"
    log = shell.root / "log"
    shell.environment["BUILD_LOG"] = str(log)
    (shell.root / "Makefile").write_text("all:\n\t@echo 'frobnicate: cannot open a.frob'; false\n")
    done = shell.run("build", status=1)
    assert "a.frob" in done.stdout.partition("cyxmake: make")[2]
    assert [json.loads(line)["event"] for line in log.read_text().splitlines()] == [
        "started", "ended",
    ]  # fmt: skip
    code = (
        "from cyxmake_cli.llm.open import open_models\n"
        "from cyxmake_cli.llm.backend import Request, text_messages\n"
        "from cyxmake_cli.settings import AiSettings\n"
        "models = open_models(AiSettings(providers='echo'))\n"
        "print(models.complete(Request(text_messages('be brief', 'hello'))).text)\n"
    )
    said = subprocess.run(
        [*python("x")[:1], "-c", code], env=shell.environment, cwd=shell.root,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.stdout == "hello\n", said.stderr


def test_a_broken_plug_in_is_named_and_everything_goes_on(shell: Shell) -> None:
    """An import that fails, a wrong thing, a name that is taken, a rule that does not hold."""
    install(shell.site, "gone", "import no_such_module\n", commands={"gone": "gone:command"})
    install(
        shell.site, "wrong", "import sys\ndef hook(event, document):\n    raise OSError('full')\n",
        hooks={"bad-hook": "wrong:hook", "no-hook": "wrong:sys", "exits": "wrong:missing"},
        tools={"cmake": "wrong:sys"},
    )  # fmt: skip
    install(
        shell.site, "rule", "R = '[[rule]]\\nid=\"x\"\\ncategory=\"timeout\"\\n"
        "pattern=\"a\"\\npositive=[\"b\"]'\n", rules={"rule": "rule:R"},
    )  # fmt: skip
    install(
        shell.site, "leaves", "raise SystemExit('bye')\n", providers={"leaves": "leaves:x"},
        commands={"build": "leaves:x"},
    )  # fmt: skip
    listed = shell.run("plugin", "list", "--json", status=1)
    problems = {one["name"]: one["problem"] for one in json.loads(listed.stdout)["plugins"]}
    assert "no_such_module" in problems["gone"]
    assert "SystemExit: bye" in problems["leaves"]
    assert "something that can be called is wanted" in problems["no-hook"]
    assert "does not match its example" in problems["rule"]
    assert "called 'cmake' is wanted" in problems["cmake"]
    assert problems["build"]
    done = shell.run("build")
    assert "made" in done.stdout
    assert "hook bad-hook failed: OSError: full" in done.stderr
    assert done.stderr.count("bad-hook") == 1
    assert "plug-in no-hook of wrong 1.0 is left out: TypeError" in done.stderr
    assert "plug-in gone of gone 1.0 is left out" in shell.run("gone", status=3).stderr
    shell.run("--help")


def test_two_packages_cannot_have_one_name(shell: Shell) -> None:
    """The second one is left out, and told by whom."""
    text = "import click\n@click.command()\ndef command():\n    click.echo(__name__)\n"
    for name in ("first", "second"):
        install(shell.site, name, text, commands={"twice": f"{name}:command"})
    listed = shell.run("plugin", "list", status=1).stdout
    assert "first 1.0 has one of that name" in listed
    assert shell.run("twice").stdout == "first\n"
