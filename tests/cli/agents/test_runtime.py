"""Agents at work on real files: conflicts, questions, time limits, ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cyxmake_cli.agents.errors import NotDelivered
from cyxmake_cli.agents.programs import Program, Result
from cyxmake_cli.agents.runtime import USER, Agent, Asker, Runtime
from cyxmake_cli.agents.tasks import AgentKind, Task, TaskState
from cyxmake_cli.agents.tools import Toolbox
from cyxmake_cli.safety.answers import Answers
from cyxmake_cli.safety.audit import AuditLog
from cyxmake_cli.safety.gate import Gate, bounds_of
from cyxmake_common.errors import UsageError

BUILD, EXPLORE = AgentKind.BUILD, AgentKind.EXPLORE


@pytest.fixture
async def crew(tmp_path: Path) -> AsyncIterator[Runtime]:
    """Return the agents of a small project."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "notes.txt").write_text("one\nneedle\n")

    def gate(asker: Asker, yes: bool) -> Gate:
        return Gate(
            bounds_of(str(root)), asker, lambda: "now", yes=yes,
            answers=Answers(tmp_path / "answers"), audit=AuditLog(tmp_path / "audit.jsonl"),
        )  # fmt: skip

    runtime = Runtime(root, gate)
    yield runtime
    await runtime.close()


def agent(crew: Runtime, name: str, program: Program, *, yes: bool = True) -> Agent:
    """Start an agent with a program of the test's own."""
    return crew.spawn(BUILD, name, yes=yes, program=program)


async def ended(crew: Runtime, *tasks: Task) -> list[tuple[TaskState, str]]:
    """Wait for tasks, and return how they ended."""
    async with asyncio.timeout(20), crew.changed:
        await crew.changed.wait_for(lambda: all(task.ended for task in tasks))
    return [(task.state, task.summary) for task in tasks]


async def asked(crew: Runtime) -> str:
    """Wait for a question."""
    async with asyncio.timeout(20), crew.changed:
        await crew.changed.wait_for(lambda: bool(crew.questions))
    return next(iter(crew.questions.values())).text


async def test_two_agents_and_one_file_are_a_conflict(crew: Runtime) -> None:
    """Whoever read it before the other wrote it is told by whom it was changed, and writes not."""
    both_read, written = asyncio.Barrier(2), asyncio.Event()

    async def quick(goal: str, tools: Toolbox) -> Result:
        await tools.read("notes.txt")
        await both_read.wait()
        await tools.write("notes.txt", "quick\n")
        written.set()
        return Result(True, "written")

    async def slow(goal: str, tools: Toolbox) -> Result:
        await tools.read("notes.txt")
        await both_read.wait()
        await written.wait()
        await tools.write("notes.txt", "slow\n")
        return Result(True, "written")

    agent(crew, "quick", quick)
    agent(crew, "slow", slow)
    tasks = [crew.assign(BUILD, "write", agent=name) for name in ("quick", "slow")]
    assert await ended(crew, *tasks) == [
        (TaskState.DONE, "written"),
        (TaskState.FAILED, "notes.txt was changed by quick since slow read it"),
    ]
    assert (crew.desk.workspace.root / "notes.txt").read_text() == "quick\n"


async def test_a_person_is_asked_and_the_answer_counts(crew: Runtime) -> None:
    """No means no, yes means yes; what is never done is not even asked about."""

    async def write(goal: str, tools: Toolbox) -> Result:
        await tools.write(goal, "text\n")
        return Result(True, "written")

    agent(crew, "scribe", write, yes=False)
    root = crew.desk.workspace.root
    refused = crew.assign(BUILD, "a.txt")
    assert "write a.txt (5 characters, agent scribe)? (text)" in await asked(crew)
    assert crew.send("scribe", "no") is None
    assert await ended(crew, refused) == [
        (TaskState.FAILED, "write a.txt (5 characters, agent scribe): not allowed")
    ]
    allowed = crew.assign(BUILD, "b.txt")
    await asked(crew)
    crew.send("scribe", "yes")
    blocked = crew.assign(BUILD, ".git/config")
    outside = crew.assign(BUILD, "../c.txt")
    found = await ended(crew, allowed, blocked, outside)
    assert [state for state, _ in found] == [TaskState.DONE, TaskState.FAILED, TaskState.FAILED]
    assert "belongs to version control" in found[1][1]
    assert "is outside of" in found[2][1]
    assert sorted(p.name for p in root.iterdir()) == ["b.txt", "notes.txt"]


