"""What the last build of a project was made of, so that a miss of this one can be explained.

Knows nothing of connections. One small file per project: the key inputs of each unit, one digest
for each file that any unit read, and where each edge's outputs came from and why.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgpack

from cyxmake_common.cache.key import KeyInputs, tokenise

NOT_BUILT_BEFORE: Final = "it was not built here before"

_FORMAT: Final = 2

_WORDS: Final = {
    "toolchain": "compiler",
    "platform": "what a worker must offer",
    "format": "the key's format",
}
"""What people call the fields of a key; other fields go by their names."""


@dataclass(slots=True)
class UnitRecord:
    """One unit of a build: where it came from (`place`), and the reasons in words."""

    preimage: str
    place: str = ""
    worker: str = ""
    why: list[str] = field(default_factory=list)
    seconds: float = 0.0
    """What its command took, wherever that was; 0 when it is not known."""


class History:
    """The records of the project at `source`: the last build's, and this one's.

    Files below `root` are named as what they are there: it may hold other projects too.
    """

    def __init__(self, directory: Path, root: str, source: str) -> None:
        self._path = directory / f"{hashlib.sha256(os.fsencode(source)).hexdigest()[:24]}.history"
        self._root = root
        self._before: _Kept | None = None
        self._files: dict[str, str] = {}
        self._units: dict[str, UnitRecord] = {}
        self._toolchains: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<History {self._path.name} {len(self._units)} units>"

    @property
    def root(self) -> str:
        """Return where the project stands."""
        return self._root

    def name(self, output: str) -> str:
        """Return the name of a unit: its output's path, the project's root as a token."""
        return tokenise(output, self._root)

    # ── while a build runs ──────────────────────────────────────────────────────────────────────

    def begin(self, output: str, inputs: KeyInputs) -> UnitRecord:
        """Note what a unit's key is made of; returns its record."""
        record = UnitRecord(inputs.preimage().decode())
        self._units[self.name(output)] = record
        return record

    def named(self, toolchain: str, name: str) -> None:
        """Note what a person calls a toolchain."""
        self._toolchains[toolchain] = name

    def note(self, output: str, place: str, worker: str, reason: str, seconds: float = 0.0) -> None:
        """Note where an edge ran at last, for how long, and why it was not on the cluster."""
        record = self._units.setdefault(self.name(output), UnitRecord("{}"))
        record.place, record.worker, record.seconds = place, worker, seconds
        if reason:
            record.why = [*record.why, reason]

    def saw(self, files: Iterable[tuple[str, str]]) -> None:
        """Note digests of files that units of this build read, by path token."""
        self._files.update(files)

    def seconds(self, output: str) -> float | None:
        """Return what the command that makes an output took in the last build."""
        record = self.units().get(self.name(output))
        return None if record is None else record.seconds or None

    def hits(self) -> bool:
        """Tell whether most of what was built last came from the cache."""
        units = self.units().values()
        return sum(record.place == "cache" for record in units) * 2 > len(units) > 0

    def changed_inputs(self, output: str, inputs: KeyInputs) -> list[str]:
        """Say how a unit's key differs from the last build's."""
        record = self.units().get(self.name(output))
        if record is None or record.preimage == "{}":
            return [NOT_BUILT_BEFORE]
        names = {**self.toolchains(), **self._toolchains}
        return differences(json.loads(record.preimage), json.loads(inputs.preimage()), names)

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
                "root": self._root,
                "toolchains": {**self.toolchains(), **self._toolchains},
                "files": {**self.files(), **self._files},
                "units": {
                    name: (r.preimage, r.place, r.worker, r.why, r.seconds)
                    for name, r in units.items()
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

    def turn(self) -> None:
        """Save, and take what was noted until now for the last build's: another one begins."""
        self.save()
        self._before = None
        self._files, self._units, self._toolchains = {}, {}, {}

    # ── afterwards ──────────────────────────────────────────────────────────────────────────────

    def units(self) -> dict[str, UnitRecord]:
        """Return the kept records by unit name; empty when there are none."""
        return self._load().units

    def files(self) -> dict[str, str]:
        """Return the kept digests by path token."""
        return self._load().files

    def toolchains(self) -> dict[str, str]:
        """Return what people call the toolchains, by id."""
        return self._load().toolchains

    def others(self) -> Iterator[History]:
        """Return the histories of this user's other projects and checkouts, last built first."""
        for path in sorted(self._path.parent.glob("*.history"), key=_age):
            kept = _read(path)
            if path != self._path and kept.root:
                other = History(path.parent, kept.root, kept.root)
                other._before = kept
                yield other

    def _load(self) -> _Kept:
        if self._before is None:
            self._before = _read(self._path)
        return self._before


def _age(path: Path) -> int:
    try:
        return -path.stat().st_mtime_ns
    except OSError:  # another build replaces it at this moment
        return 0


@dataclass(frozen=True, slots=True)
class _Kept:
    """A history as it is in its file."""

    root: str = ""
    files: dict[str, str] = field(default_factory=dict)
    units: dict[str, UnitRecord] = field(default_factory=dict)
    toolchains: dict[str, str] = field(default_factory=dict)


def _read(path: Path) -> _Kept:
    try:
        raw = msgpack.unpackb(path.read_bytes(), unicode_errors="surrogateescape")
        if raw["format"] != _FORMAT:
            return _Kept()
        units = {name: UnitRecord(*fields) for name, fields in raw["units"].items()}
        return _Kept(raw["root"], raw["files"], units, raw["toolchains"])
    except (OSError, ValueError, KeyError, TypeError, msgpack.UnpackException):
        return _Kept()


def differences(
    before: Mapping[str, object], now: Mapping[str, object], toolchains: Mapping[str, str]
) -> list[str]:
    """Say in words how two key preimages differ; `toolchains` are names by id."""
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
            found.append(
                f"{_WORDS.get(name, name)}: now {' and '.join(parts) or 'in another order'}"
            )
        else:
            then, today = _short(old), _short(new)
            if name == "toolchain":
                then, today = (
                    f"{toolchains.get(str(one), 'unknown')} ({_short(one)})" for one in (old, new)
                )
            found.append(f"{_WORDS.get(name, name)} changed: {then} then, {today} now")
    return found


def _text(item: object) -> str:
    return "=".join(map(str, item)) if isinstance(item, list) else str(item)


def _short(value: object) -> str:
    text = str(value)
    return text[:12] if len(text) > 60 else text
