"""Runs the steps of a whole project on Windows, one after another, by this machine's own programs.

Knows nothing of verdicts. The project's tree stands at the client's path on a drive of ours. It
isolates nothing, as everything on such a drive: it is for workers that trust their clients. What
is made this way is never cached.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from cyxmake_common.action import Command
from cyxmake_common.cas.disk_files import patiently
from cyxmake_common.cas.disk_writer import in_thread
from cyxmake_common.clock import monotonic
from cyxmake_common.compound import Ended, Step
from cyxmake_common.errors import SandboxError
from cyxmake_common.execution.process import ProcessRequest, ProcessResult, run_process
from cyxmake_worker.sandbox.base import Arrangement, HostView, Limits, SandboxRun
from cyxmake_worker.sandbox.drives import Drive
from cyxmake_worker.sandbox.own_tree import lay_own

_NEVER: Final = Ended(-1)
_MOST: Final = 255
"""Exit codes have 32 bits here; a crash is one of the large ones."""


async def run_project(
    drive: Drive,
    environment: Mapping[str, str],
    layers: Sequence[Path],
    command: Command,
    limits: Limits,
    scratch: Path,
    arrangement: Arrangement,
) -> SandboxRun:
    """Run an arrangement on a drive; `environment` is what every command has here.

    Raises SandboxError for what needs more than a copy of the project and this machine's programs.
    """
    own, host = arrangement.own, arrangement.host
    if own is None or host is None or arrangement.apart:
        raise SandboxError("on Windows only whole projects have several commands")
    laid = await in_thread(lambda: lay_own(own, layers, drive.folder, None))
    (drive.folder / "tmp").mkdir(exist_ok=True)
    common = {**environment, **_upper(host), **dict(command.environment)}
    end = monotonic() + limits.timeout if limits.timeout else None
    ended: list[Ended] = []
    results: list[ProcessResult] = []
    for step in arrangement.steps:
        stopped = any(result.exit_code != 0 or result.timed_out for result in results)
        lost = any(ended[number].exit_code != 0 for number in step.after)
        if lost or (stopped and not arrangement.keep_going):
            ended.append(_NEVER)
            continue
        left = 0.0 if end is None else max(0.001, end - monotonic())
        result = await _run(drive, step, common, left, limits.output_bytes, arrangement)
        results.append(result)
        ended.append(Ended(result.exit_code, result.seconds))
    root = scratch / "root"
    await in_thread(lambda: _hand_over(drive.folder, root, own.path))
    return SandboxRun(_together(results), root, {}, ended=tuple(ended), laid=laid)


async def _run(
    drive: Drive,
    step: Step,
    common: Mapping[str, str],
    seconds: float,
    limit: int,
    arrangement: Arrangement,
) -> ProcessResult:
    environment = {**common, **step.environment}
    name, *rest = step.argv
    program = shutil.which(name, path=environment.get("PATH", ""))
    if program is None:
        return ProcessResult(127, stderr=f"{name} is not in this worker's PATH\n".encode())
    loop, tell = asyncio.get_running_loop(), arrangement.heard

    def heard(stream: int, data: bytes) -> None:
        del stream
        if tell is not None:
            loop.call_soon_threadsafe(tell, data)

    directory = drive.root / step.directory.strip("/")
    directory.mkdir(parents=True, exist_ok=True)
    request = ProcessRequest(
        (program, *rest),
        cwd=directory,
        environment=environment,
        timeout=seconds,
        output_limit=limit,
        grace=0.0,
        heard=heard,
    )
    try:
        return await run_process(request)
    except OSError as error:
        return ProcessResult(126, stderr=f"{name}: {error}\n".encode())


def _together(results: Sequence[ProcessResult]) -> ProcessResult:
    """Return all steps as one process, which ended as the first that failed."""
    failed = next((one for one in results if one.exit_code != 0 or one.timed_out), None)
    return ProcessResult(
        exit_code=0 if failed is None else min(failed.exit_code, _MOST),
        stdout=b"".join(one.stdout for one in results),
        stderr=b"".join(one.stderr for one in results),
        seconds=sum(one.seconds for one in results),
        timed_out=failed is not None and failed.timed_out,
        truncated=any(one.truncated for one in results),
        max_rss=max((one.max_rss for one in results), default=0),
    )


def _upper(host: HostView) -> dict[str, str]:
    return {name.upper(): value for name, value in host.environment.items()}


def _hand_over(folder: Path, root: Path, path: str) -> None:
    """Move the project's tree to where the executor looks for outputs."""
    source, target = Path(f"{folder}{path}"), Path(f"{root}{path}")
    target.parent.mkdir(parents=True)
    patiently(lambda: os.rename(source, target))  # noqa: PTH104
