"""Who is connected by which token, and cutting off those whose token is good no longer.

Knows nothing of what sessions are for. Another process may revoke a token: the file is polled, and
an expiry date passes without any message at all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from typing import Final, Protocol

import structlog

from cyxmake_common.errors import CyxError, Denied
from cyxmake_coordinator.auth.tokens import TokenState, TokenStore

_POLL_SECONDS: Final = 0.4
_EXPIRY_POLLS: Final = 2
_log = structlog.get_logger(__name__)


class Session(Protocol):
    """One live connection, as far as its right to be here is concerned."""

    @property
    def name(self) -> str:
        """Return what to call it in the log."""
        ...

    async def refuse(self, error: CyxError) -> None:
        """Tell the peer why, take nothing more from it, and close."""
        ...


class Sessions:
    """Every live connection, control and bulk, by token."""

    def __init__(self, tokens: TokenStore) -> None:
        self._tokens = tokens
        self._live: dict[str, dict[Session, None]] = {}
        self._unchecked = False
        self._polls = 0
        self._closing: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Sessions {len(self)} of {len(self._live)} tokens>"

    def __len__(self) -> int:
        return sum(map(len, self._live.values()))

    @contextlib.contextmanager
    def admitted(self, token_id: str, session: Session) -> Iterator[None]:
        """Count a connection as live while the block runs."""
        self._live.setdefault(token_id, {})[session] = None
        # Its token may have been revoked after it was verified, in a change already noticed.
        self._unchecked = True
        try:
            yield
        finally:
            others = self._live[token_id]
            del others[session]
            if not others:
                del self._live[token_id]

    async def watch(self) -> None:
        """Cut off sessions of revoked and expired tokens, until cancelled."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                await self.sweep()
            except Exception:
                # A locked or full disk now is no reason to stop looking.
                _log.exception("token_check_failed")

    async def sweep(self) -> None:
        """Look once, if anything can have changed."""
        changed = await self._tokens.changed()
        self._polls += 1
        due = self._polls % _EXPIRY_POLLS == 0
        if not self._live or not (changed or self._unchecked or due):
            return
        self._unchecked = False
        states = await self._tokens.states(tuple(self._live))
        bad = [token for token, state in states.items() if state is not TokenState.ACTIVE]
        for token in bad:
            for session in list(self._live.get(token, ())):
                # Not awaited: a peer that does not answer the close would delay the next poll.
                self._start(self._cut_off(session, token, states[token]))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _cut_off(self, session: Session, token: str, state: TokenState) -> None:
        _log.warning("session_cut_off", token_id=token, peer=session.name, reason=state.value)
        refusal = Denied(
            "the token is no longer accepted",
            next_step="ask for a new one: cyxmake-coordinator token create",
        )
        await session.refuse(refusal)
