"""Reads what a compound action wants, and turns it into an arrangement that this worker allows.

Knows nothing of sandboxes or stores. A wish that the worker's owner did not allow is refused here,
whatever the coordinator thought when it chose this worker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cyxmake_common.action import Action, Properties
from cyxmake_common.compound import ALLOWED, COMPOUND, NETWORK, PLAN_PATH, Compound
from cyxmake_common.errors import ProtocolError, SandboxError
from cyxmake_worker.host_tools import HostTools
from cyxmake_worker.sandbox.base import Arrangement, OwnTree

_LARGEST_PLAN: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the worker's owner lets compound actions have; `jobs` is for each of them."""

    host: HostTools | None = None
    network: bool = False
    jobs: int = 1


def compound_of(action: Action, input_root: Path) -> Compound | None:
    """Return what a compound action is, None for any other; raises ProtocolError."""
    if not action.property(COMPOUND):
        return None
    path = input_root / PLAN_PATH[1:]
    try:
        if path.is_symlink() or path.parent.is_symlink() or path.stat().st_size > _LARGEST_PLAN:
            raise ProtocolError(f"{PLAN_PATH} is no plan of a compound action")
        found = Compound.from_bytes(path.read_bytes())
    except OSError as error:
        raise ProtocolError(f"a compound action without {PLAN_PATH}") from error
    if found.host_tools and not action.do_not_cache:
        raise ProtocolError("what a worker's own tools make must not be cached")
    return found


def arrange(
    compound: Compound,
    platform: Properties,
    allowed: Allowed,
    heard: Callable[[bytes], None] | None,
) -> Arrangement:
    """Return how a compound action is run here; raises SandboxError for what is not allowed."""
    host = allowed.host.view if allowed.host is not None else None
    if compound.host_tools and host is None:
        raise SandboxError("this worker shows no tools of its own (its setting `host_tools`)")
    if compound.network and not (allowed.network and (NETWORK, ALLOWED) in platform):
        raise SandboxError("this worker allows no network (its setting `allow_network`)")
    return Arrangement(
        steps=compound.steps,
        jobs=allowed.jobs,
        host=host if compound.host_tools else None,
        network=compound.network,
        own=OwnTree(compound.own, compound.times) if compound.own else None,
        apart=compound.apart,
        keep_going=compound.keep_going,
        heard=None if compound.apart else heard,
    )
