"""Counts and the lines made of them."""

from __future__ import annotations

from collections import Counter

from cyxmake_cli.ui.progress import strip_colours
from cyxmake_cli.ui.tally import Tally, render


def test_summary_names_every_promised_figure() -> None:
    """The names that scripts rely on are there."""
    tally = Tally(total=3, done=3, cache_hits=1, remote=1, local=1, seconds=4.0)
    tally.reasons, tally.workers = Counter({"not a compile": 1}), Counter({"w0": 1})
    summary = tally.summary(2.0, 0)
    assert summary["wall"] == 2.0
    assert summary["actions"] == 3
    assert (summary["cache_hits"], summary["remote"], summary["local"]) == (1, 1, 1)
    assert summary["local_reasons"] == {"not a compile": 1}
    assert summary["workers"] == {"w0": 1}
    assert summary["speedup"] == 2.0
    assert {"failed", "bytes_up", "bytes_down", "exit_code"} <= summary.keys()


def test_rendered_lines_say_why_edges_were_local() -> None:
    """Reasons are part of the one summary that is always shown."""
    tally = Tally(done=2, local=2, failed=1, bytes_up=1_500_000, bytes_down=12)
    tally.reasons = Counter({"not a compile": 2})
    text = "\n".join(render(tally.summary(1.0, 1)))
    assert "2 local, 1 failed" in text
    assert "not a compile (2)" in text
    assert "sent 1.5 MB, received 12 B" in text


def test_races_are_told_when_there_were_any() -> None:
    """Who was first how often, and what the other runs cost."""
    tally = Tally(done=9, won_here=2, won_there=1, regret=1.26)
    summary = tally.summary(1.0, 0)
    assert summary["races"] == {"won_here": 2, "won_there": 1, "regret_seconds": 1.26}
    (line,) = [line for line in render(summary) if "two places" in line]
    assert "2 were done here first, 1 in the cluster" in line
    assert "1.3 s of work were for nothing" in line
    assert not any("two places" in line for line in render(Tally(done=9).summary(1.0, 0)))


def test_eta_follows_the_rate_so_far() -> None:
    """Half done in ten seconds: ten to go; nothing done: nothing is said."""
    assert Tally(total=4, done=2).eta(10.0) == 10.0
    assert Tally(total=4).eta(10.0) is None


def test_colours_are_removed_without_losing_text() -> None:
    """Escapes of gcc's colours and links go, everything else stays."""
    coloured = b"\x1b[01m\x1b[Ka.c:1:\x1b[m\x1b[K \x1b]8;;https://x\x07w\x1b]8;;\x07 [x]\n"
    assert strip_colours(coloured) == b"a.c:1: w [x]\n"
    assert strip_colours(b"plain [0m\n") == b"plain [0m\n"
