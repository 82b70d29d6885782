"""`cyxmake create`, as a user has it: what it makes, what it refuses, what it takes back."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.processes import environment, python

_GIT = "[user]\nname = Ada\nemail = ada@example.com\n"


class Shell:
    """A directory to make projects in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "gitconfig").write_text(_GIT)
        self.environment = environment(
            CYXMAKE_CONFIG_DIR=str(folder / "config"),
            GIT_CONFIG_GLOBAL=str(folder / "gitconfig"),
            GIT_CEILING_DIRECTORIES=str(folder),
        )

    def create(self, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run `cyxmake create`; it must end as expected."""
        done = subprocess.run(
            python("cyxmake_cli.main", "create", *arguments),
            env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False,
            input="",
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def made(self, *arguments: str) -> dict[str, Any]:
        """Return the document of a project that is made."""
        found: dict[str, Any] = json.loads(self.create(*arguments, "--yes", "--json").stdout)
        return found


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return an empty directory."""
    return Shell(tmp_path)


def test_a_described_project_is_made_built_tested_and_taken_back(shell: Shell) -> None:
    """The program does its work, the first commit holds all, and undoing leaves the commit."""
    found = shell.made("a small C command line tool that counts words, MIT", "--name", "sums")
    place = shell.folder / "sums"
    assert found["project"]["language"] == "c"
    assert (found["build"]["status"], found["test"]["status"]) == ("ok", "ok")
    said = subprocess.run(
        [place / "build/sums", "-w"], input="a b c", capture_output=True, text=True, check=True
    )
    assert said.stdout == "3\n"
    tracked = subprocess.run(
        ["git", "-C", place, "ls-files"], capture_output=True, text=True, check=True
    )
    assert tracked.stdout.split() == sorted(found["files"])
    assert "MIT License" in (place / "LICENSE").read_text()
    assert "Ada" in (place / "LICENSE").read_text()
    (place / "src/main.c").write_text("mine\n")
    undone = json.loads(shell.create("--undo", "--dir", "sums", "--yes", "--json").stdout)
    assert sorted(undone["undone"]) == sorted(set(found["files"]) - {"src/main.c"})
    left = {str(p.relative_to(place)) for p in place.rglob("*") if p.is_file()}
    assert {name for name in left if not name.startswith((".git/", ".cyxmake/"))} == {"src/main.c"}


@pytest.mark.skipif(not shutil.which("cargo"), reason="needs cargo")
def test_a_project_with_a_lock_file(shell: Shell) -> None:
    """What versions are meant is written down; without a repository all can be taken back."""
    found = shell.made("a Rust library to pad strings", "--no-git", "--dir", "deep/er")
    place = shell.folder / "deep/er"
    assert found["problems"] == []
    assert 'name = "pad-strings"' in (place / "Cargo.lock").read_text()
    assert not (place / ".git").exists()
    assert found["test"]["status"] == "ok"
    shell.create("--undo", "--dir", "deep/er", "--yes")
    assert not (shell.folder / "deep").exists()


def test_nothing_is_overwritten(shell: Shell) -> None:
    """A directory that holds anything, a file, a link: refused, and left as it was."""
    (shell.folder / "full").mkdir()
    (shell.folder / "full/mine").write_text("mine")
    (shell.folder / "link").symlink_to(shell.folder / "nowhere")
    for place in ("full", "gitconfig", "link"):
        done = shell.create("a C library", "--dir", place, "--yes", "--no-build", status=1)
        assert "there already" in done.stderr or "not empty" in done.stderr
    assert [p.name for p in (shell.folder / "full").iterdir()] == ["mine"]
    assert not (shell.folder / "nowhere").exists()


def test_a_dry_run_shows_and_makes_nothing(shell: Shell) -> None:
    """The specification, each file, what is assumed."""
    said = shell.create("something with fireworks", "--dry-run").stdout
    assert "python executable" in said
    assert "assumed: language python" in said
    assert "src/" in said
    assert {p.name for p in shell.folder.iterdir()} <= {"gitconfig", "config"}


def test_without_a_yes_nothing_is_made(shell: Shell) -> None:
    """Nobody is there to be asked; and in the system's own places not even a yes helps."""
    assert "nobody is there" in shell.create("a C library", "--no-build", status=5).stderr
    done = shell.create("a C library", "--dir", "/usr/lib/x/y", "--yes", "--no-build", status=5)
    assert "belongs to the system" in done.stderr
    assert {p.name for p in shell.folder.iterdir()} <= {"gitconfig", "config"}


def test_an_undo_follows_no_link_out_of_the_project(shell: Shell, tmp_path: Path) -> None:
    """A folder of the project that has become a link leads to somebody else's files: they stay."""
    shell.made("a C library named sums", "--no-git", "--no-build")
    place, away = shell.folder / "sums", tmp_path / "away"
    shutil.move(place / "src", away)
    (place / "src").symlink_to(away)
    said = shell.create("--undo", "--dir", "sums", "--yes").stdout
    assert "src/counts.c (reached through a symbolic link)" in said
    assert (away / "counts.c").is_file()


def test_the_list_names_what_is_offered(shell: Shell) -> None:
    """Also as a document."""
    found = json.loads(shell.create("--list", "--json").stdout)
    assert found["offered"]["python"] == ["library", "game", "gui", "web", "cli", "executable"]
    assert "gui" not in found["offered"]["rust"]
