"""The order in which waiting items are served."""

from __future__ import annotations

from collections import Counter
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from cyxmake_common.ids import BuildId
from cyxmake_coordinator.core.queue import FairQueue, Lane, Urgency
from cyxmake_coordinator.core.shares import Account, charge


def lane(build: str, priority: int = 0, user: str = "u") -> Lane:
    """Return a lane."""
    return Lane(priority, user, BuildId(build))


def served(queue: FairQueue[str], seconds: float = 1.0) -> str:
    """Serve one item, which takes its user so many slot-seconds."""
    found = queue.pop()
    assert found is not None
    charge(found.payer, seconds)
    return found.item


def drained(queue: FairQueue[str]) -> str:
    """Return the items in the order they are served."""
    return "".join(served(queue) for _ in range(len(queue)))


def filled(*items: tuple[str, Lane]) -> FairQueue[str]:
    """Return a queue of items, each in its lane."""
    queue = FairQueue[str]()
    for item, its in items:
        queue.push(item, [its])
    return queue


def test_fifo_inside_a_build() -> None:
    """One build's items are served in the order they came."""
    assert drained(filled(*((item, lane("x")) for item in "abc"))) == "abc"


def test_the_urgent_first_inside_a_build() -> None:
    """The earliest deadline, then the highest rank, then who came first."""
    queue = FairQueue[str]()
    queue.push("a", [lane("x")])
    queue.push("b", [lane("x")], Urgency(rank=-5.0))
    queue.push("c", [lane("x")], Urgency(rank=-9.0))
    queue.push("d", [lane("x")], Urgency(deadline=30.0))
    queue.push("e", [lane("x")], Urgency(deadline=20.0, rank=-1.0))
    queue.push("f", [lane("x")], Urgency(rank=-5.0))
    assert drained(queue) == "edcbfa"


def test_builds_of_a_user_take_turns() -> None:
    """A build that comes late is not served after the whole of an earlier one."""
    queue = filled(*((item, lane("x")) for item in "abc"), *((i, lane("y")) for i in "pq"))
    assert drained(queue) == "apbqc"


def test_users_share_whatever_builds_they_have() -> None:
    """A user with three builds gets no more than one with a single build."""
    queue = FairQueue[str]()
    for number in range(30):
        queue.push(f"a{number}", [lane(f"x{number % 3}", user="ann")])
        queue.push(f"b{number}", [lane("y", user="bob")])
    assert Counter(served(queue)[0] for _ in range(20)) == {"a": 10, "b": 10}


def test_time_is_shared_not_turns() -> None:
    """A user whose actions are long gets fewer of them."""
    queue = FairQueue[str]()
    for number in range(100):
        queue.push(f"l{number}", [lane("x", user="long")])
        queue.push(f"s{number}", [lane("y", user="short")])
    turns: Counter[str] = Counter()
    for _ in range(44):
        found = queue.pop()
        assert found is not None
        turns[found.lane.user] += 1
        charge(found.payer, 10.0 if found.lane.user == "long" else 1.0)
    assert turns == {"long": 4, "short": 40}


def test_weights() -> None:
    """A user of weight three gets three times as much."""
    queue: FairQueue[str] = FairQueue(Account(), lambda user: 3.0 if user == "ci" else 1.0)
    for number in range(40):
        queue.push(f"c{number}", [lane("x", user="ci")])
        queue.push(f"o{number}", [lane("y", user="one")])
    assert Counter(served(queue)[0] for _ in range(40)) == {"c": 30, "o": 10}


def test_a_newcomer_has_saved_nothing_up() -> None:
    """One that comes late, or comes back, shares from then on; it does not catch up."""
    queue = filled(*((f"a{number}", lane("x", user="ann")) for number in range(40)))
    for _ in range(20):
        served(queue)
    for number in range(40):
        queue.push(f"b{number}", [lane("y", user="bob")])
    assert Counter(served(queue)[0] for _ in range(20)) == {"a": 10, "b": 10}


def test_time_given_back_counts() -> None:
    """A user that was charged too much at first is served sooner."""
    queue = filled(
        *((f"a{n}", lane("x", user="ann")) for n in range(4)), ("b", lane("y", user="b"))
    )
    first = queue.pop()
    assert first is not None
    charge(first.payer, 5.0)
    charge(first.payer, -5.0)
    assert served(queue) == "a1"


