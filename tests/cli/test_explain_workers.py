"""Why each worker of a mixed cluster could, or could not, run a unit."""

from __future__ import annotations

from cyxmake_cli.explain_workers import placements
from cyxmake_common.action import ISA, OS_FAMILY
from cyxmake_common.digest import Digest
from cyxmake_common.protocol.messages import ToolchainTrouble, WorkerStatus
from cyxmake_common.stand_in import STAND_IN

ZIG = Digest.of(b"zig")
LINUX = ((ISA, "x86-64"), (OS_FAMILY, "linux"))
ARM = ((ISA, "arm-a64"), (OS_FAMILY, "linux"))


def _worker(
    name: str, properties: tuple[tuple[str, str], ...], condition: str = "ready", refused: str = ""
) -> WorkerStatus:
    return WorkerStatus(
        name=name,
        slots=1,
        running=0,
        completed=0,
        draining=False,
        properties=properties,
        condition=condition,
        broken=(ToolchainTrouble(id=ZIG, detail=refused),) if refused else (),
    )


def test_each_worker_has_its_reason() -> None:
    """What it lacks, what it refuses, what it is busy with, or by what it could do it."""
    one = (STAND_IN, "zig 1")
    workers = [
        _worker("ran", LINUX),
        _worker("free", LINUX),
        _worker("arm", (*ARM, one)),
        _worker("bare", ARM),
        _worker("older", (*ARM, (STAND_IN, "zig 0"))),
        _worker("odd", (*ARM, one), refused="the object has other bytes"),
        _worker("slow", LINUX, condition="quarantined"),
    ]
    lines = placements(workers, (*LINUX, one), str(ZIG), "ran")
    assert lines == [
        "free could run it",
        "arm could run it with its own zig 1",
        "bare cannot run it: it lacks ISA=x86-64; zig 1 of its own would do, it has none",
        "older cannot run it: it lacks ISA=x86-64; zig 1 of its own would do, it has zig 0",
        "odd does not run it: its toolchain is refused there: the object has other bytes",
        "slow could run it, but is quarantined",
    ]
    assert placements([_worker("bare", ARM)], LINUX, str(ZIG), "") == [
        "bare cannot run it: it lacks ISA=x86-64"
    ]