async def test_one_task_that_goes_wrong_is_the_end_of_nothing_else(crew: Runtime) -> None:
    """Too long, a bug, a program that is not there: the agent goes on with the next task."""

    async def work(goal: str, tools: Toolbox) -> Result:
        match goal:
            case "hang":
                await asyncio.Event().wait()
            case "bug":
                raise ZeroDivisionError("oops")
            case "missing":
                await tools.run(["no-such-program"])
            case "sleep":
                found = await tools.run(["sleep", "60"], 0.1)
                assert found.timed_out
        return Result(True, "well")

    agent(crew, "worker", work)
    tasks = [crew.assign(BUILD, goal, seconds=0.2) for goal in ("hang",)]
    tasks += [crew.assign(BUILD, goal) for goal in ("bug", "missing", "sleep", "good")]
    assert await ended(crew, *tasks) == [
        (TaskState.FAILED, "took longer than 0.2 s"),
        (TaskState.FAILED, "a bug in the build agent: ZeroDivisionError: oops"),
        (TaskState.FAILED, "no-such-program cannot be run: No such file or directory"),
        (TaskState.DONE, "well"),
        (TaskState.DONE, "well"),
    ]


async def test_stopping_an_agent_ends_what_it_does(crew: Runtime) -> None:
    """The program that it runs, its question, and what waits for it alone."""

    async def work(goal: str, tools: Toolbox) -> Result:
        if goal == "ask":
            return Result(await tools.ask("really?") == "yes", "asked")
        await tools.run(["sh", "-ec", "echo $$ > pid; exec sleep 60"])
        return Result(True, "slept")

    agent(crew, "sleeper", work, yes=True)
    with pytest.raises(UsageError, match="there is no explore agent"):
        crew.assign(EXPLORE, "anything")
    asking = crew.assign(BUILD, "ask")
    assert await asked(crew) == "really?"
    crew.send("sleeper", "yes")
    assert await ended(crew, asking) == [(TaskState.DONE, "asked")]
    sleeping, waiting = crew.assign(BUILD, "sleep"), crew.assign(BUILD, "more")
    assert "run sh" in await asked(crew)  # a shell is dangerous: --yes is not enough
    crew.send("sleeper", "yes")
    place = crew.desk.workspace.root / "pid"
    while not (place.exists() and place.read_text().strip()):
        await asyncio.sleep(0.01)
    pid = int(place.read_text())
    await crew.stop("sleeper")
    assert (sleeping.state, waiting.state) == (TaskState.STOPPED, TaskState.FAILED)
    assert not Path(f"/proc/{pid}").exists()


async def test_exploring_finds_words_and_a_letter_is_answered(crew: Runtime) -> None:
    """A letter becomes a task, and what came of it is the answer."""
    crew.spawn(EXPLORE, "scout")
    async with asyncio.timeout(20):
        letter = await crew.desk.bus.request(USER, "scout", "where is the needle")
    assert letter.text == "project: 1 files, no system; needle: notes.txt (1)"
    assert letter.facts == {"state": "done"}
    known = crew.desk.memory.get("explored where is the needle")
    assert known is not None
    assert known.value["words"]["needle"] == [{"file": "notes.txt", "lines": [2]}]


async def test_an_agent_of_the_same_name_is_refused(crew: Runtime) -> None:
    """So is the user's own name, and one that could be mistaken for an option."""
    crew.spawn(EXPLORE, "scout")
    for name in ("scout", USER, "-x", "A"):
        with pytest.raises((NotDelivered, UsageError), match=r"called|cannot be"):
            crew.spawn(EXPLORE, name)
    assert list(crew.agents) == ["scout"]
