"""The layers of a project as a build uses them: those it has written down, made ready here.

Knows the store, the record and the gate. A layer that is recorded is fetched again where it is
missing; a new one is asked about.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cyxmake_cli.building.own_folder import OwnFolder
from cyxmake_cli.layers.apt import this_system
from cyxmake_cli.layers.model import FOLDER, Layer, LayerPlan, Package
from cyxmake_cli.layers.record import LayerRecord
from cyxmake_cli.layers.store import LayerStore
from cyxmake_cli.safety.gate import Answer, Gate, bounds_of
from cyxmake_cli.safety.permissions import Act, ActKind, Judgement

_HERE: Final = "layers-here.json"
"""By layer, packages that were installed where it was recorded, and are not here."""


def user_store() -> LayerStore:
    """Return the store of this user."""
    from cyxmake_cli.config import cache_directory

    return LayerStore(Path(os.path.abspath(cache_directory() / FOLDER)))  # noqa: PTH100


class ProjectLayers:
    """The layers of the project at `source`."""

    def __init__(self, source: Path, store: LayerStore | None = None) -> None:
        self._own = OwnFolder(source)
        self.record = LayerRecord(source)
        self.store = store or user_store()

    def __repr__(self) -> str:
        return f"<ProjectLayers {self.record.path}>"

    def recorded(self) -> tuple[LayerPlan, ...]:
        """Return the recorded layers that are for this system, whether they are here or not."""
        return tuple(plan for plan in self.record.read() if plan.system == this_system())

    def add(self, plan: LayerPlan, gate: Gate) -> Layer | None:
        """Get a layer and write it down; None: not allowed. Raises CyxError."""
        if not gate.permit(act_of(plan, ActKind.GET_LAYER)):
            return None
        layer = self.store.make(plan)
        self.record.add(plan)
        return layer

    def obtain(self, manager: str, packages: Sequence[str]) -> Layer:
        """Get a layer that was allowed already and write it down; raises CyxError.

        What this changes in the project is the record alone: its bytes before undo it.
        """
        plan = self.store.plan(manager, packages)
        layer = self.store.make(plan)
        self.record.add(plan)
        return layer

    def ready(self, gate: Gate | None = None) -> tuple[Layer, ...]:
        """Return the recorded layers, fetched where they are missing; raises CyxError.

        Without a gate they are fetched without a word: they are what the project says it needs.
        """
        found = []
        for plan in self.recorded():
            layer = self.store.get(plan)
            if layer is None:
                gate = gate or _unattended(self.record.path.parent.parent)
                gate.require(act_of(plan, ActKind.RESTORE_LAYER))
                if gate.dry_run:
                    continue
                layer = self.store.make(plan)
                self._note_supplement(plan)
            found.append(layer)
            if (more := self._supplement(plan)) is not None:
                found.append(self.store.make(more))
        return tuple(found)

    def _supplement(self, plan: LayerPlan) -> LayerPlan | None:
        """Return what this machine lacks beside a layer that was recorded on another."""
        packages = self._own.read(_HERE).get(plan.digest)
        if not isinstance(packages, list) or not packages:
            return None
        return replace(plan, packages=tuple(map(Package.of, packages)))

    def _note_supplement(self, plan: LayerPlan) -> None:
        more = self.store.supplement(plan)
        known = self._own.read(_HERE)
        if more is not None or plan.digest in known:
            known[plan.digest] = [asdict(package) for package in more.packages] if more else []
            self._own.write(_HERE, known)


class _Nobody:
    """Answers no question."""

    def ask(self, act: Act, judgement: Judgement) -> Answer | None:
        return None


def _unattended(source: Path) -> Gate:
    """Return a gate that lets what is safe pass, and writes it down."""
    return Gate(
        bounds_of(str(source)), _Nobody(),
        lambda: datetime.now(UTC).isoformat(timespec="milliseconds"),
    )  # fmt: skip


def act_of(plan: LayerPlan, kind: ActKind) -> Act:
    """Return the act of fetching a layer, for the gate."""
    lines = tuple(f"{p.name} {p.version} ({_bytes(p.size)})" for p in plan.packages)
    total = _bytes(plan.download_bytes)
    verb = "get" if kind is ActKind.GET_LAYER else "get again"
    return Act(
        kind,
        f"{verb} {', '.join(plan.wanted)} as a layer: {len(lines)} packages of"
        f" {plan.manager}, {total}, unpacked below the cache directory, nothing installed",
        detail=lines,
    )


def _bytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.0f} kB"
