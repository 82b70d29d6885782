"""Finds out which sandbox works on this machine, by setting one up for real.

Knows nothing of actions. What it tries is what actions get: namespaces, an overlay on the given
directory's file system, a new root, dropped privileges; only the program at the end does not exist.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_common.action import Command
from cyxmake_common.cas.disk_writer import in_thread
from cyxmake_common.errors import SandboxError
from cyxmake_worker.sandbox.advice import Facts, advise, proc_advice, read_facts
from cyxmake_worker.sandbox.base import (
    Limits,
    ProgramNotStarted,
    Sandbox,
    SandboxKind,
    StageRefused,
)
from cyxmake_worker.sandbox.mapped import MappedSandbox
from cyxmake_worker.sandbox.none import NoSandbox
from cyxmake_worker.sandbox.removal import remove_children, remove_tree

_PROBE: Final = Command(("/no-such-program",), output_paths=("made/output",), working_directory="w")
_SECONDS: Final = 60.0
"""Long, for emulated machines: what a system refuses it refuses at once."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The best sandbox that works here, started.

    `tried` says why better ones do not, `advice` what to change on the machine.
    """

    sandbox: Sandbox
    tried: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()

    @property
    def kind(self) -> SandboxKind:
        """Return what the sandbox is."""
        return self.sandbox.kind


async def choose_sandbox(
    base: Path, *, allow_mapped: bool = False, network: bool = False, slots: int = 1
) -> Chosen:
    """Return the best sandbox for a directory of ours, which is on the store's file system.

    The one that maps paths isolates nothing, so it has to be allowed by the worker's owner, as has
    the `network` for commands that ask. Not more than `slots` commands run at a time.
    """
    await in_thread(lambda: remove_children(base))
    base.chmod(0o700)
    tried: list[str] = []
    told: list[str] = []
    facts = read_facts(base.absolute())
    for sandbox in _candidates(base, allow_mapped, network, slots):
        try:
            await _probe(sandbox, base / "probe")
        except SandboxError as error:
            tried.append(f"{sandbox.kind}: {error}")
            if isinstance(error, StageRefused):
                told += advise(error.stage, error.number, facts)
            await sandbox.close()
        else:
            return Chosen(sandbox, tuple(tried), _unique(told, sandbox.kind, facts))
    reason = "; ".join(tried) or f"none exists for {sys.platform}"
    return Chosen(NoSandbox(reason), tuple(tried), tuple(dict.fromkeys(told)))


def _unique(told: list[str], kind: SandboxKind, facts: Facts) -> tuple[str, ...]:
    if kind is not SandboxKind.NAMESPACE:
        return tuple(dict.fromkeys(told))
    # What kept a better one away is of no interest any more.
    covered = proc_advice(facts) if os.getuid() else ""
    return (covered,) if covered else ()


def _candidates(base: Path, allow_mapped: bool, network: bool, slots: int) -> list[Sandbox]:
    found: list[Sandbox] = []
    if sys.platform == "linux":
        from cyxmake_worker.sandbox.linux import Identity, NamespaceSandbox

        found += [
            NamespaceSandbox(base / "namespace", who, network=network)
            for who in Identity.candidates()
        ]
    if allow_mapped and sys.platform == "win32":
        from cyxmake_worker.sandbox.windows import DriveSandbox

        found.append(DriveSandbox(base / "drives", slots))
    elif allow_mapped:
        found.append(MappedSandbox())
    return found


async def _probe(sandbox: Sandbox, directory: Path) -> None:
    """Raise SandboxError unless everything up to the command's first instruction works."""
    layer, scratch = directory / "layer", directory / "scratch"
    try:
        for path in (layer, scratch):
            path.mkdir(parents=True)
        layer.chmod(0o777)
        if sys.platform == "linux" and os.statvfs(directory).f_flag & os.ST_NOEXEC:
            raise SandboxError(f"programs may not be executed from {directory}")
        await sandbox.start()
        await sandbox.run([layer], _PROBE, Limits(timeout=_SECONDS), scratch)
    except ProgramNotStarted:
        return
    except OSError as error:
        raise SandboxError(str(error)) from error
    finally:
        await in_thread(lambda: remove_tree(directory))
    raise SandboxError("the probe came to an end that it cannot have")
