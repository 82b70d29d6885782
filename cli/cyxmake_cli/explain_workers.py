"""Says of each worker of a cluster why it cannot run a unit, or how it could.

Knows no files and no connections: it is told what the unit needs and what the workers offer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cyxmake_common.action import Properties
from cyxmake_common.protocol.messages import WorkerStatus
from cyxmake_common.stand_in import STAND_IN, lacking, stands_in, text_hint


def placements(
    workers: Iterable[WorkerStatus], required: Properties, toolchain: str, ran_on: str
) -> list[str]:
    """Return a line for each worker but the one that a unit ran on."""
    return [
        f"{worker.name} {_judge(worker, required, toolchain)}"
        for worker in workers
        if worker.name != ran_on
    ]


def _judge(worker: WorkerStatus, required: Properties, toolchain: str) -> str:
    absent = lacking(required, worker.properties)
    if absent:
        needs = ", ".join(f"{name}={value}" for name, value in sorted(absent))
        return f"cannot run it: it lacks {needs}{_hint(worker, required)}"
    trouble = [one.detail for one in worker.broken if str(one.id) == toolchain]
    if trouble:
        return f"does not run it: its toolchain is refused there: {trouble[0]}"
    if worker.draining or worker.condition not in ("", "ready"):
        return f"could run it, but is {worker.condition or 'draining'}"
    tool = _portable(required)
    own = f" with its own {tool}" if stands_in(required, worker.properties) else ""
    return f"could run it{own}"


def _hint(worker: WorkerStatus, required: Properties) -> str:
    """Say which tool would do, where a worker of another kind has another release of it."""
    if text := text_hint(required, worker.properties):
        return f"; {text}"
    tool = _portable(required)
    if not tool:
        return ""
    has = [value for name, value in worker.properties if name == STAND_IN]
    return f"; {tool} of its own would do, it has {', '.join(has) or 'none'}"


def _portable(required: Sequence[tuple[str, str]]) -> str:
    return next((value for name, value in required if name == STAND_IN), "")
