"""The diagnosis holds on failures of other people's builds."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _score_module() -> ModuleType:
    path = Path(__file__).with_name("score.py")
    spec = importlib.util.spec_from_file_location("score", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["score"] = module
    spec.loader.exec_module(module)
    return module


_SCORE = _score_module()


@pytest.mark.parametrize("name", [n for n, path in _SCORE.SETS.items() if path.exists()])
def test_strangers_failures_are_read_as_people_read_them(name: str) -> None:
    """At least 80 % of each set right, at most 3 % wrong, 90 % of the facts."""
    result = _SCORE.score(_SCORE.load(_SCORE.SETS[name]))
    assert result.cases >= 30
    assert result.right_share >= 0.80, result.misses if "sealed" not in name else name
    assert result.wrong_share <= 0.03, result.misses if "sealed" not in name else name
    assert result.facts_share >= 0.90


def test_every_stranger_has_a_source() -> None:
    """Each excerpt names repository and thread, and none stands in two sets."""
    sources = [
        c.source for path in _SCORE.SETS.values() if path.exists() for c in _SCORE.load(path)
    ]
    assert len(sources) == len(set(sources))
    assert all("/" in source and "#" in source for source in sources)
    assert len(sources) >= 100
