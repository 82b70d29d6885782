"""The agent's connections: one for each cluster of its callers, made when first needed.

Knows nothing of compiles. A cluster that is not there, or no longer, is an answer; it is tried
again after a while, less and less often, and nobody waits for that.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cyxmake_cli.cluster.joined import Joined
from cyxmake_cli.cluster.near import Near
from cyxmake_common.errors import CyxError
from cyxmake_common.net.token import JoinToken
from cyxmake_common.telemetry.logger import get_logger
from cyxmake_common.toolchain.local import LocalOnly

_FIRST_PAUSE: Final = 5.0
_LONGEST_PAUSE: Final = 60.0
_KEYS_KEPT: Final = 20_000
_BLOB_BYTES_KEPT: Final = 96 << 20

_log = get_logger(__name__)


class Link:
    """One cluster: that of a token, or the embedded one."""

    def __init__(self, token: str | None, cache_dir: Path, now: Callable[[], float]) -> None:
        self._token = token
        self._cache_dir = cache_dir
        self._now = now
        self._joined: Joined | None = None
        self._why = LocalOnly("the cluster is not there yet")
        self._task: asyncio.Task[None] | None = None
        self._pause = _FIRST_PAUSE
        self._next_try = now()
        self.near = Near(_KEYS_KEPT, _BLOB_BYTES_KEPT)

    def __repr__(self) -> str:
        return f"<Link {self.name} {self.current_state()}>"

    @property
    def name(self) -> str:
        """Return what to call the cluster."""
        if self._joined is not None and self._joined.embedded is None:
            return self._joined.client.address
        return "embedded" if self._token is None else "cluster"

    def current_state(self) -> str:
        """Return the state in words for a person."""
        return "connected" if self._joined is not None else self._why.reason

    def current(self) -> Joined | LocalOnly:
        """Return the live connection, or why there is none at the moment."""
        joined = self._joined
        if joined is not None and (lost := joined.client.lost) is not None:
            _log.warning("lost", cluster=self.name, reason=str(lost))
            self._joined = None
            self._fail(LocalOnly(lost.code))
            self._task = asyncio.create_task(joined.close())
            return self._why
        if joined is not None:
            return joined
        if (self._task is None or self._task.done()) and self._now() >= self._next_try:
            self._task = asyncio.create_task(self._connect())
        return self._why

    async def ready(self) -> Joined | LocalOnly:
        """Return the same after an attempt that is under way has ended."""
        self.current()
        if self._task is not None:
            await asyncio.shield(self._task)
        return self.current()

    async def close(self) -> None:
        """Say goodbye."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._joined is not None:
            await self._joined.close()

    async def _connect(self) -> None:
        try:
            if self._token is None:
                joined = await Joined.with_embedded(self._cache_dir, os.cpu_count() or 1)
            else:
                token = JoinToken.parse(self._token)
                joined = await Joined.with_token(token, self._cache_dir)
        except (CyxError, OSError) as error:
            code = error.code if isinstance(error, CyxError) else "system"
            _log.warning("no cluster", cluster=self.name, reason=str(error))
            self._fail(LocalOnly(f"no cluster: {code}"))
            return
        if joined.slots == 0:
            await joined.close()
            self._fail(LocalOnly("the cluster has no workers"))
            return
        _log.info("joined", cluster=joined.client.address, slots=joined.slots)
        self._pause = _FIRST_PAUSE
        self._joined = joined

    def _fail(self, why: LocalOnly) -> None:
        self._why = why
        self._next_try = self._now() + self._pause
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)


class Links:
    """All clusters by token."""

    def __init__(self, cache_dir: Path, now: Callable[[], float]) -> None:
        self._cache_dir = cache_dir
        self._now = now
        self._links: dict[str | None, Link] = {}

    def __repr__(self) -> str:
        return f"<Links {list(self._links.values())}>"

    def get(self, token: str | None) -> Link:
        """Return the link of a token's cluster; None is the embedded cluster."""
        link = self._links.get(token)
        if link is None:
            link = self._links[token] = Link(token, self._cache_dir, self._now)
        return link

    def describe(self) -> dict[str, str]:
        """Return the state of every cluster by its name."""
        return {link.name: link.current_state() for link in self._links.values()}

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(link.close() for link in self._links.values()))
