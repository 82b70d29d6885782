"""Package managers: the verbs of each, names that are none, and installing through the gate."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cyxmake_cli.safety.answers import Answers
from cyxmake_cli.safety.audit import AuditLog
from cyxmake_cli.safety.gate import Answer, Gate
from cyxmake_cli.safety.permissions import Act, Bounds, Judgement
from cyxmake_cli.tools import installing
from cyxmake_cli.tools.packages import MANAGERS, argvs, checked, says_it_exists
from cyxmake_common.errors import Denied, ProjectError, UsageError
from cyxmake_common.execution.process import ProcessResult
from support.processes import environment, python

_WANTED = [
    "apt", "dnf", "yum", "pacman", "zypper", "apk", "brew", "port", "vcpkg", "conan", "npm", "yarn",
    "pnpm", "pip", "uv", "cargo", "go", "choco", "winget", "scoop",
]  # fmt: skip


def test_every_manager_can_check_before_it_installs() -> None:
    """All of them are in the table, each with the verbs that count."""
    assert list(MANAGERS) == _WANTED
    for manager in MANAGERS.values():
        assert manager.install[0] == manager.program
        for words in (manager.install, manager.exists):
            assert "zlib" in " ".join(argvs(words, ("zlib",))[0])


def test_names_become_words_and_never_options() -> None:
    """Several names are one command where the manager takes several, else one each."""
    assert argvs(MANAGERS["apt"].install, ("a", "b")) == (
        ("apt-get", "install", "-y", "--no-install-recommends", "a", "b"),
    )
    assert argvs(MANAGERS["go"].install, ("x.org/a", "x.org/b")) == (
        ("go", "install", "x.org/a@latest"), ("go", "install", "x.org/b@latest"),
    )  # fmt: skip
    for name in ("libstdc++-12-dev", "@types/node", "x.org/a/b", "typescript@5.4", "six==1.16.0"):
        assert checked(name) == name
    for name in ("", "-rf", "--root=/", "a b", "a;b", "$(x)", "../x", "a/../b", "http://x", "a\n"):
        with pytest.raises(UsageError):
            checked(name)


@pytest.mark.parametrize(
    ("manager", "output", "exit_code", "there"),
    [
        ("apt", "Package: zlib\n", 0, True),
        ("apt", "", 100, False),
        ("apk", "zlib-1.3-r2\n", 0, True),
        ("apk", "zlib-dev-1.3-r2\n", 0, False),
        ("vcpkg", "zlib   1.3  A library\nzlib-ng 2\n", 0, True),
        ("vcpkg", "zlib-ng 2\n", 0, False),
        ("choco", "zlib|1.3\n", 0, True),
        ("choco", "", 0, False),
        ("conan", "conancenter\n  zlib\n    zlib/1.3\n", 0, True),
    ],
)
def test_answers_are_read_as_each_manager_gives_them(
    manager: str, output: str, exit_code: int, there: bool
) -> None:
    """Some tell by their exit status whether a package exists, some only in words."""
    assert says_it_exists(MANAGERS[manager], "zlib", output, exit_code) is there


class _Yes:
    """Says yes to everything."""

    def ask(self, act: Act, judgement: Judgement) -> Answer | None:
        return Answer.YES


def _gate(tmp_path: Path, *, dry_run: bool = False) -> Gate:
    return Gate(
        Bounds((str(tmp_path),)), _Yes(), lambda: "now", dry_run=dry_run,
        answers=Answers(tmp_path / "a.json"), audit=AuditLog(tmp_path / "b.jsonl"),
    )  # fmt: skip


def _machine(known: set[str], ran: list[tuple[str, ...]]) -> Callable[..., ProcessResult]:
    """A machine whose manager knows some packages."""

    def run(argv: tuple[str, ...], cwd: Path) -> ProcessResult:
        ran.append(argv)
        return ProcessResult(0 if argv[0] != "apt-cache" or argv[-1] in known else 100)

    return run


def test_nothing_is_installed_that_does_not_exist(tmp_path: Path) -> None:
    """All names are checked before the first is installed; a dry run installs none."""
    apt, ran = MANAGERS["apt"], list[tuple[str, ...]]()
    # `exists` asks another program of the same family.
    with pytest.raises(ProjectError, match="knows no package ghost"):
        installing.install(apt, ("zlib", "ghost"), _gate(tmp_path), tmp_path,
                           _machine({"zlib"}, ran))  # fmt: skip
    assert [argv[0] for argv in ran] == ["apt-cache", "apt-cache"]
    ran.clear()
    assert not installing.install(apt, ("zlib",), _gate(tmp_path, dry_run=True), tmp_path,
                                  _machine({"zlib"}, ran))  # fmt: skip
    assert [argv[0] for argv in ran] == ["apt-cache"]
    assert installing.install(apt, ("zlib",), _gate(tmp_path), tmp_path, _machine({"zlib"}, ran))
    assert "install" in ran[-1]


def test_ways_to_get_a_tool_name_the_package(tmp_path: Path) -> None:
    """A tool's package is called as each manager calls it; strangers' managers are not guessed."""
    managers = (MANAGERS["apt"], MANAGERS["pip"], MANAGERS["npm"])
    assert installing.ways_to_get("ninja", managers) == (("apt", "ninja-build"),)
    assert installing.ways_to_get("uv", managers)[0] == ("pip", "uv")
    assert installing.ways_to_get("tsc", managers)[0] == ("npm", "typescript")


def test_removing_is_dangerous_and_may_be_refused(tmp_path: Path) -> None:
    """--yes does not answer for a removal; where the manager cannot remove, that is said."""

    class Nobody:
        def ask(self, act: Act, judgement: Judgement) -> Answer | None:
            return None

    gate = Gate(
        Bounds((str(tmp_path),)), Nobody(), lambda: "now", yes=True,
        answers=Answers(tmp_path / "a.json"), audit=AuditLog(tmp_path / "b.jsonl"),
    )  # fmt: skip
    with pytest.raises(Denied, match="nobody"):
        installing.remove(MANAGERS["apt"], ("zlib",), gate, tmp_path, _machine({"zlib"}, []))
    with pytest.raises(ProjectError, match="no way"):
        installing.remove(MANAGERS["go"], ("zlib",), gate, tmp_path)


def _packages(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        python("cyxmake_cli.main", "packages", *arguments), capture_output=True, text=True,
        env=environment(CYXMAKE_CONFIG_DIR=str(tmp_path)), check=False, input="",
    )  # fmt: skip


def test_apt_is_understood(tmp_path: Path) -> None:
    """apt's real answers: what exists, what does not, its files; a dry run shows the command."""
    if shutil.which("apt-cache") is None or _packages(tmp_path, "exists", "bash").returncode:
        pytest.skip("needs apt and its lists")
    assert _packages(tmp_path, "exists", "no-such-package-at-all").returncode == 1
    assert "/bin/bash" in _packages(tmp_path, "files", "bash").stdout
    shown = _packages(tmp_path, "install", "--dry-run", "bash").stdout
    assert "apt-get install -y --no-install-recommends bash" in shown
    refused = _packages(tmp_path, "install", "bash")
    assert (refused.returncode, "needs a yes" in refused.stderr) == (5, True)
    assert "apt" in _packages(tmp_path, "managers").stdout
    assert _packages(tmp_path, "exists", "x", "--with", "brow").returncode == 2
