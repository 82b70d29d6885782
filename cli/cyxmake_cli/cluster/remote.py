"""One compile on the cluster: look it up, else upload, submit and fetch; or say why not.

Knows nothing of build graphs. Every answer is a value: a RemoteResult with the tool's verdict, or
a LocalOnly with the reason why the caller has to run the edge itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Final, Protocol

from cyxmake_cli.away import AwayFiles
from cyxmake_cli.cluster.client import ClusterClient, JobAnswer
from cyxmake_cli.cluster.healing import Missed, missed
from cyxmake_cli.cluster.history import History
from cyxmake_cli.cluster.inputs import UnitInputs
from cyxmake_cli.cluster.lookup import Lookup
from cyxmake_cli.cluster.near import Near
from cyxmake_cli.cluster.placing import AS_A_COMPILER, Placing
from cyxmake_cli.cluster.results import Expected, RemoteResult, Results
from cyxmake_cli.cluster.stored_names import renamed
from cyxmake_cli.cluster.submit import PLATFORM, Submitter, Work, why_not
from cyxmake_cli.cluster.uploads import Uploads
from cyxmake_cli.cluster.way import FREE, Way
from cyxmake_cli.strategies.compile_units import CompileUnit
from cyxmake_common.action import ActionResult
from cyxmake_common.cache.key import tokenise
from cyxmake_common.cas.file_digests import FileDigests
from cyxmake_common.digest import Digest
from cyxmake_common.errors import CyxError
from cyxmake_common.includes.search import absolute
from cyxmake_common.protocol.messages import JobComplete, JobFailed
from cyxmake_common.toolchain.local import LocalOnly

_TIMED: Final = re.compile(rb"has been modified since the precompiled header '([^'\n]+)' was built")
_HOLDS_TIMES: Final = LocalOnly("its precompiled header holds the times of files")


Killed = Callable[[CompileUnit, JobFailed], Awaitable[None]]
"""Takes note of a compile that was ended on a worker before its own end."""

Submit = Callable[[Work, Way], Awaitable[JobAnswer]]
"""Has one command done."""


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
        away: AwayFiles | None = None,
        uploads: Uploads | None = None,
        killed: Killed | None = None,
    ) -> None:
        self._inputs = inputs
        self._root = root
        self._use_cache = use_cache
        self._killed = killed
        near = near or Near()
        self._timed: set[tuple[str, Digest]] = set()
        self._history = history
        self._submitter = Submitter(cluster, uploads or Uploads(cluster), root, use_cache=use_cache)
        self._told: dict[str, Digest] = {}
        self._results = Results(cluster, root, near, away)
        self._lookup = Lookup(cluster, digests, root, PLATFORM, near, history, exists)

    @property
    def submitter(self) -> Submitter:
        """Return what has single commands done."""
        return self._submitter

    async def compile(
        self,
        unit: CompileUnit,
        placing: Placing = AS_A_COMPILER,
        *,
        way: Way = FREE,
        submit: Submit | None = None,
    ) -> RemoteResult | LocalOnly:
        """Do one unit; after a verdict of 0 its outputs stand in the build directory.

        `way` hears how far it is, and says when it may be sent; `submit` does it with others.
        """
        try:
            return await self._compile(unit, placing, way, submit or self._submitter.submit)
        except CyxError as error:
            return LocalOnly(
                f"{error.code}: {error.message}" if not error.retryable else error.code
            )
        except OSError as error:
            return LocalOnly(f"{error.filename}: {error.strerror}")
        except (KeyError, ValueError) as error:
            return LocalOnly(f"the cache holds nonsense: {error}")

    async def _compile(
        self, unit: CompileUnit, placing: Placing, way: Way, submit: Submit
    ) -> RemoteResult | LocalOnly:
        if self._use_cache:
            entry = await self._lookup.find(unit)
            if entry is not None:
                entry = renamed(entry, unit.outputs, self._root)
                result = ActionResult.from_bytes(entry.result)
                expected = _expected(unit, placing)
                fetched = await self._results.fetch(expected, result, entry=entry, way=way)
                if fetched is not None:
                    return fetched
        await way.missed(unit.toolchain, self._lookup.took.pop(unit.main_output, None))
        compiled = await self._execute(unit, placing, way, submit)
        if isinstance(compiled, LocalOnly) or compiled.exit_code == 0:
            return compiled
        missing = missed(compiled.output)
        if missing is None:
            return compiled
        alone = self._submitter.submit
        healed = await self._execute(unit, placing, way, alone, missing)
        if isinstance(healed, LocalOnly) or healed.exit_code != 0:
            return compiled
        return replace(healed, healed=missing.name)

    async def _execute(
        self,
        unit: CompileUnit,
        placing: Placing,
        way: Way,
        submit: Submit,
        missing: Missed | None = None,
    ) -> RemoteResult | LocalOnly:
        inputs = await self._inputs.prepare(unit, missing)
        if isinstance(inputs, LocalOnly):
            return inputs
        if self._timed and not self._timed.isdisjoint(inputs.files):
            return _HOLDS_TIMES
        if self._history is not None:
            self._history.saw(self._untold(inputs))
        await way.begin()
        # What no scan can see no cache entry can name.
        answer = await submit(
            Work(
                argv=unit.command.argv,
                environment=unit.environment,
                outputs=unit.outputs,
                directory=unit.directory,
                tools=unit.toolchain,
                root=inputs.root,
                keep=missing is None,
                unit=unit,
            ),
            way,
        )
        if not isinstance(answer, JobComplete):
            if self._killed is not None and isinstance(answer, JobFailed) and answer.result:
                await self._killed(unit, answer)
            return LocalOnly(why_not(answer))
        if not self._inputs.unchanged(inputs):
            return LocalOnly("an input changed while it was compiled")
        result = ActionResult.from_bytes(answer.result)
        expected = _expected(unit, placing)
        compiled = await self._results.fetch(expected, result, answer.worker, way=way)
        if compiled is not None and (match := _TIMED.search(compiled.output)):
            form = absolute(os.fsdecode(match[1]), unit.directory)
            self._timed.update(file for file in inputs.files if file[0] == form)
            return _HOLDS_TIMES
        return compiled or LocalOnly("the result's blobs are lost")

    def _untold(self, inputs: UnitInputs) -> Iterator[tuple[str, str]]:
        """Yield the files of a unit that the history does not know yet; units share most files."""
        told = self._told
        for path, digest in inputs.files:
            if told.get(path) is not digest:
                told[path] = digest
                yield tokenise(path, self._root), digest.hash


def _expected(unit: CompileUnit, placing: Placing) -> Expected:
    return Expected(unit.directory, unit.outputs, placing)
