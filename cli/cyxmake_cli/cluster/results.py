"""Brings a result home: messages, and outputs into the build directory, or a note where they are.

Knows nothing of how a result came to be. Outputs that may stay away leave a note in an AwayFiles.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cyxmake_cli.away import AwayFiles
from cyxmake_cli.cluster.client import ClusterClient
from cyxmake_cli.cluster.fetches import Fetches
from cyxmake_cli.cluster.near import Near
from cyxmake_cli.cluster.placing import AS_A_COMPILER, Placing, place
from cyxmake_cli.cluster.way import FREE, Way
from cyxmake_common.action import ActionResult, OutputFile
from cyxmake_common.includes.depfile_layout import Layout, fill
from cyxmake_common.protocol.messages import CacheEntry


@dataclass(frozen=True, slots=True)
class RemoteResult:
    """The tool's verdict; `worker` is empty when it came from the cache.

    `healed` is a file that the include scan had missed, so that the unit was sent twice. `held` are
    the bytes of the output that its Placing holds back.
    """

    exit_code: int
    stdout: bytes
    stderr: bytes
    seconds: float
    worker: str = ""
    healed: str = ""
    held: bytes | None = None

    @property
    def output(self) -> bytes:
        """Return all that the tool said."""
        return self.stdout + self.stderr


@dataclass(frozen=True, slots=True)
class Expected:
    """Where a command was to write: output paths are relative to `directory`.

    `at_home`: nothing may stay away.
    """

    directory: str
    outputs: tuple[str, ...]
    placing: Placing = AS_A_COMPILER
    at_home: bool = False


class Results:
    """Brings results home for one project that stands at `project`."""

    def __init__(
        self,
        cluster: ClusterClient,
        project: str,
        near: Near | None = None,
        away: AwayFiles | None = None,
    ) -> None:
        self._fetches = Fetches(cluster)
        self._project = project
        self._near = near or Near()
        self._away = away

    async def fetch(
        self,
        expected: Expected,
        result: ActionResult,
        worker: str = "",
        entry: CacheEntry | None = None,
        way: Way = FREE,
    ) -> RemoteResult | None:
        """Put a result's files in place; None, with nothing placed, when it is not whole."""
        texts = [digest for digest in (result.stdout, result.stderr) if digest is not None]
        outputs = result.outputs if result.exit_code == 0 else ()
        staying = self._staying(expected, outputs)
        wanted = {*(o.digest for o in outputs if o.path not in staying), *texts}
        blobs = self._near.blobs(wanted)
        absent = wanted - blobs.keys()
        way.coming(sum(d.size for d in absent), result.seconds, hit=not worker)
        if absent:
            fetched = await self._fetches.fetch(absent)
            self._near.keep_blobs(fetched)
            blobs.update(fetched)
        if not wanted <= blobs.keys():
            return None
        held = None
        if result.exit_code == 0:
            if {o.path for o in outputs} != set(expected.outputs):
                return None
            files = {o.path: blobs[o.digest] for o in outputs if o.path not in staying}
            if entry is not None and entry.depfile:
                filled = fill(files[entry.depfile], self._project, Layout(entry.layout))
                if filled is None:
                    return None
                files[entry.depfile] = filled
            await way.claim()
            held = self._place(expected, outputs, files)
        stdout, stderr = (
            blobs[digest] if digest is not None else b""
            for digest in (result.stdout, result.stderr)
        )
        return RemoteResult(result.exit_code, stdout, stderr, result.seconds, worker, held=held)

    def _staying(self, expected: Expected, outputs: Sequence[OutputFile]) -> frozenset[str]:
        """Return the outputs that need not come home."""
        away = self._away
        if away is None or expected.at_home or expected.placing.keep_equal:
            return frozenset()
        return frozenset(
            output.path
            for output in outputs
            if away.may_stay(posixpath.join(expected.directory, output.path))
        )

    def _place(
        self, expected: Expected, outputs: Sequence[OutputFile], files: Mapping[str, bytes]
    ) -> bytes | None:
        """Put files in place, or note where they are; return the one that is held back."""
        held = None
        for output in outputs:
            path = posixpath.join(expected.directory, output.path)
            if output.path in files and path == expected.placing.held:
                held = files[output.path]
            elif output.path in files:
                place(Path(path), files[output.path], output.is_executable, expected.placing)
                if self._away is not None:
                    self._away.drop(path)
            elif self._away is not None:
                self._away.stays(path, output.digest, executable=output.is_executable)
        return held
