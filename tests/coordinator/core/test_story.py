"""The bounded record of transitions."""

from __future__ import annotations

from cyxmake_coordinator.core.story import Story


def test_lines_are_in_order_of_time() -> None:
    """Two stories are told as one."""
    first, second = Story(), Story()
    first.note(1.0, "submitted by", "c1")
    second.note(2.0, "assigned to", "w1")
    first.note(3.0, "completed")
    assert first.lines(second) == (
        "1.000 submitted by c1",
        "2.000 assigned to w1",
        "3.000 completed",
    )
    assert repr(first) == "<Story 2 entries, last: completed>"
    assert repr(Story()) == "<Story 0 entries, last: nothing yet>"


def test_long_stories_keep_both_ends() -> None:
    """The beginning and the latest transitions stay; the gap is told."""
    story = Story()
    for number in range(40):
        story.note(float(number), f"event {number}")
    lines = story.lines()
    assert lines[0] == "0.000 event 0"
    assert lines[-1] == "39.000 event 39"
    assert "10.000 (before this, 8 lines are left out)" in lines
    assert len(lines) == 33
