"""Reads the output of failed tools, so that failures can be grouped by cause.

Knows nothing of scheduling. Reading takes milliseconds of a thread: equal outputs are read once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

from cyxmake_common.action import ActionResult
from cyxmake_common.cas.store import BlobStore, read_all
from cyxmake_common.digest import Digest
from cyxmake_common.errors import CyxError
from cyxmake_common.outcome import Outcome, OutcomeKind
from cyxmake_coordinator.core.events import Finding

_REMEMBERED: Final = 2_000
_LARGEST: Final = 1 << 20
"""Bytes of output; a tool that says more is not read."""

_Output = tuple[int, Digest | None, Digest | None]


class Findings:
    """Reads outputs in one store."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store
        self._known: OrderedDict[_Output, Finding | None] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Findings {len(self._known)} outputs>"

    async def of(self, outcome: Outcome) -> Finding | None:
        """Return why a tool failed; None for anything but a failed tool that says something."""
        result = outcome.result
        if outcome.kind is not OutcomeKind.TOOL or result is None or result.exit_code == 0:
            return None
        key = result.exit_code, result.stderr, result.stdout
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        finding = await self._read(result)
        self._known[key] = finding
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return finding

    async def _read(self, result: ActionResult) -> Finding | None:
        texts = [text for text in (result.stderr, result.stdout) if text is not None]
        try:
            output = b"".join([await read_all(self._store, t) for t in texts if t.size <= _LARGEST])
        except CyxError:
            return None  # evicted meanwhile: a failure that cannot be grouped stands for itself
        return await asyncio.to_thread(_find, output, result.exit_code)


def _find(output: bytes, exit_code: int) -> Finding | None:
    # Only a coordinator that sees failures needs the rules.
    from cyxmake_common.diagnosis.cause import first_cause

    cause = first_cause(output, exit_code)
    if cause is None:
        return None
    return Finding(cause.fingerprint, cause.category, cause.line, cause.doubtful)
