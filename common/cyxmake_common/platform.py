"""Canonical names of operating systems and processors, as REAPI platform properties have them.

Knows only this machine; the tables are shared by clients (what an action needs) and workers (what
they offer).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import sys
from pathlib import Path
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


def processors() -> frozenset[int]:
    """Return the processors that this process may use, as ninja counts them."""
    if sys.platform == "linux":
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def machine() -> str:
    """Return which kernel runs this process, and on which processors; empty when unknown."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
        name = hashlib.sha256(b"cyxmake machine " + boot).hexdigest()[:32]
        return f"{name}/{sum(1 << number for number in processors()):x}"
    return ""


def share_processors(one: str, other: str) -> bool:
    """Tell whether two processes compete for a processor, in whatever containers they are."""
    name, _, used = one.partition("/")
    other_name, _, other_used = other.partition("/")
    try:
        return bool(name) and name == other_name and bool(int(used, 16) & int(other_used, 16))
    except ValueError:
        return False


def os_family(name: str = sys.platform) -> str:
    """Return the value of OSFamily for a `sys.platform`."""
    return _FAMILIES.get(name, name)


def is_processor(name: str) -> bool:
    """Tell whether a word names a processor, by either spelling."""
    return name.lower() in _ISAS or name.lower() in _ISAS.values()


def isa(machine: str | None = None) -> str:
    """Return the value of ISA for a machine name as `uname -m` spells it; default: this machine."""
    machine = (machine or platform.machine()).lower()
    return _ISAS.get(machine, machine)
