"""The load script as a test: bounded memory, no lost operation, a rate to live with."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.load_coordinator import measure


@pytest.mark.load
@pytest.mark.timeout(600)
def test_two_hundred_clients(tmp_path: Path) -> None:
    """20,000 actions of 200 clients end; the bar for the rate leaves room for a busy machine."""
    figures = measure(tmp_path)
    assert figures.actions == 20_000
    assert figures.max_rss_mib < 400, figures.text()
    assert figures.rate > 100, figures.text()


@pytest.mark.load
@pytest.mark.timeout(600)
def test_a_thousand_workers(tmp_path: Path) -> None:
    """6,000 paced actions end, with a thousand workers that beat; the bar is for a busy machine."""
    figures = measure(tmp_path, clients=20, actions=300, workers=1_000, rate=600.0)
    assert figures.actions == 6_000
    assert figures.dispatch_p50_ms > 0
    assert figures.rate > 150, figures.text()


@pytest.mark.timeout(120)
def test_a_few_clients(tmp_path: Path) -> None:
    """The script itself works, in every test run."""
    figures = measure(tmp_path, clients=4, actions=10)
    assert figures.actions == 40
