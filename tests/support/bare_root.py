"""A root file system that holds Python, our modules and nothing else: no compiler, no headers.

Knows nothing of clusters. Uses bubblewrap; whatever runs in it is given as an argv.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")
_NAME = re.compile(r"[\w.-]+")
_LEFT_OUT = shutil.ignore_patterns(
    "*.h",
    "*.a",
    "__pycache__",
    "test",
    "tests",
    "idlelib",
    "ensurepip",
    "config-*",
    "site-packages",
)
_LOOK = """
import json, os, shutil, sys
found = []
for top, folders, names in os.walk("/"):
    folders[:] = [f for f in folders if os.path.join(top, f) not in ("/proc", "/dev", "/sys")]
    for name in names:
        path = os.path.join(top, name)
        if name.endswith((".h", ".hpp", ".o", ".a")):
            found.append(path)
        elif os.access(path, os.X_OK) and not os.path.islink(path) and ".so" not in name:
            with open(path, "rb") as file:
                if file.read(4) == b"\\x7fELF":
                    found.append(path)
print(json.dumps([found, os.path.isdir("/usr/include"), shutil.which("cc") or shutil.which("gcc")]))
"""


class BareRoot:
    """A bare root below a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def make(cls, path: Path, modules: Iterable[Path]) -> BareRoot:
        """Copy the running Python, its libraries and these folders of modules."""
        shutil.rmtree(path, ignore_errors=True)
        made = cls(path)
        for folder in (Path(os.__file__).parent, *modules):
            shutil.copytree(folder, made._inside(folder), ignore=_LEFT_OUT)
        for file in _required_files("cyxmake"):
            made._copy(file)
        interpreter = Path(sys.executable)
        made._copy(Path(os.path.realpath(interpreter)))
        if interpreter.is_symlink():
            made._inside(interpreter).parent.mkdir(parents=True, exist_ok=True)
            made._inside(interpreter).symlink_to(os.path.realpath(interpreter))
            for config in interpreter.parents[1].glob("pyvenv.cfg"):
                made._copy(config)
        for library in _libraries(path, os.path.realpath(interpreter)):
            made._copy(Path(library))
        for empty in ("tmp", "proc", "dev", "sys"):
            (path / empty).mkdir(exist_ok=True)
        return made

    def prefix(self, writable: Sequence[Path] = ()) -> list[str]:
        """Return the argv before a command that shall run in it; `writable` are shared folders."""
        binds: list[str] = []
        for folder in writable:
            folder.mkdir(parents=True, exist_ok=True)
            self._inside(folder).mkdir(parents=True, exist_ok=True)
            binds += ["--bind", str(folder), str(folder)]
        capabilities = ["--cap-add", "ALL"] if os.getuid() == 0 else []
        modules = [entry for entry in sys.path if entry and self._inside(Path(entry)).is_dir()]
        return [
            "bwrap", "--die-with-parent", "--ro-bind", str(self.path), "/", "--dev", "/dev",
            "--proc", "/proc", *binds, *capabilities,
            "--setenv", "PYTHONPATH", os.pathsep.join(modules),
        ]  # fmt: skip

    def look(self) -> tuple[list[str], bool, str | None]:
        """Say from inside: programs, headers and objects; whether /usr/include is; a compiler."""
        done = subprocess.run(
            [*self.prefix(), sys.executable, "-c", _LOOK],
            capture_output=True,
            check=True,
            text=True,
        )
        found, headers, compiler = json.loads(done.stdout)
        return found, headers, compiler

    def _inside(self, path: Path) -> Path:
        return self.path / path.relative_to("/")

    def _copy(self, path: Path) -> None:
        target = self._inside(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy2(path, target)


def _required_files(distribution: str) -> Iterator[Path]:
    """Return what is installed of the distributions that one needs, without headers."""
    wanted, seen = [distribution], set()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        with contextlib.suppress(metadata.PackageNotFoundError):  # for another platform
            found = metadata.distribution(name)
            for line in found.requires or ():
                if "extra ==" not in line:
                    wanted.append(_NAME.match(line)[0])  # type: ignore[index]
            for file in found.files or ():
                path = Path(os.path.normpath(str(file.locate())))
                if path.suffix in (".py", ".so") or ".dist-info" in str(path):
                    yield path


def _libraries(root: Path, interpreter: str) -> set[str]:
    """Return the libraries of a program and of every extension module below a directory."""
    modules = [str(path) for path in root.rglob("*.so*") if path.is_file()]
    listed = subprocess.run(
        ["ldd", interpreter, *modules], capture_output=True, text=True, check=False
    )
    return {path for path in _LIBRARY.findall(listed.stdout) if not path.startswith(str(root))}
