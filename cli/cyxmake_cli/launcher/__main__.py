"""The stand-in for machines without a compiler to build the C stub with: the same in Python.

Knows only its own name: the shell script that calls it hands over the name it was called by.
"""

from __future__ import annotations

import sys

from cyxmake_cli.launcher.client import launch
from cyxmake_common.user_locale import restore_locale


def main() -> None:
    """Do what `argv[1]`, a stand-in or a launcher, was called for."""
    if len(sys.argv) < 2:
        sys.exit(2)
    restore_locale()
    sys.exit(launch(sys.argv[1:]))


if __name__ == "__main__":
    main()
