"""zig, from PATH or installed once as a Python package outside of the repository.

Knows nothing of clusters. Other kinds of machines get the package of the same version.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NO_LINKS = "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY"
"""To link, zig first builds its libraries, which takes minutes."""


def find_zig() -> str | None:
    """Return a zig: from PATH, from the folder where one was put, or installed there now."""
    found = shutil.which("zig")
    if found is not None:
        return os.path.realpath(found)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cyxmake-tests/zig"
    if not (home / "ziglang/zig").exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(home), "ziglang"]
        if subprocess.run(pip, check=False, capture_output=True).returncode != 0:
            return None
    return os.path.realpath(home / "ziglang/zig")


def write_drivers(folder: Path, zig: str) -> Path:
    """Write the scripts that people put around zig; `zig-clang` is the compiler without headers."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, mode in (("zig-cc", "cc"), ("zig-c++", "c++"), ("zig-clang", "clang")):
        (folder / name).write_text(f'#!/bin/sh\nexec {zig} {mode} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


def version_of(zig: str) -> str:
    """Return what zig calls its version."""
    done = subprocess.run([zig, "version"], capture_output=True, text=True, check=True)
    return done.stdout.strip()
