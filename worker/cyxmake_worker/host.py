"""Facts of this machine: what it is, what stands on it, how busy it is.

Knows nothing of connections or leases; names are those of common.platform.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import platform
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_common.action import ISA, OS_FAMILY, Properties
from cyxmake_common.compound import ALLOWED, NETWORK, STEPS, TOOL
from cyxmake_common.execution.process import ProcessRequest, run_process
from cyxmake_common.platform import isa, machine, os_family
from cyxmake_common.protocol.messages import MAX_NAME, ToolchainFacts, WorkerFacts
from cyxmake_common.stand_in import STAND_IN
from cyxmake_worker.probe_cache import ProbeCache

SANDBOX: Final = "cyxmake-sandbox"
"""Property: how a worker keeps commands apart from its host."""

TOOLS: Final = (
    "gcc", "g++", "clang", "clang++", "cmake", "ninja", "make", "meson", "autoconf", "git",
    "python3", "go", "cargo", "rustc", "java", "node",
)  # fmt: skip
"""Programs worth telling about: people read the table, recovery looks into it."""

_VERSION: Final = re.compile(rb"\d+(?:\.\d+)+[\w.+-]*")
_TOOL_SECONDS: Final = 2.0
_TOOLS_AT_ONCE: Final = 4
_VERSION_ARGUMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "gcc": ("-dumpfullversion",),
    "g++": ("-dumpfullversion",),
    "go": ("version",),
    "java": ("-version",),
}


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the machine is now."""

    load: float
    memory_free_bytes: int
    disk_free_bytes: int


def offered_properties(
    sandbox: str,
    labels: Mapping[str, str],
    tools: Sequence[str] = (),
    *,
    network: bool = False,
    equals: Sequence[str] = (),
) -> Properties:
    """Return the platform properties of this machine; a label cannot contradict a fact.

    `equals` are tools that may stand in for those of other kinds of machines.

    A machine that cannot execute (`none`) does not offer its processor: nothing is sent to it.
    """
    labels = {k: v for k, v in labels.items() if k not in (TOOL, NETWORK, STEPS, STAND_IN)}
    facts = {OS_FAMILY: os_family(), ISA: isa(), SANDBOX: sandbox}
    if sandbox == "none":
        facts = {SANDBOX: sandbox}
        labels = {k: v for k, v in labels.items() if k not in (OS_FAMILY, ISA)}
    several = [(TOOL, name) for name in tools]
    several += [(STAND_IN, name) for name in equals if sandbox != "none"]
    if sandbox == "namespace":
        several.append((STEPS, ALLOWED))
        if network:
            several.append((NETWORK, ALLOWED))
    return tuple(sorted([*(dict(labels) | facts).items(), *several]))


def cpu_model() -> str:
    """Return what the processor calls itself, or its architecture."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError), Path("/proc/cpuinfo").open("rb") as file:
            for line in file:
                key, _, value = line.partition(b":")
                if key.strip() in (b"model name", b"Model", b"Hardware"):
                    return value.strip().decode("utf-8", "replace")[:MAX_NAME]
    return (platform.processor() or platform.machine())[:MAX_NAME]


def machine_identity(sandbox: str) -> str:
    """Return what a compiler's working may hang on: processor, its features, kernel, sandbox."""
    features = b""
    with contextlib.suppress(OSError), Path("/proc/cpuinfo").open("rb") as file:
        features = next((line for line in file if line.startswith((b"flags", b"Features"))), b"")
    told = f"{cpu_model()}\n{features!r}\n{platform.release()}\n{sandbox}"
    return hashlib.sha256(told.encode()).hexdigest()


def memory_bytes() -> int:
    """Return how much memory this process may use: the machine's, or less in a container."""
    import psutil

    total = int(psutil.virtual_memory().total)
    with contextlib.suppress(OSError, ValueError):
        return min(total, int(Path("/sys/fs/cgroup/memory.max").read_text("ascii")))
    return total


def disk_free_bytes(path: Path) -> int:
    """Return the free bytes of the file system that holds a path, 0 if unknown."""
    with contextlib.suppress(OSError):
        return shutil.disk_usage(path).free
    return 0


def read_load(data_dir: Path) -> Load:
    """Return the state of the machine for a heartbeat; takes some tens of microseconds."""
    import psutil

    load = 0.0
    # On Windows too, but for machines whose performance counters are disabled.
    with contextlib.suppress(OSError, RuntimeError):
        load = psutil.getloadavg()[0]
    return Load(load, int(psutil.virtual_memory().available), disk_free_bytes(data_dir))


async def find_tools(cache: ProbeCache, names: Sequence[str] = TOOLS) -> dict[str, str]:
    """Return the version of every tool that is in PATH, or `?` where it does not tell."""
    gate = asyncio.Semaphore(_TOOLS_AT_ONCE)

    async def ask(name: str) -> tuple[str, str] | None:
        path = shutil.which(name)
        if path is None:
            return None
        known = cache.get("version", path)
        if isinstance(known, str):
            return name, known
        async with gate:
            version = await _version_of(name, path)
        cache.put("version", path, version)
        return name, version

    answers = await asyncio.gather(*(ask(name) for name in names))
    return dict(answer for answer in answers if answer is not None)


async def _version_of(name: str, path: str) -> str:
    request = ProcessRequest(
        (path, *_VERSION_ARGUMENTS.get(name, ("--version",))),
        timeout=_TOOL_SECONDS,
        output_limit=4096,
        grace=0.1,
    )
    try:
        result = await run_process(request)
    except OSError:
        return "?"
    match = _VERSION.search(result.stdout or result.stderr)
    return match.group().decode("ascii", "replace")[:MAX_NAME] if match else "?"


def worker_facts(
    name: str,
    slots: int,
    properties: Properties,
    data_dir: Path,
    toolchains: Sequence[ToolchainFacts] = (),
    tools: Mapping[str, str] | None = None,
) -> WorkerFacts:
    """Return what this worker says of itself when it joins."""
    return WorkerFacts(
        name=name,
        slots=slots,
        properties=properties,
        toolchains=tuple(toolchains),
        tools=dict(tools or {}),
        cpu_count=os.cpu_count() or 1,
        cpu_model=cpu_model(),
        memory_bytes=memory_bytes(),
        disk_free_bytes=disk_free_bytes(data_dir),
        machine=machine(),
    )
