"""The Windows task as text: what would be installed, and by which commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import PureWindowsPath
from xml.etree import ElementTree

import pytest

from cyxmake_common.errors import ExitStatus
from cyxmake_worker.windows_service import REMOVING, TASK, Task
from support.processes import environment, python

_SPACE = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
_MADE = Task(
    PureWindowsPath(r"C:\Program Files\cyxmake\cyxmake-worker.exe"),
    PureWindowsPath(r"C:\keys & more\worker token"),
    PureWindowsPath(r"C:\ProgramData\cyxmake\worker"),
)


def test_definition_starts_the_worker_as_a_user_without_rights() -> None:
    """At boot, again after a failure, without a time limit, with words quoted as they must be."""
    task = ElementTree.fromstring(_MADE.xml())

    def text(path: str) -> str | None:
        return task.findtext("/".join(f"t:{part}" for part in path.split("/")), None, _SPACE)

    assert text("Actions/Exec/Command") == str(_MADE.program)
    assert text("Actions/Exec/Arguments") == (
        r'--token-file "C:\keys & more\worker token" --data-dir C:\ProgramData\cyxmake\worker'
        " --log-json"
    )
    assert text("Principals/Principal/UserId") == "S-1-5-19"
    assert text("Principals/Principal/RunLevel") == "LeastPrivilege"
    assert text("Triggers/BootTrigger/Enabled") == "true"
    assert text("Settings/RestartOnFailure/Interval") == "PT1M"
    assert text("Settings/ExecutionTimeLimit") == "PT0S"


def test_files_are_closed_before_the_task_exists() -> None:
    """Data and token are for the worker and administrators alone; removal names the same task."""
    data, token, create, run = _MADE.installing(PureWindowsPath(r"C:\t.xml"))
    for command, path in ((data, _MADE.data_dir), (token, _MADE.token_file)):
        assert command[:4] == ["icacls", str(path), "/inheritance:r", "/grant:r"]
        assert {grant.partition(":")[0] for grant in command[4:]} == {
            "*S-1-5-19", "*S-1-5-18", "*S-1-5-32-544",
        }  # fmt: skip
    assert token[-1] == "*S-1-5-19:R"
    assert (create[2:4], run[2:4]) == (["/TN", TASK], ["/TN", TASK])
    assert [command[3] for command in REMOVING] == [TASK, TASK]


@pytest.mark.skipif(sys.platform == "win32", reason="would install it")
def test_elsewhere_it_says_what_to_do_instead() -> None:
    """The command exists on every system, and is honest."""
    for words in (("install", "--token-file", "x"), ("remove",)):
        done = subprocess.run(
            python("cyxmake_worker.main", "service", *words),
            env=environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == ExitStatus.USAGE
        assert "deploy/install.sh" in done.stderr
