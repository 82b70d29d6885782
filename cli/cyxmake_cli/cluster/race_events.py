"""What happens to the actions of a build and what is begun for them, as frozen values.

Knows nothing of how it is decided (racing) or carried out (lanes).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cyxmake_cli.cluster.cost_model import Link


class Stage(StrEnum):
    """How far an action's way to the cluster is."""

    ONLY_HERE = "only-here"
    LOOKING = "looking"
    MISSED = "missed"
    SENT = "sent"
    COMING = "coming"
    """Its result is being brought home."""


class Here(StrEnum):
    """Why an action runs on this machine that could run elsewhere; people read it."""

    MUST = ""
    """The action's own way to the cluster says why."""
    SOONER = "done here sooner"
    UNANSWERED = "the cache took too long to answer"
    FETCH = "made here sooner than fetched"
    SLOW = "overtook the cluster"
    AWAY = "connection-lost"


# ── what happens ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Wanted:
    """An action is ready to run. `seconds` is what it took before, None when that is not known.

    `rank` are the seconds of work on the longest way from it to the end of the build. `raced` tells
    whether it may run in both places at once.
    """

    name: str
    rank: float = 0.0
    seconds: float | None = None
    raced: bool = True


@dataclass(frozen=True, slots=True)
class OnlyHere:
    """The cluster can't do an action, or has failed to."""

    name: str


@dataclass(frozen=True, slots=True)
class Missed:
    """No cache has an action's result; `told` is what an earlier run took, as the cluster says.

    It needs the toolchain `tools`, when that has to be in the cluster.
    """

    name: str
    tools: str = ""
    told: float | None = None


@dataclass(frozen=True, slots=True)
class Executing:
    """A worker runs a sent action."""

    name: str
    worker: str


@dataclass(frozen=True, slots=True)
class Coming:
    """An action's result is known, and so many bytes of it are to be fetched.

    The command took `told` seconds.
    """

    name: str
    size: int
    hit: bool
    told: float | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """An action is done; `seconds` is what its command took. `here`: this machine's run counts."""

    name: str
    here: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Dropped:
    """Nobody wants an action any more."""

    name: str


@dataclass(frozen=True, slots=True)
class Joined:
    """The cluster is there: its slots on other machines, those on this one, and its line."""

    link: Link
    slots: int
    near_slots: int = 0
    near: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Away:
    """The cluster is lost, and may come back."""


@dataclass(frozen=True, slots=True)
class Left:
    """There is no cluster, or none any more."""


@dataclass(frozen=True, slots=True)
class Tools:
    """So many bytes of a toolchain are not in the cluster yet."""

    tools: str
    lacking: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event = (
    Wanted
    | OnlyHere
    | Missed
    | Executing
    | Coming
    | Ended
    | Dropped
    | Joined
    | Away
    | Left
    | Tools
    | Tick
)

# ── what to do ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class RunHere:
    """Begin an action here. `detail` are the figures behind it."""

    name: str
    why: Here
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Send:
    """Upload an action's inputs and have it done in the cluster."""

    name: str


@dataclass(frozen=True, slots=True)
class Ship:
    """Begin to upload a toolchain."""

    tools: str


@dataclass(frozen=True, slots=True)
class StopShipping:
    """Give up the upload of a toolchain: the build will be over before it helps."""

    tools: str


Effect = RunHere | Send | Ship | StopShipping


@dataclass(slots=True)
class Totals:
    """What was decided, and what came of it; `regret` are seconds of runs that lost."""

    here: int = 0
    there: int = 0
    hits: int = 0
    won_here: int = 0
    won_there: int = 0
    regret: float = 0.0


@dataclass(frozen=True, slots=True)
class Rules:
    """`cores` of this machine may be used. `eager`: whatever can be sent is, and nothing raced."""

    cores: int
    eager: bool = False
    await_own: bool = False
    """The build starts a cluster of its own, and nothing was built before: what that makes is worth
    waiting for."""
    expect_hits: bool = False

    def alone(self) -> Rules:
        """Return the rules of a build without a cluster."""
        return Rules(self.cores)
