"""What may be spent in a day on providers that are paid: tokens, and money where prices are set.

Knows no provider. Every process of the user counts into one file; what is asked is counted before
it is sent, so that several at once do not overspend together.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cyxmake_cli.llm.backend import BudgetSpent, ModelError, Usage
from cyxmake_common.file_lock import FileLock


@dataclass(frozen=True, slots=True)
class Limits:
    """A day's limits, 0 for none, and what a million tokens costs."""

    tokens: int = 0
    cost: float = 0.0
    read_price: float = 0.0
    written_price: float = 0.0

    def price(self, usage: Usage) -> float:
        """Return what tokens cost."""
        return (usage.read * self.read_price + usage.written * self.written_price) / 1e6


@dataclass(slots=True)
class Spent:
    """What a day has taken so far."""

    day: str
    requests: int = 0
    read: int = 0
    written: int = 0


class Budget:
    """One user's day."""

    def __init__(
        self, directory: Path, limits: Limits, today: Callable[[], str] | None = None
    ) -> None:
        self._path = directory / "ai-usage.json"
        self._limits = limits
        self._today = today or (lambda: datetime.now(UTC).date().isoformat())

    def __repr__(self) -> str:
        return f"<Budget {self._path} {self._limits}>"

    def spent(self) -> Spent:
        """Return what today has taken."""
        try:
            found: dict[str, Any] = json.loads(self._path.read_bytes())
            spent = Spent(str(found["day"]), *(int(found[n]) for n in _COUNTS))
        except (OSError, ValueError, KeyError, TypeError):
            return Spent(self._today())
        return spent if spent.day == self._today() else Spent(self._today())

    def cost(self) -> float:
        """Return what today has cost."""
        spent = self.spent()
        return self._limits.price(Usage(spent.read, spent.written))

    def reserve(self, most: Usage) -> None:
        """Count what a request may take; raises BudgetSpent when the day has not that much left."""
        limits = self._limits
        with self._locked():
            spent = self.spent()
            all_of_it = Usage(spent.read + most.read, spent.written + most.written)
            if limits.tokens and all_of_it.read + all_of_it.written > limits.tokens:
                raise BudgetSpent(
                    f"{spent.read + spent.written} of the day's {limits.tokens} tokens are spent",
                    next_step="wait for tomorrow (UTC), or set ai.daily_tokens",
                )
            if limits.cost and limits.price(all_of_it) > limits.cost:
                cost = limits.price(Usage(spent.read, spent.written))
                raise BudgetSpent(
                    f"{cost:.2f} of the day's {limits.cost:.2f} are spent",
                    next_step="wait for tomorrow (UTC), or set ai.daily_cost",
                )
            self._write(spent, all_of_it, 1)

    def settle(self, reserved: Usage, used: Usage | None) -> None:
        """Replace what was reserved by what was used; None: nothing was."""
        with self._locked():
            spent = self.spent()
            real = used or Usage()
            read = max(0, spent.read - reserved.read + real.read)
            written = max(0, spent.written - reserved.written + real.written)
            self._write(spent, Usage(read, written), 0 if used else -1)

    def _locked(self) -> FileLock:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise self._cannot_count(error) from error
        return FileLock(self._path.with_suffix(".lock"))

    def _write(self, spent: Spent, total: Usage, requests: int) -> None:
        now = Spent(spent.day, max(0, spent.requests + requests), total.read, total.written)
        scratch = self._path.with_suffix(f".{os.getpid()}")
        try:
            scratch.write_text(json.dumps(asdict(now)), "utf-8")
            scratch.replace(self._path)
        except OSError as error:
            raise self._cannot_count(error) from error

    def _cannot_count(self, error: OSError) -> ModelError:
        return ModelError(
            f"what models take cannot be counted in {self._path}: {error.strerror}",
            next_step="make its directory writable",
        )


_COUNTS = ("requests", "read", "written")
