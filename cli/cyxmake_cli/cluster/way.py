"""What an action's way to the cluster and back tells, and asks, whoever decides where it runs.

Knows nothing of decisions: by itself a way is free, and what runs here does not hold it up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from cyxmake_cli.cluster.inputs import Source
from cyxmake_common.digest import Digest


class Tools(Protocol):
    """The tree of a toolchain."""

    @property
    def id(self) -> Digest:
        """Return the digest of the root Directory."""
        ...

    def blobs(self) -> Mapping[Digest, Source]:
        """Return every blob of the tree, with where its bytes are."""
        ...


class Way:
    """One action's way; `rank` are the seconds of work that wait for its end."""

    rank: float = 0.0

    async def missed(self, tools: Tools, told: float | None = None) -> None:
        """No cache has the result; returns when the action may be sent.

        It needs `tools` there, and took `told` seconds with other inputs, as the cache says.
        """

    async def begin(self) -> None:
        """Return when one more command may run."""

    def uploaded(self, size: int) -> None:
        """So many bytes had to be sent before the action could be."""

    def executing(self, worker: str) -> None:
        """A worker runs the action."""

    def coming(self, size: int, seconds: float, *, hit: bool) -> None:
        """So many bytes of the result are about to be fetched; `hit`: from the cache.

        The command took so many seconds.
        """

    async def claim(self) -> None:
        """Return when nobody else writes the outputs; raises Overtaken when somebody has."""


class Overtaken(Exception):
    """The action has been done here meanwhile: its outputs are not to be touched."""


FREE = Way()
