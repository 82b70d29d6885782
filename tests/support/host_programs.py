"""Programs of this machine, copied with their libraries, as layers and trees for sandbox tests.

Copies, never hard links: a test must not be able to change a file of the system.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

SHELL = ("/bin/sh", "/bin/cat", "/bin/ls", "/usr/bin/id", "/bin/sleep", "/bin/ln", "/bin/mkdir",
         "/usr/bin/mkfifo", "/bin/chmod", "/bin/rm", "/bin/mv", "/usr/bin/env", "/bin/mknod",
         "/usr/bin/stat", "/bin/touch", "/usr/bin/setsid", "/bin/cp")  # fmt: skip
"""What a shell script needs."""


def libraries(program: str) -> list[str]:
    """Return the libraries and the loader of a program, by the paths it asks for."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return [word for word in listed.split() if word.startswith("/")]


def with_libraries(programs: Iterable[str]) -> list[str]:
    """Return programs and everything that must be there for them to start."""
    found: dict[str, None] = {}
    for program in programs:
        found.update(dict.fromkeys([program, *libraries(program)]))
    return list(found)


def compiler_files(driver: str) -> list[str]:
    """Return what a gcc needs to compile and assemble."""
    names = [driver]
    for part in ("cc1", "cc1plus", "as"):
        asked = subprocess.run(
            [driver, f"-print-prog-name={part}"], capture_output=True, text=True, check=True
        )
        path = shutil.which(asked.stdout.strip())
        if path is not None:
            names.append(path)
    return with_libraries(names)


def copy_files(files: Iterable[str], layer: Path) -> Path:
    """Copy files to the same paths below a directory, writable for every user as layers are."""
    for file in files:
        target = layer / file.lstrip("/")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(os.path.realpath(file), target)
            target.chmod(0o555)
    open_directories(layer)
    return layer


def open_directories(layer: Path) -> None:
    """Give a layer's directories the mode that materialised roots have."""
    for directory, _, _ in os.walk(layer):
        Path(directory).chmod(0o777)
