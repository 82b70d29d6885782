"""The command line's outside: help, version, errors as one line and a status."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from support.processes import environment, python


def cyxmake(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(
        python("cyxmake_cli.main", *arguments),
        env=environment(**env), capture_output=True, text=True, check=False, input="",
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [("--help",), ("dbuild", "--help"), ("login", "-h")])
def test_help_has_an_example(arguments: tuple[str, ...]) -> None:
    """Every help text ends in an example."""
    done = cyxmake(*arguments)
    assert done.returncode == 0
    assert "Example" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("nonsense",), 2, "No such command"),
        (("dbuild", "--strategy", "x"), 2, "compile-units"),
        (("dbuild", "-C", "/nowhere"), 1, "not a directory"),
        (("login", "cyx1.garbage"), 3, "token"),
        (("login",), 2, "no token given"),
    ],
)
def test_errors_are_one_line_and_a_status(
    arguments: tuple[str, ...], status: int, text: str, tmp_path: Path
) -> None:
    """No traceback reaches a user; the exit code tells kinds of errors apart."""
    done = cyxmake(*arguments, CYXMAKE_CONFIG_DIR=str(tmp_path))
    assert done.returncode == status, done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_manifest_names_file_and_line(tmp_path: Path) -> None:
    """A syntax error in build.ninja is an error of the project."""
    (tmp_path / "build.ninja").write_text("rule x\n  command = y\nbuild : x\n")
    done = cyxmake("dbuild", "-C", str(tmp_path))
    assert done.returncode == 1
    assert "build.ninja:3" in done.stderr


def test_cache_is_measured_and_cleared_after_asking(tmp_path: Path) -> None:
    """Sizes are shown; nothing is removed without a yes; only our own folders go."""
    kept, mine = tmp_path / "other", tmp_path / "toolchains"
    for folder in (kept, mine):
        folder.mkdir()
        (folder / "file").write_bytes(b"x" * 3_000_000)
    env = {"CYXMAKE_CACHE_DIR": str(tmp_path)}
    assert "3.0 MB in      1 files" in cyxmake("cache", "stats", **env).stdout
    env["CYXMAKE_CONFIG_DIR"] = str(tmp_path / "config")
    assert cyxmake("cache", "clear", **env).returncode == 5  # nobody is there to say yes
    assert mine.exists()
    assert "removed 3.0 MB" in cyxmake("cache", "clear", "--yes", **env).stdout
    assert not mine.exists()
    assert kept.exists()


def test_status_tells_of_the_project_and_of_no_cluster(tmp_path: Path) -> None:
    """Without a cluster the status still says what stands here, and how it was last built."""
    (tmp_path / "Makefile").write_text("all:\n\t@true\n")
    env = {"CYXMAKE_CONFIG_DIR": str(tmp_path / "config")}
    assert cyxmake("build", "-C", str(tmp_path), **env).returncode == 0
    found = json.loads(cyxmake("status", "-C", str(tmp_path), "--json", **env).stdout)
    assert found["cluster"] is None
    assert (found["project"]["system"], found["project"]["last"]["status"]) == ("make", "ok")
    assert "none is configured" in cyxmake("status", "-C", str(tmp_path), **env).stdout


@pytest.mark.parametrize(
    ("shell", "words", "wanted"),
    [
        ("bash", {"COMP_WORDS": "cyxmake bui", "COMP_CWORD": "1"}, "plain,build"),
        ("zsh", {"COMP_WORDS": "cyxmake build --ty", "COMP_CWORD": "2"}, "--type"),
        ("fish", {"COMP_WORDS": "cyxmake build --type ", "COMP_CWORD": "rel"}, "plain,release"),
        ("powershell", {"COMP_WORDS": "cyxmake perm", "COMP_INCOMPLETE": "perm"},
         "plain\tpermissions"),
    ],
)  # fmt: skip
def test_shells_complete(shell: str, words: dict[str, str], wanted: str) -> None:
    """Each shell's script asks the program, which answers in the form of that shell."""
    assert "_CYXMAKE_COMPLETE" in cyxmake("completion", shell).stdout
    done = cyxmake(_CYXMAKE_COMPLETE=f"{shell}_complete", **words)
    assert wanted in done.stdout, done.stderr


def test_bash_completes_through_its_script() -> None:
    """The script for bash, evaluated by bash, fills in what may follow."""
    bash, script = shutil.which("bash"), cyxmake("completion", "bash").stdout
    if bash is None:
        pytest.skip("needs bash")
    program = " ".join(python("cyxmake_cli.main"))
    asks = (
        f'cyxmake() {{ {program} "$@"; }}\n{script}\nCOMP_WORDS=(cyxmake hist)\nCOMP_CWORD=1\n'
        '_cyxmake_completion cyxmake\necho "got ${COMPREPLY[*]}"\n'
    )
    # The script calls the program by the first word: here that is a function, in another shell.
    asks = asks.replace(" $1)", f" {program})")
    done = subprocess.run([bash, "-c", asks], env=environment(), capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert "got history" in done.stdout, done.stdout + done.stderr


def test_help_needs_nothing_heavy() -> None:
    """What costs more than a command's start is imported by no help text."""
    done = subprocess.run(
        [*python("cyxmake_cli.main", "--help")[:1], "-X", "importtime", "-m", "cyxmake_cli.main",
         "--help"],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    heavy = {"prompt_toolkit", "pydantic", "rich", "asyncio", "importlib.metadata", "email.message"}
    assert "click" in loaded
    assert not loaded & heavy
