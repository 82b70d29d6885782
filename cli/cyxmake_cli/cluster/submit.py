"""Makes an action of a command, a toolchain and an input root, and has the cluster do it.

Knows nothing of compilers, linkers or caches of this build. The cluster may answer that it lacks
blobs; they are sent and the action is submitted again, a few times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cyxmake_cli.cluster.client import ClusterClient
from cyxmake_cli.cluster.inputs import InputRoot, Source
from cyxmake_cli.cluster.uploads import Uploads
from cyxmake_cli.cluster.way import FREE, Tools, Way
from cyxmake_cli.strategies.compile_units import CompileUnit
from cyxmake_common.action import (
    ISA,
    OS_FAMILY,
    ROOT,
    TOOLCHAIN,
    WORKER,
    Action,
    Command,
    Properties,
)
from cyxmake_common.digest import Digest
from cyxmake_common.outcome import Cause
from cyxmake_common.platform import isa, os_family
from cyxmake_common.protocol.messages import JobComplete, JobFailed, JobReject

_SUBMISSIONS: Final = 3
"""How often an action is submitted while the cluster asks for blobs that it has lost."""

_ALIKE: Final = "others like it failed on the cluster"
_BROKEN: Final = "toolchain-broken"
_TELLING: Final = frozenset({_BROKEN, "no-worker", "shut-off"})
"""The codes of refusals that only their detail explains."""

PLATFORM: Final = ((ISA, isa()), (OS_FAMILY, os_family()))


@dataclass(frozen=True, slots=True)
class Work:
    """One command to run in `directory`: `keep` allows the cluster to remember the result.

    `unit` is the compile that it is, if it is one. `worker` is who is to run it, if not anyone.
    """

    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    outputs: tuple[str, ...]
    directory: str
    tools: Tools
    root: InputRoot
    keep: bool = True
    unit: CompileUnit | None = None
    worker: str = ""

    def action(self, project: str) -> tuple[Digest, dict[Digest, Source]]:
        """Return the action's digest, and the blobs of Action and Command."""
        command = Command(
            arguments=self.argv,
            environment=self.environment,
            output_paths=self.outputs,
            working_directory=self.directory.lstrip("/"),
        ).to_bytes()
        properties: Properties = (*PLATFORM, (ROOT, project), (TOOLCHAIN, str(self.tools.id)))
        if self.unit is not None:
            properties += self.unit.toolchain.elsewhere(self.argv, self.environment)
        if self.worker:
            properties += ((WORKER, self.worker),)
        action = Action(
            command=Digest.of(command),
            input_root=self.root.digest,
            do_not_cache=not self.keep,
            platform=tuple(sorted(properties)),
        ).to_bytes()
        return Digest.of(action), {Digest.of(command): command, Digest.of(action): action}


class Submitter:
    """Has actions done for one project that stands at `project`."""

    def __init__(
        self, cluster: ClusterClient, uploads: Uploads, project: str, *, use_cache: bool
    ) -> None:
        self._cluster = cluster
        self._uploads = uploads
        self._project = project
        self._use_cache = use_cache

    async def submit(self, work: Work, way: Way = FREE) -> JobComplete | JobFailed | JobReject:
        """Upload what is missing and wait for the end; raises CyxError, OSError."""
        digest, sources = work.action(self._project)
        sent = await self._uploads.ensure(work.root.blobs, within=work.root.digest)
        way.uploaded(sent + await self._uploads.ensure(sources))
        skip, alike = not self._use_cache, "" if work.unit is None else work.unit.alike()
        answer = await self._cluster.execute(digest, skip_cache=skip, way=way, alike=alike)
        for _ in range(_SUBMISSIONS - 1):
            missing = _missing(answer)
            if not missing:
                break
            tools = work.tools
            if isinstance(answer, JobReject) and answer.code == "missing-toolchain":
                await self._uploads.ensure(tools.blobs(), within=tools.id)
            else:
                known: dict[Digest, Source] = {**tools.blobs(), **work.root.blobs, **sources}
                await self._uploads.again(missing, known)
            answer = await self._cluster.execute(digest, skip_cache=skip, way=way, alike=alike)
        return answer


def _missing(answer: JobComplete | JobFailed | JobReject) -> tuple[Digest, ...]:
    """Return what the cluster asks for: at once, or when a worker could not find it."""
    if isinstance(answer, JobReject):
        return answer.missing
    if isinstance(answer, JobFailed) and answer.cause is Cause.MISSING_INPUT:
        return answer.missing
    return ()


def why_not(answer: JobFailed | JobReject) -> str:
    """Say in words why there is no verdict."""
    if isinstance(answer, JobReject):
        why = f": {answer.detail}" if answer.code in _TELLING else ""
        return f"the cluster refused: {answer.code}{why}"
    if answer.cause is Cause.TOOLCHAIN:
        return f"{_BROKEN}: {answer.detail}"
    if answer.cause is Cause.SAME_CAUSE:
        return _ALIKE
    return f"{answer.kind}: {answer.cause or answer.detail or 'no cause given'}"
