"""What programs that we start see of the user's locale, in real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.processes import environment

TELL = """\
import subprocess
from cyxmake_common.user_locale import restore_locale
restore_locale()
subprocess.run(["sh", "-c", "echo ${LC_CTYPE-unset}"], check=True)
"""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="only Linux tells how a process began"
)


def heard(**variables: str) -> str:
    """Return LC_CTYPE as a program sees it that ours starts, begun with these variables."""
    known = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    known["PYTHONPATH"] = environment()["PYTHONPATH"]
    argv = [sys.executable, "-c", TELL]
    done = subprocess.run(argv, env=known | variables, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("variables", "seen"),
    [
        ({}, "unset"),
        ({"LANG": "C"}, "unset"),
        ({"LANG": "xx_XX.UTF-8"}, "unset"),
        ({"LC_CTYPE": "C"}, "C"),
        ({"LC_CTYPE": "xx_XX.UTF-8"}, "xx_XX.UTF-8"),
        ({"LC_CTYPE": "C.UTF-8"}, "C.UTF-8"),
        ({"LC_CTYPE": "C.UTF-8", "PYTHONUTF8": "1"}, "C.UTF-8"),
        ({"LANG": "C", "PYTHONCOERCECLOCALE": "0"}, "unset"),
    ],
)
def test_commands_see_what_the_user_has_set(variables: dict[str, str], seen: str) -> None:
    """The interpreter's own change of LC_CTYPE is not passed on; what was set is."""
    assert heard(**variables) == seen
