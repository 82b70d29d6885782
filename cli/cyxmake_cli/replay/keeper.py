"""Keeps the failed actions of one build as bundles: the first few of them.

Knows nothing of builds. An action that cannot be kept whole is not kept; that fails nothing.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from cyxmake_cli.cluster.submit import Work
from cyxmake_cli.replay.bundle import Bundle, Ending, id_of, without_secrets
from cyxmake_cli.replay.store import NotWhole, ReplayStore, Source
from cyxmake_common.action import Action, Directory
from cyxmake_common.cas.tree_walk import TreeFile, walk_tree
from cyxmake_common.diagnosis.cause import first_cause
from cyxmake_common.digest import Digest

_MOST: Final = 8
"""Failed actions of one build that are kept."""
_OF_A_CAUSE: Final = 2


class ReplayKeeper:
    """Keeps what failed in a build of the project at `project`."""

    def __init__(self, store: ReplayStore, project: str) -> None:
        self._store = store
        self._project = project
        self._causes: dict[str, int] = {}
        self.kept: dict[str, str] = {}
        """What the action was to make, by the bundle's id."""

    def __repr__(self) -> str:
        return f"<ReplayKeeper {len(self.kept)} kept>"

    def wants(self, output: bytes, exit_code: int) -> bool:
        """Tell whether one more failure with this output is to be kept; then it counts as kept."""
        cause = first_cause(output, exit_code)
        fingerprint = cause.fingerprint if cause is not None else ""
        seen = self._causes.get(fingerprint, 0)
        if sum(self._causes.values()) >= _MOST or seen >= _OF_A_CAUSE:
            return False
        self._causes[fingerprint] = seen + 1
        return True

    async def keep(self, work: Work, ending: Ending) -> None:
        """Keep an action that failed, if it can be kept whole."""
        cause = first_cause(ending.output, ending.exit_code)
        environment, withheld = without_secrets(work.environment)
        work = replace(work, environment=environment)
        digest, ours = work.action(self._project)
        if id_of(digest) in self.kept:
            return
        action = Action.from_bytes(_bytes(ours[digest]))
        tools = work.tools.blobs()
        files = {str(d): source for d, source in tools.items() if isinstance(source, str)}
        table = json.dumps(files, sort_keys=True).encode("ascii")
        sources: dict[Digest, Source] = {
            **ours,
            **_tree(work.root.digest, work.root.blobs),
            **{d: source for d, source in tools.items() if isinstance(source, bytes)},
            Digest.of(table): table,
        }
        bundle = Bundle(
            id=id_of(digest),
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            target=work.outputs[0],
            project=self._project,
            directory=work.directory,
            arguments=work.argv,
            environment=environment,
            withheld=withheld,
            outputs=work.outputs,
            action=digest,
            input_root=work.root.digest,
            toolchain=work.tools.id,
            toolchain_files=Digest.of(table),
            platform=action.platform,
            blobs=tuple(sources),
            line=cause.line if cause is not None else str(ending),
            fingerprint=cause.fingerprint if cause is not None else "",
            ending=ending,
        )
        try:
            await asyncio.to_thread(self._store.add, bundle, sources)
        except (NotWhole, OSError):
            return  # a convenience: what cannot be kept is not offered
        self.kept[bundle.id] = bundle.target


def _tree(root: Digest, blobs: dict[Digest, Source]) -> dict[Digest, Source]:
    """Return the blobs of one tree among many."""
    directories: dict[Digest, Source] = {}

    def fetch(digest: Digest) -> bytes:
        data = directories[digest] = _bytes(blobs[digest])
        return data

    files = {e.digest: blobs[e.digest] for e in walk_tree(root, fetch) if isinstance(e, TreeFile)}
    return {**directories, **files}


def _bytes(source: Source) -> bytes:
    if isinstance(source, str):
        raise TypeError(f"{source} is a file, not a {Directory.__name__}")
    return source
