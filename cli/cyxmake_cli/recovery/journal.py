"""The journal of fixes: one transaction each, written before anything is changed.

Theory of operation. A transaction is a folder `.cyxmake/recovery/NUMBER` with pre-images and a
record, `fix.json`. The record is written, with the digest of every path that the fix may touch,
before the fix begins (state `begun`); once the fix is done it gets the digests of what it left
(`applied`), then the verdict (`kept`), and after an undo `undone`. Whoever finds `begun` or
`applied` without a live owner has found an interrupted fix: its pre-images are complete, because
the record was written after them. The settings that hold for builds are those of all transactions
that are not undone: there is no second list that could disagree.

Knows nothing of what fixes mean to a build system.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from cyxmake_cli.building.own_folder import OwnFolder
from cyxmake_cli.recovery.fixes import Fix, Variable, as_json, fix_of
from cyxmake_cli.recovery.snapshot import Before, digest_of, put_back, take
from cyxmake_common.errors import ConfigError, ProjectError
from cyxmake_common.file_lock import FileLock

FOLDER: Final = "recovery"
_RECORD: Final = "fix.json"
_VERSION: Final = 1


class State(StrEnum):
    """How far a transaction is."""

    BEGUN = "begun"
    APPLIED = "applied"
    KEPT = "kept"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Transaction:
    """One fix for one cause; `variables` are what obtaining it gave for the environment."""

    id: int
    run: str
    time: str
    fix: Fix
    cause: str
    """In words."""
    fingerprint: str
    category: str
    build: str
    """The build directory whose configuration knows of it."""
    state: State = State.BEGUN
    before: tuple[Before, ...] = ()
    after: dict[str, str] = field(default_factory=dict)
    variables: tuple[Variable, ...] = ()
    layer: str = ""
    why: str = ""
    """Why it was undone."""

    @property
    def active(self) -> bool:
        """Tell whether the fix is in force."""
        return self.state is not State.UNDONE

    def as_json(self) -> dict[str, Any]:
        """Return the record."""
        return {
            "version": _VERSION, "id": self.id, "run": self.run, "time": self.time,
            "state": self.state.value, "cause": self.cause, "category": self.category,
            "fingerprint": self.fingerprint, "build": self.build, "fix": as_json(self.fix),
            "before": [b.as_json() for b in self.before], "after": self.after,
            "variables": [[v.name, v.value, v.how.value] for v in self.variables],
            "layer": self.layer, "why": self.why,
        }  # fmt: skip


def _transaction(value: dict[str, Any]) -> Transaction:
    variables = fix_of(
        {"kind": "environment",
         "variables": [{"name": n, "value": v, "how": h} for n, v, h in value["variables"]]}
    )  # fmt: skip
    return Transaction(
        int(value["id"]), str(value["run"]), str(value["time"]), fix_of(value["fix"]),
        str(value["cause"]), str(value["fingerprint"]), str(value["category"]),
        str(value["build"]), State(value["state"]),
        tuple(Before.of(b) for b in value["before"]), dict(value["after"]),
        getattr(variables, "variables", ()), str(value["layer"]), str(value["why"]),
    )  # fmt: skip


class Journal:
    """The fixes of one project, the oldest first."""

    def __init__(self, own: OwnFolder) -> None:
        self._own = own
        self._folder = own.path / FOLDER

    def __repr__(self) -> str:
        return f"<Journal {self._folder}>"

    def all(self) -> list[Transaction]:
        """Return every transaction; what cannot be read is left out."""
        found = []
        with contextlib.suppress(OSError):
            for folder in sorted(self._folder.iterdir()):
                record = self._own.read(f"{FOLDER}/{folder.name}/{_RECORD}")
                if record.get("version") == _VERSION:
                    with contextlib.suppress(KeyError, TypeError, ValueError):
                        found.append(_transaction(record))
        return found

    def active(self) -> list[Transaction]:
        """Return what is in force."""
        return [t for t in self.all() if t.active]

    def interrupted(self) -> list[Transaction]:
        """Return fixes that were begun and never judged, unless somebody is at it right now."""
        found = [t for t in self.all() if t.state in (State.BEGUN, State.APPLIED)]
        if not found:
            return []
        try:
            with self.at_work():
                return found
        except ProjectError:
            return []

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Be the only one who changes this project; raises ProjectError, ConfigError."""
        lock = FileLock(self._own.folder(FOLDER) / "lock")
        if not lock.try_acquire():
            raise ProjectError(
                "another command is repairing this project", next_step="wait until it has ended"
            )
        try:
            yield
        finally:
            lock.release()

    def begin(
        self,
        transaction: Transaction,
        touches: Iterable[tuple[str, bool]],
    ) -> Transaction:
        """Write down a fix before it is made, with what stands where it may write.

        Raises ConfigError, ProjectError; then nothing is left behind.
        """
        number = 1 + max((t.id for t in self.all()), default=0)
        folder = self._folder / f"{number:04}"
        while folder.exists():
            number += 1
            folder = self._folder / f"{number:04}"
        made = replace(transaction, id=number)
        try:
            self._own.folder(f"{FOLDER}/{number:04}")
            made = replace(made, before=take(touches, folder / "before"))
            self._write(made)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise ConfigError(
                f"nothing was changed: what stands there now cannot be kept: {error.strerror}",
                next_step=f"make room, and make {self._folder} writable",
            ) from error
        except (ConfigError, ProjectError):
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return made

    def applied(
        self, found: Transaction, variables: Sequence[Variable] = (), layer: str = ""
    ) -> Transaction:
        """Write down that a fix was made, and what it left."""
        after = {b.path: digest_of(b.path) for b in found.before}
        made = replace(
            found, state=State.APPLIED, after=after, variables=tuple(variables), layer=layer
        )
        self._write(made)
        return made

    def kept(self, found: Transaction) -> Transaction:
        """Write down that a fix stays."""
        made = replace(found, state=State.KEPT)
        self._write(made)
        return made

    def undo(self, found: Transaction, why: str) -> list[str]:
        """Put back what stood there before; returns the paths that somebody changed since.

        Raises ConfigError where that cannot be written; it can be repeated.
        """
        try:
            left = put_back(
                found.before, found.after, self.folder_of(found),
                interrupted=found.state is State.BEGUN,
            )  # fmt: skip
        except OSError as error:
            raise ConfigError(
                f"fix {found.id} cannot be undone: {error.strerror}: {error.filename}",
                next_step="make room, make the project writable, and repeat `cyxmake undo`",
            ) from error
        if not left:
            self._write(replace(found, state=State.UNDONE, why=why))
        return left

    def folder_of(self, found: Transaction) -> Path:
        """Return where the pre-images of a fix are."""
        return self._folder / f"{found.id:04}" / "before"

    def _write(self, found: Transaction) -> None:
        path = self._own.write(f"{FOLDER}/{found.id:04}/{_RECORD}", found.as_json())
        for place in (path, path.parent):
            descriptor = os.open(place, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
