"""The order in which waiting items are served."""

from __future__ import annotations

from cyxmake_common.ids import BuildId
from cyxmake_coordinator.core.queue import FairQueue, Lane


def lane(build: str, priority: int = 0) -> Lane:
    """Return a lane."""
    return priority, BuildId(build)


def drained(queue: FairQueue[str]) -> str:
    """Return the items in the order they are served."""
    return "".join(queue.pop() for _ in range(len(queue)))


def test_fifo_inside_a_build() -> None:
    """One build's items are served in the order they came."""
    queue = FairQueue[str]()
    for item in "abc":
        queue.push(item, [lane("x")])
    assert drained(queue) == "abc"


def test_builds_take_turns() -> None:
    """A build that comes late is not served after the whole of an earlier one."""
    queue = FairQueue[str]()
    for item in "abc":
        queue.push(item, [lane("x")])
    for item in "pq":
        queue.push(item, [lane("y")])
    assert drained(queue) == "apbqc"


def test_lower_priority_number_is_served_sooner() -> None:
    """Priorities are as in REAPI; classes are strict."""
    queue = FairQueue[str]()
    queue.push("n", [lane("x")])
    queue.push("l", [lane("x", 5)])
    queue.push("u", [lane("y", -1)])
    assert queue.best_priority == -1
    assert drained(queue) == "unl"
    assert not queue


def test_front_is_served_next() -> None:
    """What goes back to the front is next, before its build and before other builds."""
    queue = FairQueue[str]()
    queue.push("a", [lane("x")])
    queue.push("p", [lane("y")])
    queue.push("r", [lane("y")], front=True)
    assert drained(queue) == "rap"


def test_shared_item_is_served_at_its_best_place() -> None:
    """An item of two builds waits in both, is served once, and leaves both."""
    queue = FairQueue[str]()
    for item in "abs":
        queue.push(item, [lane("x")])
    queue.join("s", lane("y"))
    queue.join("s", lane("y"))
    assert queue.lanes("s") == (lane("x"), lane("y"))
    assert drained(queue) == "asb"


def test_leaving_a_lane_keeps_the_others() -> None:
    """An item that one build no longer wants keeps its place for the other."""
    queue = FairQueue[str]()
    queue.push("s", [lane("x"), lane("y"), lane("x")])
    queue.push("p", [lane("y")])
    queue.leave("s", lane("x"))
    assert queue.lanes("s") == (lane("y"),)
    assert drained(queue) == "sp"


def test_remove_and_contains() -> None:
    """A removed item is in no lane; others keep their order."""
    queue = FairQueue[str]()
    for item in "abc":
        queue.push(item, [lane("x"), lane("x", 1)])
    queue.remove("b")
    assert "b" not in queue
    assert queue.lanes("b") == ()
    assert sorted(queue) == ["a", "c"]
    assert repr(queue) == "<FairQueue 2 waiting, 2 builds, priorities [0, 1]>"
    assert drained(queue) == "ac"
