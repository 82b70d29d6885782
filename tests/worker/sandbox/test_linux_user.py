"""The whole sandbox as a user without any right, which is how most workers run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import support.ordinary_user

NOBODY = 65534


def _python() -> str:
    """Return a Python of this version that everybody may execute."""
    version = f"python3.{sys.version_info.minor}"
    for candidate in (sys.executable, shutil.which(version, path="/usr/bin:/usr/local/bin")):
        if candidate and _runs_as_nobody(candidate):
            return candidate
    pytest.skip("no Python that an ordinary user may execute")


def _runs_as_nobody(python: str) -> bool:
    argv = [python, "-I", "-c", ""]
    try:
        ran = subprocess.run(argv, check=False, user=NOBODY, group=NOBODY, extra_groups=[])
    except OSError:
        return False
    return ran.returncode == 0


@pytest.fixture
def directory() -> Iterator[Path]:
    """Return a directory of that user, outside of pytest's own, which is private to us."""
    with tempfile.TemporaryDirectory(prefix="cyxmake-user-") as made:
        path = Path(made)
        os.chown(path, NOBODY, NOBODY)
        yield path


@pytest.mark.e2e
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_has_the_same_sandbox(directory: Path, programs: Path) -> None:
    """Namespaces, isolation, exact signals and complete removal without root."""
    script = Path(support.ordinary_user.__file__)
    copied = directory / "programs"
    shutil.copytree(programs, copied)
    argv = [_python(), str(script), str(directory), str(copied)]
    ran = subprocess.run(
        argv,
        check=False,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd="/",
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    result = json.loads(ran.stdout)
    assert result["kind"] == "namespace"
    assert (result["signal"], result["made"], result["kept"]) == (9, "out\n", "in")
    assert result["seen"][0] == str(NOBODY)
    assert not {"root", "var", "work", "etc"} & set(result["seen"])
    assert result["seen"][-4:] == ["0", "1", "2", "3"]
    assert not result["left"]
