"""One compound action on the cluster: upload its tree, have it done, bring home what it made.

Knows nothing of build systems or screens. The output is told of as it comes; where some of it was
lost on the way, the whole is told once more at the end.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cyxmake_cli import artifacts
from cyxmake_cli.artifacts import Brought
from cyxmake_cli.cluster.client import ClusterClient, JobAnswer
from cyxmake_cli.cluster.inputs import Source
from cyxmake_cli.cluster.uploads import Uploads
from cyxmake_common.action import (
    ROOT,
    Action,
    ActionResult,
    Command,
    OutputFile,
    Properties,
)
from cyxmake_common.cas.file_digests import FileDigests
from cyxmake_common.cas.tree import InputTree
from cyxmake_common.compound import COMPOUND, PLAN_PATH, Compound
from cyxmake_common.digest import EMPTY, Digest
from cyxmake_common.protocol.messages import JobOutput, JobProgress, JobReject

_SUBMISSIONS: Final = 3


@dataclass(frozen=True, slots=True)
class WholeJob:
    """A compound action in the making: its tree still lacks the plan."""

    compound: Compound
    tree: InputTree
    sources: Mapping[Digest, Source]
    directory: str
    environment: Properties
    platform: Properties
    timeout: float = 0.0


@dataclass(slots=True)
class Heard:
    """What was printed so far: by which worker, and how much of it."""

    tell: Callable[[bytes], None]
    note: Callable[[str], None]
    worker: str = ""
    count: int = 0

    def take(self, message: JobOutput | JobProgress) -> None:
        """Take news of the running action."""
        if isinstance(message, JobOutput):
            self._at(message.worker)
            self.count += len(message.data)
            self.tell(message.data)
        elif message.stage == "executing":
            self._at(message.worker)

    def _at(self, worker: str) -> None:
        if worker != self.worker:
            again = " again, from the beginning," if self.worker else ""
            self.worker, self.count = worker, 0
            self.note(f"cyxmake: building{again} on {worker}")


@dataclass(slots=True)
class Placed:
    """What came home: paths, and for what was left out the reason."""

    paths: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


async def submit(client: ClusterClient, job: WholeJob, heard: Heard) -> JobAnswer:
    """Have the action done; raises CyxError, OSError."""
    plan = job.compound.to_bytes()
    job.tree.add_file(PLAN_PATH, Digest.of(plan))
    root, directories = job.tree.build()
    command = Command(
        arguments=(PLAN_PATH,),
        environment=job.environment,
        working_directory=job.directory.lstrip("/"),
    ).to_bytes()
    action = Action(
        command=Digest.of(command),
        input_root=root,
        timeout=job.timeout,
        do_not_cache=True,
        platform=tuple(sorted((*job.platform, (COMPOUND, "1"), (ROOT, job.directory)))),
    ).to_bytes()
    own: dict[Digest, Source] = {Digest.of(data): data for data in (plan, command, action)}
    blobs: dict[Digest, Source] = {**job.sources, **directories, **own}
    uploads = Uploads(client)
    await uploads.ensure(blobs)
    for _ in range(_SUBMISSIONS):
        answer = await client.execute(Digest.of(action), skip_cache=True, watch=heard.take)
        if not isinstance(answer, JobReject) or not answer.missing:
            break
        await uploads.again(answer.missing, blobs)
    return answer


async def read_output(client: ClusterClient, result: ActionResult) -> bytes:
    """Return all that was printed, errors last; raises CyxError."""
    texts = [digest for digest in (result.stdout, result.stderr) if digest is not None]
    blobs = await client.blobs.get_many_bytes(set(texts))
    return b"".join(blobs[digest] for digest in texts if digest in blobs)


async def bring_home(
    client: ClusterClient,
    result: ActionResult,
    source: str,
    brought: Brought,
    rules: artifacts.Rules,
) -> Placed:
    """Put what came back in place, as far as it may be; raises CyxError, OSError."""
    placed, digests, gate = Placed(), FileDigests(), asyncio.Semaphore(8)

    def may(path: str, new: str) -> bool:
        place = f"{source}/{path}"
        there = artifacts.present(place, digests.digest)
        reason = artifacts.why_not(path, new, there, brought.known, rules)
        if not reason and artifacts.leads_through_link(source, path):
            reason = "stands behind a symbolic link"
        if reason:
            placed.refused[path] = reason
            return False
        brought.known[path] = new
        placed.paths.append(path)
        return there != new

    async def fetch(output: OutputFile) -> None:
        async with gate:
            await _fetch(client, output, Path(source, output.path))

    files = [output for output in result.outputs if may(output.path, str(output.digest))]
    await asyncio.gather(*map(fetch, files))
    for output in result.outputs:
        if output.path in placed.paths:
            _set_executable(Path(source, output.path), executable=output.is_executable)
    for link in result.symlinks:
        if may(link.path, f"-> {link.target}"):
            place = Path(source, link.path)
            place.parent.mkdir(parents=True, exist_ok=True)
            temporary = _temporary(place)
            temporary.symlink_to(link.target)
            temporary.replace(place)
    return placed


async def _fetch(client: ClusterClient, output: OutputFile, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(place)
    try:
        if output.digest == EMPTY:
            temporary.touch()
        else:
            await client.blobs.get_to_file(output.digest, temporary)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _set_executable(place: Path, *, executable: bool) -> None:
    mode = (0o777 if executable else 0o666) & ~_umask()
    place.chmod(mode)


def _temporary(place: Path) -> Path:
    return place.with_name(f".{place.name}.{os.getpid()}.cyx")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
