"""Counts what came of a build's compiles, for the build that asks at its end.

Knows no files and no clocks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from cyxmake_cli.cluster.results import RemoteResult
from cyxmake_common.toolchain.local import LocalOnly


@dataclass
class Counts:
    """One build's figures; `bytes_up` and `bytes_down` are the cluster's counters at its start."""

    hits: int = 0
    remote: int = 0
    local: int = 0
    seconds: float = 0.0
    bytes_up: int = 0
    bytes_down: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    workers: Counter[str] = field(default_factory=Counter)

    def add(self, result: RemoteResult | LocalOnly) -> None:
        """Count one answer."""
        if isinstance(result, LocalOnly):
            self.local += 1
            self.reasons[result.reason] += 1
            return
        self.seconds += result.seconds
        if result.worker:
            self.remote += 1
            self.workers[result.worker] += 1
        else:
            self.hits += 1

    def to_json(self) -> dict[str, object]:
        """Return the figures as JSON has them."""
        return {
            "hits": self.hits,
            "remote": self.remote,
            "local": self.local,
            "seconds": self.seconds,
            "bytes_up": self.bytes_up,
            "bytes_down": self.bytes_down,
            "reasons": dict(self.reasons),
            "workers": dict(self.workers),
        }
