"""The cluster's figures in Prometheus' text format: the one module that knows its library.

Knows nothing of who may see them. Nothing is kept here: each scrape copies what the core counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from cyxmake_common.errors import ConfigError
from cyxmake_coordinator.gateways.house import House

try:
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
    from prometheus_client.metrics_core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        InfoMetricFamily,
        Metric,
    )
    from prometheus_client.registry import Collector, CollectorRegistry
except ImportError as error:
    raise ConfigError(
        "metrics need the package prometheus-client",
        next_step="pip install 'cyxmake[metrics]', or unset metrics_token_file",
    ) from error

_GAUGES: Final = (
    ("uptime_seconds", "Seconds since the start"),
    ("clients", "Connected clients"),
    ("queued", "Actions that wait for a worker"),
    ("running", "Actions that workers run"),
    ("cas_bytes", "Bytes in the store"),
    ("cas_limit_bytes", "Bytes that the store may hold"),
    ("cas_blobs", "Blobs in the store"),
)
_SPANS: Final = frozenset({"hedge_regret"})
"""Counters that are seconds."""


class _House(Collector):
    """Turns a picture of the cluster into metrics, at each scrape."""

    def __init__(self, house: House) -> None:
        self._house = house

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        house = self._house
        status = house.status()
        yield InfoMetricFamily("cyxmake_coordinator", "Version", {"version": status.version})
        for name, text in _GAUGES:
            yield GaugeMetricFamily(f"cyxmake_{name}", text, getattr(status, name))
        workers = GaugeMetricFamily("cyxmake_workers", "Workers by condition", labels=["condition"])
        slots = GaugeMetricFamily("cyxmake_slots", "Their slots", labels=["condition"])
        counts: Counter[str] = Counter()
        places: Counter[str] = Counter({"ready": 0})
        for worker in status.workers:
            condition = worker.condition or "ready"
            counts[condition] += 1
            places[condition] += worker.slots
        for condition, places_there in sorted(places.items()):
            workers.add_metric([condition], counts[condition])
            slots.add_metric([condition], places_there)
        yield from (workers, slots)
        yield from self._counters()
        yield from self._store()

    def _counters(self) -> Iterator[Metric]:
        totals = self._house.shell.scheduler.snapshot().totals
        ended = CounterMetricFamily(
            "cyxmake_actions_completed", "Actions by the kind of their outcome", labels=["outcome"]
        )
        for kind, count in totals.completed.items():
            ended.add_metric([kind.value], count)
        yield ended
        for name, value in totals.counters().items():
            unit = "_seconds" if name in _SPANS else ""
            yield CounterMetricFamily(
                f"cyxmake_scheduler_{name}{unit}", "See docs/SCHEDULING.md", value
            )

    def _store(self) -> Iterator[Metric]:
        figures = self._house.storage.blobs.figures()
        families = {
            "operations": CounterMetricFamily(
                "cyxmake_store_operations", "Blobs asked for", labels=["kind"]
            ),
            "misses": CounterMetricFamily(
                "cyxmake_store_misses", "Blobs that were not there", labels=["kind"]
            ),
            "failures": CounterMetricFamily(
                "cyxmake_store_failures", "Operations that failed", labels=["kind"]
            ),
            "bytes": CounterMetricFamily(
                "cyxmake_store_transferred_bytes", "Bytes read and written", labels=["kind"]
            ),
        }
        for kind in ("lookups", "reads", "writes", "deletes"):
            one = getattr(figures, kind)
            families["operations"].add_metric([kind], one.count)
            families["misses"].add_metric([kind], one.misses)
            families["failures"].add_metric([kind], one.failures)
            families["bytes"].add_metric([kind], one.bytes)
        yield from families.values()
        disk = self._house.storage.disk.stats()
        yield CounterMetricFamily("cyxmake_store_evicted", "Blobs evicted", disk.evicted)
        yield CounterMetricFamily("cyxmake_store_damaged", "Damaged blobs removed", disk.damaged)


class Figures:
    """The exposition of one coordinator."""

    def __init__(self, house: House) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_House(house))

    def __call__(self) -> tuple[str, bytes]:
        """Return content type and text."""
        return CONTENT_TYPE_LATEST, generate_latest(self._registry)
