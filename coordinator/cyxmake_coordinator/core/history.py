"""How long actions took and how much memory they needed: what earlier runs say of the next.

Knows nothing of inputs or results. An action is known by its *kin*: the digest of its command, the
same for one file of one checkout whatever is edited.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from statistics import median
from typing import Final

from cyxmake_common.digest import Digest

_RUNS: Final = 4
"""Runs of one kin that are remembered."""
_RECENT: Final = 256
"""Runs of anything that are remembered."""
_UNKNOWN: Final = 1.0
"""Seconds expected before anything has run."""
_SMOOTH: Final = 0.02


@dataclass(slots=True)
class _Record:
    seconds: tuple[float, ...]
    memory: int


class History:
    """What is remembered of at most `most` kins, those seen last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._records: OrderedDict[Digest, _Record] = OrderedDict()
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._sorted: list[float] | None = None
        self._mean: float | None = None

    def __repr__(self) -> str:
        return f"<History of {len(self._records)} actions, {self.mean:.2f} s on average>"

    @property
    def mean(self) -> float:
        """The smoothed mean of what all actions took."""
        return _UNKNOWN if self._mean is None else self._mean

    def learn(self, kin: Digest, seconds: float, memory: int) -> None:
        """Remember one run."""
        record = self._records.get(kin)
        if record is None:
            self._records[kin] = _Record((seconds,), memory)
            self._forget()
        else:
            record.seconds = (*record.seconds, seconds)[-_RUNS:]
            record.memory = max(record.memory, memory)
            self._records.move_to_end(kin)
        self._recent.append(seconds)
        self._sorted = None
        before = seconds if self._mean is None else self._mean
        self._mean = before + max(_SMOOTH, 1 / len(self._recent)) * (seconds - before)

    def expected(self, kin: Digest) -> float:
        """Return the median of what an action took, else what any took on average."""
        record = self._records.get(kin)
        return median(record.seconds) if record is not None and record.seconds else self.mean

    def slow(self, kin: Digest) -> float:
        """Return what nine of ten runs of an action stay below, else of any action."""
        record = self._records.get(kin)
        if record is not None and record.seconds:
            return quantile(sorted(record.seconds), 0.9)
        if self._sorted is None:
            self._sorted = sorted(self._recent)
        return quantile(self._sorted, 0.9) if self._sorted else _UNKNOWN

    def _forget(self) -> None:
        if len(self._records) > self._most:
            self._records.popitem(last=False)

    def outgrew(self, kin: Digest, memory: int) -> None:
        """Remember that an action needs more than it had."""
        record = self._records.setdefault(kin, _Record((), 0))
        record.memory = max(record.memory, memory)
        self._forget()

    def memory(self, kin: Digest) -> int:
        """Return the most bytes an action ever needed; 0 when that is not known."""
        record = self._records.get(kin)
        return 0 if record is None else record.memory


def quantile(values: list[float], part: float) -> float:
    """Return the value that a part of the sorted values does not exceed; there must be one."""
    return values[min(len(values) - 1, int(part * len(values)))]
