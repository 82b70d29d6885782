"""Makes the stub: stub.c compiled by the user's own compiler, else a script that runs Python.

Knows nothing of masquerades. The program is named after everything that it is made of, so a new
version, another compiler or another installation has another name and nothing is ever replaced.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path
from typing import Final

from cyxmake_cli.config import config_directory
from cyxmake_cli.launcher.decisions import clean_path, search
from cyxmake_cli.launcher.home import DISABLE, STUB_NAME, Home, short_digest
from cyxmake_common.errors import ConfigError

_COMPILERS: Final = ("cc", "gcc", "clang")
_FLAGS: Final = (("-O2", "-static"), ("-O2",))
"""A static program starts in half the time, where the system has what it takes."""

_COMPILE_SECONDS: Final = 60


def stub(home: Home, path: str | None = None) -> Path:
    """Return the stub, made on first use; `path` is the PATH to look for a compiler in.

    Raises ConfigError when the folder cannot be used.
    """
    home.make()
    source = resources.files(__package__).joinpath("stub.c").read_bytes()
    folders = clean_path(os.environ.get("PATH") if path is None else path)
    for name in _COMPILERS if os.name == "posix" else ():
        compiler = search(name, folders)
        if compiler is None:
            continue
        state = Path(compiler).stat()
        identity = f"{compiler} {state.st_mtime_ns} {state.st_size} {home.path} {sys.executable} "
        identity += str(config_directory())
        target = home.path / f"{STUB_NAME}-{short_digest(source, identity.encode())}"
        if target.exists() or _compile(compiler, source, home, target):
            return target
    return _script(home)


def _compile(compiler: str, source: bytes, home: Home, target: Path) -> bool:
    defined = (
        f"-DCYX_HOME={_c_string(str(home.path))}",
        f"-DCYX_PYTHON={_c_string(sys.executable)}",
        f"-DCYX_CONFIG={_c_string(str(config_directory()))}",
    )
    with tempfile.TemporaryDirectory(dir=home.path) as scratch:
        text = Path(scratch) / "stub.c"
        text.write_bytes(source)
        made = Path(scratch) / "stub"
        for flags in _FLAGS:
            argv = [compiler, *flags, *defined, "-o", str(made), str(text)]
            try:
                done = subprocess.run(
                    argv,
                    env={**os.environ, DISABLE: "1"},
                    capture_output=True,
                    check=False,
                    timeout=_COMPILE_SECONDS,
                )
            except (OSError, subprocess.TimeoutExpired):
                return False
            if done.returncode == 0:
                made.chmod(0o755)
                made.replace(target)
                return True
    return False


def _script(home: Home) -> Path:
    text = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m cyxmake_cli.launcher "$0" "$@"\n'
    target = home.path / f"{STUB_NAME}-{short_digest(text.encode())}"
    if target.exists():
        return target
    scratch = target.with_suffix(f".{os.getpid()}")
    try:
        scratch.write_text(text, "utf-8")
        scratch.chmod(0o755)
        scratch.replace(target)
    except OSError as error:
        raise ConfigError(f"cannot write {target}: {error.strerror}") from error
    return target


def _c_string(text: str) -> str:
    """Return a text as a literal of C, whatever bytes it has."""
    return '"' + "".join(f"\\{byte:03o}" for byte in os.fsencode(text)) + '"'
