"""What the cluster keeps for the units of a project: entry by entry, and why each fits or does not.

Knows nothing of screens. Which units there are tells the history of the last build.
"""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cyxmake_cli.cluster.client import ClusterClient
from cyxmake_cli.cluster.history import History, UnitRecord, differences
from cyxmake_cli.cluster.lookup import Tree
from cyxmake_common.action import ActionResult
from cyxmake_common.cache.key import expand, unpack_paths
from cyxmake_common.cas.file_digests import FileDigests
from cyxmake_common.digest import Digest
from cyxmake_common.errors import ProtocolError
from cyxmake_common.protocol.messages import CacheEntry, EntryTimes


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of the last build: `fields` is what its key is made of."""

    name: str
    key: Digest
    fields: Mapping[str, Any]
    compiler: str

    @classmethod
    def of(cls, name: str, record: UnitRecord, history: History) -> Unit | None:
        """Return a unit; None for an edge that is no compile for the cluster."""
        fields = json.loads(record.preimage)
        if not fields:
            return None
        known = history.toolchains().get(str(fields["toolchain"]), "an unknown compiler")
        return cls(name, Digest.of(record.preimage.encode()), fields, known)

    def sources(self, root: str) -> Iterator[str]:
        """Return the absolute paths that its arguments may mean."""
        directory = expand(self.fields["directory"], root)
        for argument in self.fields["arguments"][1:]:
            if not argument.startswith("-"):
                yield posixpath.normpath(posixpath.join(directory, expand(argument, root)))


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored result: for which places, on how many files it hangs, and why it does not fit."""

    outputs: tuple[tuple[str, int], ...]
    dependencies: tuple[str, ...]
    absent: tuple[str, ...]
    root: str
    worker: str
    seconds: float
    stored: float
    used: float
    misfit: tuple[str, ...]

    @property
    def size(self) -> int:
        """Return the bytes of its outputs."""
        return sum(size for _, size in self.outputs)


def units(history: History, wanted: str) -> list[Unit]:
    """Return the units of a source, an output, a part of an output's name, or a key's digest."""
    known = [Unit.of(name, record, history) for name, record in sorted(history.units().items())]
    every = [unit for unit in known if unit is not None]
    if not wanted:
        return every
    path = os.path.abspath(wanted)  # noqa: PTH100 - symlinks stay as they are spelled
    by_source = [unit for unit in every if path in unit.sources(history.root)]
    by_key = [unit for unit in every if len(wanted) > 5 and str(unit.key).startswith(wanted)]
    token = history.name(path)
    return by_source or by_key or [u for u in every if token == u.name or wanted in u.name]


async def entries(
    cluster: ClusterClient, unit: Unit, history: History, digests: FileDigests
) -> list[Entry]:
    """Return what the cluster keeps for a unit, the last used first."""
    found = await cluster.entries_with_times(unit.key)
    return [_entry(entry, times, history, digests) for entry, times in found]


def _entry(entry: CacheEntry, times: EntryTimes, history: History, digests: FileDigests) -> Entry:
    why = Tree(history.root, digests, history=history).misfit(entry)
    try:
        result = ActionResult.from_bytes(entry.result)
        dependencies, absent = unpack_paths(entry.paths), unpack_paths(entry.absent)
    except (ProtocolError, ValueError) as error:
        return Entry((), (), (), entry.root, "", 0.0, times.stored, times.used, (str(error),))
    return Entry(
        outputs=tuple((output.path, output.digest.size) for output in result.outputs),
        dependencies=dependencies,
        absent=absent,
        root=entry.root,
        worker=result.worker,
        seconds=result.seconds,
        stored=times.stored,
        used=times.used,
        misfit=() if why is None else tuple(why),
    )


def nearest(history: History, name: str, fields: Mapping[str, Any]) -> tuple[str, list[str]] | None:
    """Return the checkout whose unit of that name, or source, differs least, and how it differs.

    Of several that differ as much it is the one that was built last.
    """
    best: tuple[str, list[str]] | None = None
    for other in history.others():
        names = {**history.toolchains(), **other.toolchains()}
        for at, record in other.units().items():
            candidate = json.loads(record.preimage)
            if not candidate or (at != name and candidate["source"] != fields["source"]):
                continue
            found = differences(candidate, fields, names)
            if best is None or _weight(found) < _weight(best[1]):
                best = (other.root, found)
    return best


def _weight(found: list[str]) -> tuple[int, int]:
    # Of two lists of arguments the one with less to say about it is nearer.
    return len(found), sum(map(len, found))
