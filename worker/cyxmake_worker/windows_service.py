"""A worker that Windows starts at boot and after failures: a task of its Task Scheduler.

Knows nothing of the worker's work. A task needs no code of ours inside the service manager, and
starts a plain program as a user without rights. The token stays in a file that only this user and
administrators can read: neither the task nor the argument list has it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Final
from xml.etree import ElementTree

from cyxmake_common.errors import ConfigError, UsageError
from cyxmake_common.execution.process import ProcessRequest, run_process

TASK: Final = r"\CyxMake\worker"
_SPACE: Final = "http://schemas.microsoft.com/windows/2004/02/mit/task"
_LOCAL_SERVICE: Final = "S-1-5-19"
_ADMINISTRATORS: Final = "S-1-5-32-544"
_SYSTEM: Final = "S-1-5-18"
_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Task:
    """What the task runs, and with which files."""

    program: PureWindowsPath
    token_file: PureWindowsPath
    data_dir: PureWindowsPath

    @property
    def arguments(self) -> str:
        """Return the command line after the program, quoted as Windows programs read it."""
        return subprocess.list2cmdline(
            ["--token-file", str(self.token_file), "--data-dir", str(self.data_dir), "--log-json"]
        )

    def xml(self) -> str:
        """Return the definition that Task Scheduler takes."""
        root = ElementTree.Element("Task", {"version": "1.2", "xmlns": _SPACE})
        _add(root, "RegistrationInfo", {"Description": "CyxMake worker"})
        trigger = ElementTree.SubElement(ElementTree.SubElement(root, "Triggers"), "BootTrigger")
        _fill(trigger, {"Enabled": "true", "Delay": "PT30S"})
        principal = ElementTree.SubElement(
            ElementTree.SubElement(root, "Principals"), "Principal", {"id": "worker"}
        )
        _fill(principal, {"UserId": _LOCAL_SERVICE, "RunLevel": "LeastPrivilege"})
        settings = _add(
            root,
            "Settings",
            {
                "MultipleInstancesPolicy": "IgnoreNew",
                "DisallowStartIfOnBatteries": "false",
                "StopIfGoingOnBatteries": "false",
                "ExecutionTimeLimit": "PT0S",
                "Priority": "7",
            },
        )
        _add(settings, "RestartOnFailure", {"Interval": "PT1M", "Count": "255"})
        actions = ElementTree.SubElement(root, "Actions", {"Context": "worker"})
        _add(
            actions,
            "Exec",
            {
                "Command": str(self.program),
                "Arguments": self.arguments,
                "WorkingDirectory": str(self.data_dir),
            },
        )
        ElementTree.indent(root)
        return ElementTree.tostring(root, "unicode")

    def installing(self, definition: PureWindowsPath) -> list[Sequence[str]]:
        """Return the commands that install it from a file with its definition, in their order."""
        owners = (_ADMINISTRATORS, _SYSTEM)
        grants = [f"*{who}:{{0}}F" for who in owners]
        folder = [grant.format("(OI)(CI)") for grant in grants]
        file = [grant.format("") for grant in grants]
        return [
            ["icacls", str(self.data_dir), "/inheritance:r", "/grant:r", *folder,
             f"*{_LOCAL_SERVICE}:(OI)(CI)M"],
            ["icacls", str(self.token_file), "/inheritance:r", "/grant:r", *file,
             f"*{_LOCAL_SERVICE}:R"],
            ["schtasks", "/Create", "/TN", TASK, "/XML", str(definition), "/F"],
            ["schtasks", "/Run", "/TN", TASK],
        ]  # fmt: skip


REMOVING: Final[tuple[Sequence[str], ...]] = (
    ("schtasks", "/End", "/TN", TASK),
    ("schtasks", "/Delete", "/TN", TASK, "/F"),
)
"""Commands that remove the task; data and token stay."""


def install(task: Task) -> str:
    """Install the task and start it; raises UsageError, ConfigError."""
    _only_windows()
    Path(task.data_dir).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        definition = Path(scratch) / "task.xml"
        definition.write_text(task.xml(), "utf-16")  # what schtasks reads
        asyncio.run(_run(task.installing(PureWindowsPath(definition))))
    return f"the task {TASK} runs, and starts with Windows"


def remove() -> str:
    """Stop the task and remove it; raises UsageError, ConfigError."""
    _only_windows()
    asyncio.run(_run(REMOVING))
    return f"the task {TASK} is removed; data and token were left alone"


def _only_windows() -> None:
    if sys.platform != "win32":
        raise UsageError(
            "this installs a task of Windows",
            next_step="on Linux and macOS: deploy/install.sh --system --service worker",
        )


async def _run(commands: Sequence[Sequence[str]]) -> None:
    for command in commands:
        try:
            result = await run_process(ProcessRequest(tuple(command), timeout=_SECONDS))
        except OSError as error:
            raise ConfigError(f"{command[0]} cannot be run: {error}") from error
        if result.exit_code != 0:
            said = (result.stderr or result.stdout).decode("utf-8", "replace").strip()
            raise ConfigError(
                f"{command[0]} ended with {result.exit_code}: {said[-300:]}",
                next_step="run this in a terminal of an administrator",
            )


def _add(parent: ElementTree.Element, name: str, children: dict[str, str]) -> ElementTree.Element:
    made = ElementTree.SubElement(parent, name)
    _fill(made, children)
    return made


def _fill(parent: ElementTree.Element, children: dict[str, str]) -> None:
    for name, text in children.items():
        ElementTree.SubElement(parent, name).text = text
