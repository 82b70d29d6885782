"""Judges how a command ended: the tool's own verdict, a resource that ran out, or something
unclear.

Pure: knows nothing of sandboxes, files or the clock. Only a tool verdict may fail a build, so a
doubt is never one: it is resource or ambiguous, and the action is run again elsewhere.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cyxmake_common.execution.process import ProcessResult
from cyxmake_common.outcome import Cause, OutcomeKind

_LOW_DISK: Final = 64 << 20
_TAIL: Final = 64 << 10
_NO_SPACE: Final = re.compile(rb"No space left on device|Disk quota exceeded")
_NO_MEMORY: Final = re.compile(
    rb"virtual memory exhausted|out of memory allocating \d+ bytes|Cannot allocate memory"
    rb"|LLVM ERROR: out of memory|std::bad_alloc"
)
_CHILD_KILLED: Final = re.compile(
    rb"(?:Killed|Terminated) signal terminated program|^Killed$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Ending:
    """Everything that is known when a command is over."""

    process: ProcessResult
    missing: Sequence[str] = ()
    refused: Sequence[str] = ()
    out_of_memory: bool = False
    disk_free: int = 1 << 62


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to make of it."""

    kind: OutcomeKind
    cause: Cause = Cause.NONE
    detail: str = ""


def judge(ending: Ending) -> Verdict:
    """Return the verdict; the exit code counts only when nothing of ours got in the way."""
    process = ending.process
    if process.timed_out:
        return Verdict(
            OutcomeKind.RESOURCE, Cause.TIME, f"stopped after {process.seconds:.1f} seconds"
        )
    if process.exit_code != 0:
        return _judge_failure(ending)
    if ending.refused:
        return Verdict(
            OutcomeKind.AMBIGUOUS, Cause.MISSING_OUTPUT, "refused: " + _some(ending.refused)
        )
    if ending.missing:
        return Verdict(
            OutcomeKind.AMBIGUOUS, Cause.MISSING_OUTPUT, "not there: " + _some(ending.missing)
        )
    return Verdict(OutcomeKind.TOOL, detail="output truncated" if process.truncated else "")


def _judge_failure(ending: Ending) -> Verdict:
    process = ending.process
    tail = process.stderr[-_TAIL:] + b"\n" + process.stdout[-_TAIL:]
    killed = process.signal == signal.SIGKILL.value if hasattr(signal, "SIGKILL") else False
    child_killed = _CHILD_KILLED.search(tail) is not None
    if ending.out_of_memory and (killed or child_killed):
        return Verdict(OutcomeKind.RESOURCE, Cause.MEMORY, "killed by the kernel for its memory")
    if _NO_MEMORY.search(tail):
        return Verdict(OutcomeKind.RESOURCE, Cause.MEMORY, "the tool says that memory ran out")
    if _NO_SPACE.search(tail) and ending.disk_free < _LOW_DISK:
        return Verdict(
            OutcomeKind.RESOURCE, Cause.DISK, f"{ending.disk_free >> 20} MiB of disk are free"
        )
    if process.signal == getattr(signal, "SIGXFSZ", -1):
        return Verdict(OutcomeKind.RESOURCE, Cause.DISK, "a file grew beyond the limit")
    if process.signal:
        name = signal.strsignal(process.signal) or "unknown"
        detail = f"ended by signal {process.signal} ({name})"
        return Verdict(OutcomeKind.AMBIGUOUS, Cause.SIGNAL, detail)
    if child_killed:
        return Verdict(OutcomeKind.AMBIGUOUS, Cause.SIGNAL, "a program it had started was killed")
    return Verdict(OutcomeKind.TOOL, detail="output truncated" if process.truncated else "")


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
