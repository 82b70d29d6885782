"""Verdicts: when an exit code is the tool's own, and when it only looks like it."""

from __future__ import annotations

import signal

import pytest

from cyxmake_common.execution.process import ProcessResult
from cyxmake_common.outcome import Cause, OutcomeKind
from cyxmake_worker.executors.verdict import Ending, judge

GIB = 1 << 30
KILLED = b"g++: fatal error: Killed signal terminated program cc1plus\ncompilation terminated.\n"
ERROR = b"a.c:1:1: error: expected ';'\n"
FULL = b"/tmp/ccX.s: fatal error: a.o: No space left on device\n"


@pytest.mark.parametrize(
    ("ending", "kind", "cause"),
    [
        (Ending(ProcessResult(0)), OutcomeKind.TOOL, Cause.NONE),
        (Ending(ProcessResult(1, stderr=ERROR)), OutcomeKind.TOOL, Cause.NONE),
        (Ending(ProcessResult(1, stderr=ERROR), missing=["a.o"]), OutcomeKind.TOOL, Cause.NONE),
        (Ending(ProcessResult(137)), OutcomeKind.TOOL, Cause.NONE),
        (Ending(ProcessResult(-9, 9, timed_out=True)), OutcomeKind.RESOURCE, Cause.TIME),
        (Ending(ProcessResult(-9, 9)), OutcomeKind.AMBIGUOUS, Cause.SIGNAL),
        (Ending(ProcessResult(-11, 11)), OutcomeKind.AMBIGUOUS, Cause.SIGNAL),
        (Ending(ProcessResult(-9, 9), out_of_memory=True), OutcomeKind.RESOURCE, Cause.MEMORY),
        (Ending(ProcessResult(-11, 11), out_of_memory=True), OutcomeKind.AMBIGUOUS, Cause.SIGNAL),
        (
            Ending(ProcessResult(1, stderr=KILLED), out_of_memory=True),
            OutcomeKind.RESOURCE,
            Cause.MEMORY,
        ),
        (Ending(ProcessResult(1, stderr=KILLED)), OutcomeKind.AMBIGUOUS, Cause.SIGNAL),
        (Ending(ProcessResult(1, stderr=ERROR), out_of_memory=True), OutcomeKind.TOOL, Cause.NONE),
        (
            Ending(ProcessResult(1, stderr=b"cc1: out of memory allocating 65536 bytes after")),
            OutcomeKind.RESOURCE,
            Cause.MEMORY,
        ),
        (
            Ending(ProcessResult(1, stderr=FULL), disk_free=1 << 20),
            OutcomeKind.RESOURCE,
            Cause.DISK,
        ),
        (Ending(ProcessResult(1, stderr=FULL), disk_free=9 * GIB), OutcomeKind.TOOL, Cause.NONE),
        (
            Ending(ProcessResult(-signal.SIGXFSZ, signal.SIGXFSZ.value)),
            OutcomeKind.RESOURCE,
            Cause.DISK,
        ),
        (Ending(ProcessResult(0), missing=["a.o"]), OutcomeKind.AMBIGUOUS, Cause.MISSING_OUTPUT),
        (
            Ending(ProcessResult(0), refused=["a.o is a FIFO"]),
            OutcomeKind.AMBIGUOUS,
            Cause.MISSING_OUTPUT,
        ),
    ],
)
def test_each_ending_has_its_verdict(ending: Ending, kind: OutcomeKind, cause: Cause) -> None:
    """Only a command that ran undisturbed to its end speaks for itself."""
    verdict = judge(ending)
    assert (verdict.kind, verdict.cause) == (kind, cause)


def test_people_are_told_what_is_missing() -> None:
    """A few names are listed, the rest counted."""
    verdict = judge(Ending(ProcessResult(0), missing=[f"{n}.o" for n in range(8)]))
    assert verdict.detail == "not there: 0.o, 1.o, 2.o, 3.o, 4.o and 3 more"
