"""Canonical names of operating systems and processors, as REAPI platform properties have them.

Knows only this machine; the tables are shared by clients (what an action needs) and workers (what
they offer).
"""

from __future__ import annotations

import platform
import sys
from typing import Final

_FAMILIES: Final = {"linux": "linux", "darwin": "macos", "win32": "windows"}
_ISAS: Final = {
    "x86_64": "x86-64",
    "amd64": "x86-64",
    "aarch64": "arm-a64",
    "arm64": "arm-a64",
    "armv7l": "arm-a32",
    "riscv64": "riscv-64",
}


def os_family(name: str = sys.platform) -> str:
    """Return the value of OSFamily for a `sys.platform`."""
    return _FAMILIES.get(name, name)


def isa(machine: str | None = None) -> str:
    """Return the value of ISA for a machine name as `uname -m` spells it; default: this machine."""
    machine = (machine or platform.machine()).lower()
    return _ISAS.get(machine, machine)
