"""One compile on the cluster: look it up, else upload, submit and fetch; or say why not.

Knows nothing of build graphs. Every answer is a value: a CompileResult with the tool's verdict, or
a LocalOnly with the reason why the caller has to run the edge itself.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from cyxmake_cli.cluster.client import ClusterClient
from cyxmake_cli.cluster.healing import Missed, missed
from cyxmake_cli.cluster.history import History
from cyxmake_cli.cluster.inputs import InputRoot, Source, UnitInputs
from cyxmake_cli.cluster.lookup import Lookup
from cyxmake_cli.cluster.near import Near
from cyxmake_cli.cluster.placing import AS_A_COMPILER, Placing, place
from cyxmake_cli.cluster.uploads import Uploads
from cyxmake_cli.strategies.compile_units import CompileUnit
from cyxmake_common.action import ISA, OS_FAMILY, ROOT, TOOLCHAIN, Action, ActionResult, Command
from cyxmake_common.cache.key import tokenise
from cyxmake_common.cas.file_digests import FileDigests
from cyxmake_common.digest import Digest
from cyxmake_common.errors import CyxError
from cyxmake_common.includes.depfile_layout import Layout, fill
from cyxmake_common.includes.search import absolute
from cyxmake_common.outcome import Cause
from cyxmake_common.platform import isa, os_family
from cyxmake_common.protocol.messages import CacheEntry, JobComplete, JobFailed, JobReject
from cyxmake_common.toolchain.local import LocalOnly

_BROKEN: Final = "toolchain-broken"
"""The code of a refusal that only its detail explains."""

_TIMED: Final = re.compile(rb"has been modified since the precompiled header '([^'\n]+)' was built")
_HOLDS_TIMES: Final = LocalOnly("its precompiled header holds the times of files")
_SUBMISSIONS: Final = 3
"""How often an action is submitted while the cluster asks for blobs that it has lost."""


Turn = Callable[[], Awaitable[None]]
"""Returns when one more command may run."""


async def at_once() -> None:
    """Let a command run without waiting."""


@dataclass(frozen=True, slots=True)
class CompileResult:
    """The compiler's verdict; `worker` is empty when it came from the cache.

    `healed` is a file that the include scan had missed, so that the unit was sent twice.
    """

    exit_code: int
    stdout: bytes
    stderr: bytes
    seconds: float
    worker: str = ""
    healed: str = ""

    @property
    def output(self) -> bytes:
        """Return all that the compiler said."""
        return self.stdout + self.stderr


class Inputs(Protocol):
    """What finds the inputs of a unit that is in no cache; InputRoots does for one build."""

    async def prepare(
        self, unit: CompileUnit, missing: Missed | None = None
    ) -> UnitInputs | LocalOnly:
        """Return a root that holds everything the unit may read, or why that cannot be known.

        `missing` is what a worker asked for in vain.
        """
        ...

    def unchanged(self, inputs: UnitInputs) -> bool:
        """Tell whether every file of a unit still is what was sent."""
        ...


class RemoteCompiler:
    """Does compile units on a cluster for one project that stands at `root`."""

    def __init__(
        self,
        cluster: ClusterClient,
        inputs: Inputs,
        digests: FileDigests,
        *,
        root: str,
        use_cache: bool = True,
        near: Near | None = None,
        history: History | None = None,
        exists: Callable[[str], bool] = os.path.lexists,
    ) -> None:
        self._cluster = cluster
        self._inputs = inputs
        self._root = root
        self._use_cache = use_cache
        self._near = near or Near()
        self._timed: set[tuple[str, Digest]] = set()
        self._uploads = Uploads(cluster)
        self._history = history
        self._platform = ((ISA, isa()), (OS_FAMILY, os_family()))
        self._lookup = Lookup(cluster, digests, root, self._platform, self._near, history, exists)

    async def compile(
        self, unit: CompileUnit, placing: Placing = AS_A_COMPILER, *, turn: Turn = at_once
    ) -> CompileResult | LocalOnly:
        """Do one unit; after a verdict of 0 its outputs stand in the build directory.

        `turn` returns when the unit may be submitted.
        """
        try:
            return await self._compile(unit, placing, turn)
        except CyxError as error:
            return LocalOnly(
                f"{error.code}: {error.message}" if not error.retryable else error.code
            )
        except OSError as error:
            return LocalOnly(f"{error.filename}: {error.strerror}")
        except (KeyError, ValueError) as error:
            return LocalOnly(f"the cache holds nonsense: {error}")

    async def _compile(
        self, unit: CompileUnit, placing: Placing, turn: Turn
    ) -> CompileResult | LocalOnly:
        if self._use_cache:
            entry = await self._lookup.find(unit)
            if entry is not None:
                result = ActionResult.from_bytes(entry.result)
                fetched = await self._fetch(unit, result, placing, entry=entry)
                if fetched is not None:
                    return fetched
        compiled = await self._execute(unit, placing, turn)
        if isinstance(compiled, LocalOnly) or compiled.exit_code == 0:
            return compiled
        missing = missed(compiled.output)
        if missing is None:
            return compiled
        healed = await self._execute(unit, placing, turn, missing)
        if isinstance(healed, LocalOnly) or healed.exit_code != 0:
            return compiled
        return replace(healed, healed=missing.name)

    async def _execute(
        self, unit: CompileUnit, placing: Placing, turn: Turn, missing: Missed | None = None
    ) -> CompileResult | LocalOnly:
        inputs = await self._inputs.prepare(unit, missing)
        if isinstance(inputs, LocalOnly):
            return inputs
        if not self._timed.isdisjoint(inputs.files):
            return _HOLDS_TIMES
        if self._history is not None:
            self._history.saw((tokenise(p, self._root), d.hash) for p, d in inputs.files)
        await turn()
        # What no scan can see no cache entry can name.
        answer = await self._submit(unit, inputs.root, keep=missing is None)
        if not isinstance(answer, JobComplete):
            return LocalOnly(_why(answer))
        if not self._inputs.unchanged(inputs):
            return LocalOnly("an input changed while it was compiled")
        result = ActionResult.from_bytes(answer.result)
        compiled = await self._fetch(unit, result, placing, answer.worker)
        if compiled is not None and (match := _TIMED.search(compiled.output)):
            form = absolute(os.fsdecode(match[1]), unit.directory)
            self._timed.update(file for file in inputs.files if file[0] == form)
            return _HOLDS_TIMES
        return compiled or LocalOnly("the result's blobs are lost")

    # ── execution ───────────────────────────────────────────────────────────────────────────────

    async def _submit(
        self, unit: CompileUnit, root: InputRoot, *, keep: bool
    ) -> JobComplete | JobFailed | JobReject:
        toolchain = unit.toolchain
        command = Command(
            arguments=unit.command.argv,
            environment=unit.environment,
            output_paths=unit.outputs,
            working_directory=unit.directory.lstrip("/"),
        ).to_bytes()
        action = Action(
            command=Digest.of(command),
            input_root=root.digest,
            do_not_cache=not keep,
            platform=tuple(
                sorted((*self._platform, (ROOT, self._root), (TOOLCHAIN, str(toolchain.id))))
            ),
        ).to_bytes()
        digest = Digest.of(action)
        sources: dict[Digest, Source] = {Digest.of(command): command, digest: action}
        await self._uploads.ensure(root.blobs, within=root.digest)
        await self._uploads.ensure(sources)
        answer = await self._cluster.execute(digest, skip_cache=not self._use_cache)
        for _ in range(_SUBMISSIONS - 1):
            if not isinstance(answer, JobReject) or not answer.missing:
                break
            if answer.code == "missing-toolchain":
                await self._uploads.ensure(toolchain.blobs(), within=toolchain.id)
            else:
                known: dict[Digest, Source] = {**toolchain.blobs(), **root.blobs, **sources}
                await self._uploads.again(answer.missing, known)
            answer = await self._cluster.execute(digest, skip_cache=not self._use_cache)
        return answer

    # ── results ─────────────────────────────────────────────────────────────────────────────────

    async def _fetch(
        self,
        unit: CompileUnit,
        result: ActionResult,
        placing: Placing,
        worker: str = "",
        entry: CacheEntry | None = None,
    ) -> CompileResult | None:
        """Put a result's files in place; None, with nothing placed, when it is not whole."""
        texts = [digest for digest in (result.stdout, result.stderr) if digest is not None]
        outputs = [output.digest for output in result.outputs] if result.exit_code == 0 else []
        wanted = {*outputs, *texts}
        blobs = self._near.blobs(wanted)
        if absent := wanted - blobs.keys():
            fetched = await self._cluster.blobs.get_many_bytes(absent)
            self._near.keep_blobs(fetched)
            blobs.update(fetched)
        if not wanted <= blobs.keys():
            return None
        if result.exit_code == 0:
            if {o.path for o in result.outputs} != set(unit.outputs):
                return None
            files = {o.path: blobs[o.digest] for o in result.outputs}
            if entry is not None and entry.depfile:
                filled = fill(files[entry.depfile], self._root, Layout(entry.layout))
                if filled is None:
                    return None
                files[entry.depfile] = filled
            for output in result.outputs:
                path = Path(posixpath.join(unit.directory, output.path))
                place(path, files[output.path], output.is_executable, placing)
        stdout, stderr = (
            blobs[digest] if digest is not None else b""
            for digest in (result.stdout, result.stderr)
        )
        return CompileResult(result.exit_code, stdout, stderr, result.seconds, worker)


def _why(answer: JobFailed | JobReject) -> str:
    if isinstance(answer, JobReject):
        why = f": {answer.detail}" if answer.code == _BROKEN else ""
        return f"the cluster refused: {answer.code}{why}"
    if answer.cause is Cause.TOOLCHAIN:
        return f"{_BROKEN}: {answer.detail}"
    return f"{answer.kind}: {answer.cause or answer.detail or 'no cause given'}"
