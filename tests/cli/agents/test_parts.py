"""Workspace, locks, shared state, letters and tasks of agents, each by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cyxmake_cli.agents.bus import Bus
from cyxmake_cli.agents.errors import Conflict, NotDelivered
from cyxmake_cli.agents.locks import Locks
from cyxmake_cli.agents.memory import Memory
from cyxmake_cli.agents.tasks import AgentKind, TaskQueue, TaskState
from cyxmake_cli.agents.workspace import Workspace
from cyxmake_common.errors import Denied, ProjectError, UsageError

BUILD, FIX = AgentKind.BUILD, AgentKind.FIX


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    """Return a workspace with a secret beside it, and links that lead there."""
    (tmp_path / "secret").write_text("secret")
    root = tmp_path / "root"
    (root / "src").mkdir(parents=True)
    (root / "src/main.c").write_text("int main;\n")
    (root / "file-link").symlink_to(tmp_path / "secret")
    (root / "folder-link").symlink_to(tmp_path)
    (root / "inner-link").symlink_to(root / "src")
    return Workspace(root)


@pytest.mark.parametrize(
    "path",
    ["../secret", "/etc/passwd", "src/../../secret", "file-link", "folder-link/secret", ".", "a\0b",
     "inner-link/main.c", "../root-beside/x"],
)  # fmt: skip
def test_no_path_leads_out_of_the_workspace(space: Workspace, path: str) -> None:
    """By dots, absolute, or through a link, whether it is read or written."""
    (space.root.parent / "root-beside").mkdir()
    with pytest.raises(Denied):
        space.read(path)
    with pytest.raises(Denied):
        space.write(path, b"x")
    assert (space.root.parent / "secret").read_text() == "secret"


def test_files_are_read_and_written(space: Workspace) -> None:
    """With their folders and their mode; what is no file is said to be none."""
    (space.root / "src/main.c").chmod(0o750)
    space.write("src/main.c", b"new\n")
    space.write("a/b/c.txt", b"deep\n")
    assert space.read(str(space.root / "src/main.c")) == b"new\n"
    assert (space.root / "src/main.c").stat().st_mode & 0o777 == 0o750
    assert (space.root / "a/b/c.txt").read_bytes() == b"deep\n"
    with pytest.raises(ProjectError, match="No such file"):
        space.read("missing")
    with pytest.raises(ProjectError):
        space.read("src")


async def test_claims_wait_for_each_other_and_name_who_is_in_the_way() -> None:
    """All places at once; after a while it is a conflict, and nothing stays held."""
    locks, order = Locks(), []

    async def second() -> None:
        async with locks.claim("b", ("y", "x"), 5):
            order.append("b")

    async with locks.claim("a", ("x",), 1):
        with pytest.raises(Conflict, match="a works on x"):
            async with locks.claim("c", ("x", "z"), 0):
                pass
        with pytest.raises(Conflict, match="holds places already"):
            async with locks.claim("a", ("q",), 1):
                pass
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0)
        order.append("a")
    await waiting
    assert order == ["a", "b"]
    assert [locks.holder(place) for place in "xyz"] == [None, None, None]


def test_shared_state_says_who_was_quicker() -> None:
    """A write that expects an older version is a conflict; without one it counts."""
    memory = Memory()
    assert memory.put("k", 1, "a", expected=0).version == 1
    with pytest.raises(Conflict, match="version 1 by a, not 0"):
        memory.put("k", 2, "b", expected=0)
    assert memory.put("k", 3, "b").version == 2
    found = memory.get("k")
    assert found is not None
    assert (found.value, found.by) == (3, "b")


async def test_letters_reach_whom_they_are_for() -> None:
    """Sent, asked for an answer, to all others, to subscribers; a wrong name is told."""
    bus = Bus()
    for name in ("a", "b", "c"):
        bus.join(name)
    bus.send("a", "b", "hello")
    assert (await bus.receive("b")).text == "hello"
    bus.subscribe("c", "news")
    assert bus.publish("a", "news", "it rains") == 1
    assert (await bus.receive("c")).topic == "news"
    assert bus.broadcast("a", "all") == 2
    assert (await bus.receive("b")).text == (await bus.receive("c")).text == "all"

    async def answering() -> None:
        letter = await bus.receive("b")
        assert bus.answer("b", letter, f"{letter.text}: 42")
        assert not bus.answer("b", letter, "twice")

    helper = asyncio.create_task(answering())
    assert (await bus.request("a", "b", "how much")).text == "how much: 42"
    await helper
    with pytest.raises(NotDelivered, match="nobody is called x"):
        bus.send("a", "x", "hello")
    asked = asyncio.create_task(bus.request("a", "b", "still there"))
    await bus.receive("b")
    bus.leave("b")
    with pytest.raises(NotDelivered, match="b is gone"):
        await asked


def test_tasks_are_done_by_urgency_and_after_what_they_need() -> None:
    """Of equals the oldest; whoever is named does it; a failure is passed on."""
    queue = TaskQueue()
    first = queue.add(BUILD, "first")
    urgent = queue.add(BUILD, "urgent", priority=5)
    after = queue.add(BUILD, "after", priority=9, needs=(first.id, first.id))
    named = queue.add(BUILD, "named", priority=7, agent="b2")
    last = queue.add(FIX, "last", needs=(after.id,))
    assert queue.next_for("b1", FIX) is None
    assert queue.next_for("b2", BUILD) is named
    assert queue.next_for("b1", BUILD) is urgent
    queue.start(urgent.id, "b1")
    assert queue.next_for("b1", BUILD) is first
    queue.start(first.id, "b1")
    assert queue.next_for("b1", BUILD) is None
    queue.end(first.id, TaskState.DONE, "well")
    assert queue.next_for("b1", BUILD) is after
    queue.start(after.id, "b1")
    assert queue.end(after.id, TaskState.STOPPED, "stopped") == [after, last]
    assert last.summary == "task 3, which it needs, stopped"
    assert queue.add(FIX, "too late", needs=(after.id,)).state is TaskState.FAILED
    with pytest.raises(UsageError, match="there is no task 99"):
        queue.add(FIX, "nothing", needs=(99,))
