"""Finding a coordinator by mDNS, in a network namespace that holds loopback alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.processes import REPOSITORY, environment

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("unshare") is None or shutil.which("ip") is None,
    reason="needs a network of its own: Linux with unshare and ip",
)


def test_an_impostor_gains_nothing(tmp_path: Path) -> None:
    """A false announcement is heard and tried; the caller ends at the one that proves itself."""
    script = REPOSITORY / "tests/support/discovery_user.py"
    alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up multicast on && exec "$@"', "sh"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network namespaces here")
    env = environment()
    env["PYTHONPATH"] += f":{REPOSITORY / 'tests'}"
    done = subprocess.run(
        [*alone, sys.executable, str(script), str(tmp_path)],
        env=env, capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["heard"] == sorted([said["real"], said["false"]])  # the silent one is not there
    assert said["tried"][0] == "wss://127.0.0.1:1"
    assert set(said["tried"][1:]) == {said["real"], said["false"]}
    assert said["found"] == said["real"]
    assert said["joined"] is True
    assert said["false proven"] is False
    assert said["after"] == []