def test_blocked_users_are_passed_over() -> None:
    """Nothing is served of a user at its quota, not even what came back."""
    queue = filled(("a", lane("x", user="ann")), ("b", lane("y", 1, user="bob")))
    queue.push("c", [lane("x", user="ann")], front=True)
    found = queue.pop(lambda user: user == "ann")
    assert found is not None
    assert found.item == "b"
    assert queue.pop(lambda _: True) is None
    assert queue.urgency(lambda _: True) is None
    assert queue.urgency() == (0, -inf)
    assert drained(queue) == "ca"


def test_lower_priority_number_is_served_sooner() -> None:
    """Priorities are as in REAPI."""
    queue = filled(("n", lane("x")), ("l", lane("x", 5)), ("u", lane("y", -1)))
    assert queue.urgency() == (-1, 0.0)
    assert drained(queue) == "unl"
    assert not queue
    assert queue.pop() is None


def test_no_priority_starves() -> None:
    """One service in sixteen goes to each class in turn, however many urgent items come."""
    queue = FairQueue[str]()
    for number in range(200):
        queue.push(f"u{number}", [lane("x", -1)])
        queue.push(f"n{number}", [lane("y", 0)])
        queue.push(f"l{number}", [lane("z", 1)])
    turns = Counter(served(queue)[0] for _ in range(144))
    assert turns == {"u": 138, "n": 3, "l": 3}


def test_front_is_served_next() -> None:
    """What goes back to the front is next, before its build and before other builds."""
    queue = filled(("a", lane("x")), ("p", lane("y")))
    queue.push("r", [lane("y")], front=True)
    queue.push("s", [lane("x"), lane("y"), lane("z", 1)], front=True)
    queue.join("s", lane("q"))
    queue.leave("s", lane("y"))
    assert queue.lanes("s") == (lane("x"), lane("z", 1), lane("q"))
    assert drained(queue) == "srap"


def test_shared_item_is_served_at_its_best_place() -> None:
    """An item of two builds waits in both, is served once, and leaves both."""
    queue = filled(*((item, lane("x")) for item in "abs"))
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
    queue.remove("a")
    assert "a" not in queue
    assert queue.lanes("a") == ()
    assert sorted(queue) == ["b", "c"]
    assert repr(queue) == "<FairQueue 2 waiting, 1 users, priorities [0, 1]>"
    assert drained(queue) == "bc"


def test_accounts_do_not_pile_up() -> None:
    """Those that are not ahead of the clock and wait for nothing are forgotten."""
    group = Account()
    queue, other = FairQueue[str](group), FairQueue[str](group)
    other.push("w", [lane("x", user="waits")])
    for number in range(500):
        queue.push("i", [lane("x", user=f"u{number}")])
        served(queue)
    assert len(group.members) < 80
    assert group.members["waits"].waiting == 1
    assert repr(group).startswith("<Account served 0.0, ")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["push", "front", "join", "leave", "remove", "pop"]),
            st.sampled_from("abcdef"),
            st.builds(
                Lane,
                st.integers(0, 1),
                st.sampled_from(["ann", "bob"]),
                st.sampled_from(["x", "y"]).map(BuildId),
            ),
        ),
        max_size=60,
    )
)
def test_nothing_is_lost_or_served_twice(steps: list[tuple[str, str, Lane]]) -> None:
    """Whatever comes and goes, an item is served once for each time that it was pushed."""
    queue, waiting = FairQueue[str](), set[str]()
    for step, item, its in steps:
        match step:
            case "push" | "front" if item not in waiting:
                queue.push(item, [its, its._replace(build=BuildId("x"))], front=step == "front")
                waiting.add(item)
            case "join" if item in waiting:
                queue.join(item, its)
            case "leave" if its in queue.lanes(item) and len(queue.lanes(item)) > 1:
                queue.leave(item, its)
            case "remove" if item in waiting:
                queue.remove(item)
                waiting.discard(item)
            case "pop" if waiting:
                waiting.remove(served(queue))
        assert set(queue) == waiting
    assert sorted(drained(queue)) == sorted(waiting)
    assert queue.urgency() is None
