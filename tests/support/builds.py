"""Builds to compare: what plain ninja leaves in a build directory, byte for byte."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

_CONFIGURED = re.compile(r"CMakeFiles/\d|CMakeFiles/CMakeScratch|CMakeFiles/pkgRedirects|meson-")
_MADE = re.compile(r"\.(o|a|d|gch|dwo)$|\.so(\.\d+)*$")

LEFT_HERE = {"not a compile", "links here: the cluster does not have the linker"}
"""Why edges of a project without surprises run here, while the cluster has only a compiler."""


def run(argv: list[str], directory: Path | None = None) -> str:
    """Run a tool that has to succeed; returns what it printed."""
    done = subprocess.run(
        argv,
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{argv}: {done.stdout[-3000:]}"
    return done.stdout


def configure(command: tuple[str, ...], source: Path, build: Path) -> None:
    """Configure a project in a fresh build directory."""
    shutil.rmtree(build, ignore_errors=True)
    run([part.format(source=source, build=build) for part in command])


def products(build: Path) -> dict[str, str]:
    """Return the digest of every object, archive, library, program and depfile of a build."""
    found = {}
    for path in sorted(build.rglob("*")):
        name = path.relative_to(build).as_posix()
        if path.is_symlink() or not path.is_file() or _CONFIGURED.search(name):
            continue
        data = path.read_bytes()
        if _MADE.search(name) or data[:4] == b"\x7fELF":
            found[name] = hashlib.sha256(data).hexdigest()
    return found


def recorded_dependencies(build: Path) -> str:
    """Return what ninja knows of header dependencies, without times."""
    text = run(["ninja", "-C", str(build), "-t", "deps"])
    return re.sub(r"deps mtime \d+", "deps", text)


def planned(build: Path) -> list[str]:
    """Return what ninja would run now; some projects have commands that always run."""
    lines = run(["ninja", "-C", str(build), "-n"]).splitlines()
    return sorted(line.partition("] ")[2] for line in lines if line.startswith("["))


def nothing_to_do(build: Path) -> bool:
    """Ask ninja whether it finds the build directory up to date."""
    return "no work to do" in run(["ninja", "-C", str(build), "-n"])
