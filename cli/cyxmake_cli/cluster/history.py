"""What the last build of a project was made of, so that a miss of this one can be explained.

Knows nothing of connections. One small file per project: the key inputs of each unit, one digest
for each file that any unit read, and where each edge's outputs came from and why.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgpack

from cyxmake_common.cache.key import KeyInputs, tokenise

_FORMAT: Final = 1


@dataclass(slots=True)
class UnitRecord:
    """One unit of a build: where it came from (`place`), and the reasons in words."""

    preimage: str
    place: str = ""
    worker: str = ""
    why: list[str] = field(default_factory=list)


class History:
    """The records of the project at `source`: the last build's, and this one's.

    Files below `root` are named as what they are there: it may hold other projects too.
    """

    def __init__(self, directory: Path, root: str, source: str) -> None:
        self._path = directory / f"{hashlib.sha256(os.fsencode(source)).hexdigest()[:24]}.history"
        self._root = root
        self._before: tuple[dict[str, str], dict[str, UnitRecord]] | None = None
        self._files: dict[str, str] = {}
        self._units: dict[str, UnitRecord] = {}

    def __repr__(self) -> str:
        return f"<History {self._path.name} {len(self._units)} units>"

    def name(self, output: str) -> str:
        """Return the name of a unit: its output's path, the project's root as a token."""
        return tokenise(output, self._root)

    # ── while a build runs ──────────────────────────────────────────────────────────────────────

    def begin(self, output: str, inputs: KeyInputs) -> UnitRecord:
        """Note what a unit's key is made of; returns its record."""
        record = UnitRecord(inputs.preimage().decode())
        self._units[self.name(output)] = record
        return record

    def note(self, output: str, place: str, worker: str, reason: str) -> None:
        """Note where an edge ran at last, and why it was not on the cluster."""
        record = self._units.setdefault(self.name(output), UnitRecord("{}"))
        record.place, record.worker = place, worker
        if reason:
            record.why = [*record.why, reason]

    def saw(self, files: Iterable[tuple[str, str]]) -> None:
        """Note digests of files that units of this build read, by path token."""
        self._files.update(files)

    def changed_inputs(self, output: str, inputs: KeyInputs) -> list[str]:
        """Say how a unit's key differs from the last build's."""
        record = self.units().get(self.name(output))
        if record is None or record.preimage == "{}":
            return ["it was not built here before"]
        return differences(json.loads(record.preimage), json.loads(inputs.preimage()))

    def changed_files(self, files: Iterable[tuple[str, str]]) -> list[str]:
        """Say which of the files had another digest in the last build."""
        before = self.files()
        return [
            f"{path} changed: {before[path][:12]} then, {digest[:12]} now"
            for path, digest in files
            if before.get(path, digest) != digest
        ]

    def save(self) -> None:
        """Keep this build's records on top of the last one's; losing them costs explanations."""
        if not self._units:
            return
        units = {**self.units(), **self._units}
        packed = msgpack.packb(
            {
                "format": _FORMAT,
                "files": {**self.files(), **self._files},
                "units": {
                    name: (r.preimage, r.place, r.worker, r.why) for name, r in units.items()
                },
            },
            unicode_errors="surrogateescape",
        )
        temporary = self._path.with_suffix(f".{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(packed)
            temporary.replace(self._path)
        except OSError:
            temporary.unlink(missing_ok=True)

    # ── afterwards ──────────────────────────────────────────────────────────────────────────────

    def units(self) -> dict[str, UnitRecord]:
        """Return the kept records by unit name; empty when there are none."""
        return self._load()[1]

    def files(self) -> dict[str, str]:
        """Return the kept digests by path token."""
        return self._load()[0]

    def _load(self) -> tuple[dict[str, str], dict[str, UnitRecord]]:
        if self._before is None:
            self._before = self._read()
        return self._before

    def _read(self) -> tuple[dict[str, str], dict[str, UnitRecord]]:
        try:
            data = self._path.read_bytes()
            raw = msgpack.unpackb(data, unicode_errors="surrogateescape")
            if raw["format"] != _FORMAT:
                return {}, {}
            return raw["files"], {
                name: UnitRecord(*fields) for name, fields in raw["units"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, msgpack.UnpackException):
            return {}, {}


def differences(before: dict[str, object], now: dict[str, object]) -> list[str]:
    """Say in words how two key preimages differ."""
    found = []
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if isinstance(old, list) and isinstance(new, list):
            gone = [_text(item) for item in old if item not in new]
            added = [_text(item) for item in new if item not in old]
            parts = [f"without {' '.join(gone)}"] if gone else []
            parts += [f"with {' '.join(added)}"] if added else []
            found.append(f"{name}: now {' and '.join(parts) or 'in another order'}")
        else:
            found.append(f"{name} changed: {_short(old)} then, {_short(new)} now")
    return found


def _text(item: object) -> str:
    return "=".join(map(str, item)) if isinstance(item, list) else str(item)


def _short(value: object) -> str:
    text = str(value)
    return text[:12] if len(text) > 60 else text
