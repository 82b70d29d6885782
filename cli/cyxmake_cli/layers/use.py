"""The layers of a project as a build uses them: those it has written down, made ready here.

Knows the store, the record and the gate. A layer that is recorded is fetched again where it is
missing; a new one is asked about.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cyxmake_cli.building.own_folder import OwnFolder
from cyxmake_cli.layers.apt import this_system
from cyxmake_cli.layers.model import FOLDER, Layer, LayerPlan, Package, together
from cyxmake_cli.layers.record import LayerRecord
from cyxmake_cli.layers.store import LayerStore
from cyxmake_cli.safety.gate import Answer, Gate, bounds_of
from cyxmake_cli.safety.permissions import Act, ActKind, Judgement
from cyxmake_common.errors import ConfigError

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

    def is_here(self) -> bool:
        """Tell whether what is recorded stands ready on this machine."""
        plans = self._with_supplements()
        return bool(plans) and self.store.get(together(plans)) is not None

    def add(self, plan: LayerPlan, gate: Gate) -> Layer | None:
        """Get a layer and write it down; None: not allowed. Raises CyxError."""
        return self._take(plan) if gate.permit(act_of(plan, ActKind.GET_LAYER)) else None

    def obtain(self, manager: str, packages: Sequence[str]) -> Layer:
        """Get a layer that was allowed already and write it down; raises CyxError.

        What this changes in the project is the record alone: its bytes before undo it.
        """
        return self._take(self.store.plan(manager, packages))

    def _take(self, plan: LayerPlan) -> Layer:
        """Make a layer that was found out here, with those that the project has, and record it."""
        layer = self.store.make(together((plan, *self._with_supplements())))
        self.record.add(plan)
        self._note(plan, ())
        return layer

    def ready(self, gate: Gate | None = None) -> tuple[Layer, ...]:
        """Return the recorded layers as one, fetched where it is missing; raises CyxError.

        Without a gate it is fetched without a word: it is what the project says it needs.
        """
        if not self.recorded():
            return ()
        whole = together(self._with_supplements())
        layer = self.store.get(whole)
        if layer is None:
            gate = gate or _unattended(self.record.path.parent.parent)
            gate.require(act_of(whole, ActKind.RESTORE_LAYER))
            if gate.dry_run:
                return ()
            known = self._own.read(_HERE)
            for plan in self.recorded():
                if plan.digest not in known:
                    self._note(plan, self.store.lacking(plan))
            layer = self.store.make(together(self._with_supplements()))
        return (layer,)

    def _with_supplements(self) -> tuple[LayerPlan, ...]:
        """Return the recorded layers, each with what this machine lacks beside it."""
        known = self._own.read(_HERE)
        found = []
        for plan in self.recorded():
            more = known.get(plan.digest)
            packages = tuple(map(Package.of, more)) if isinstance(more, list) else ()
            found.append(replace(plan, packages=(*plan.packages, *packages)))
        return tuple(found)

    def _note(self, plan: LayerPlan, packages: Sequence[Package]) -> None:
        known = self._own.read(_HERE)
        known[plan.digest] = [asdict(package) for package in packages]
        with contextlib.suppress(ConfigError):  # sources on a read-only disk are asked about anew
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
