"""Agents at work: each takes the next task of its kind, does it, and answers who asked for it.

Knows no terminal and no socket. Whatever becomes of one task, the agent goes on with the next; an
agent ends when it is stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cyxmake_cli.agents.bus import Letter
from cyxmake_cli.agents.errors import NotDelivered
from cyxmake_cli.agents.programs import PROGRAMS, Program
from cyxmake_cli.agents.tasks import DEFAULT_SECONDS, AgentKind, Task, TaskQueue, TaskState
from cyxmake_cli.agents.tools import Desk, Toolbox
from cyxmake_cli.agents.workspace import Workspace
from cyxmake_cli.safety.gate import Answer, Gate
from cyxmake_cli.safety.permissions import Act, Judgement, Risk
from cyxmake_common.errors import CyxError, UsageError

USER: Final = "user"
_MOST_AGENTS: Final = 16
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_ANSWER_SECONDS: Final = 600.0

GateMaker = Callable[["Asker", bool], Gate]
"""Returns the gate of an agent: who is asked there, and whether its user has said yes to all."""


@dataclass(slots=True)
class Question:
    """Something that an agent waits to have answered."""

    agent: str
    text: str
    answer: asyncio.Future[str | None]


@dataclass(slots=True)
class Agent:
    """One agent."""

    name: str
    kind: AgentKind
    tools: Toolbox
    working: asyncio.Task[None] | None = None
    reading: asyncio.Task[None] | None = None
    task: Task | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class Asker:
    """Asks the user on behalf of an agent's gate, from the thread that the gate waits in."""

    def __init__(self, runtime: Runtime, agent: str) -> None:
        self._runtime = runtime
        self._agent = agent
        self._loop = asyncio.get_running_loop()

    def ask(self, act: Act, judgement: Judgement) -> Answer | None:
        """Return the answer; None: nobody gave one in time."""
        always = "" if judgement.risk is not Risk.ASK else "/always"
        detail = "; ".join(act.detail[:5])
        text = f"{act.summary}? {f'({detail}) ' if detail else ''}[yes/no{always}]"
        coming = asyncio.run_coroutine_threadsafe(self._runtime.ask(self._agent, text), self._loop)
        try:
            said = coming.result()
        except (CancelledError, RuntimeError):
            return None
        if said is None:
            return None
        word = said.strip().lower()
        for answer, name in ((Answer.YES, "yes"), (Answer.ALWAYS, "always")):
            if word and name.startswith(word):
                return answer
        return Answer.NO


class Runtime:
    """The agents of one project."""

    def __init__(self, root: Path, make_gate: GateMaker) -> None:
        self.desk = Desk(Workspace(root))
        self.queue = TaskQueue()
        self.agents: dict[str, Agent] = {}
        self.questions: dict[str, Question] = {}
        self.changed = asyncio.Condition()
        self._make_gate = make_gate
        self._letters: dict[int, Letter] = {}
        self._numbers = itertools.count(1)
        self._notices: set[asyncio.Task[None]] = set()
        self.desk.bus.join(USER)

    def __repr__(self) -> str:
        return f"<Runtime {sorted(self.agents)} {self.queue!r}>"

    @property
    def idle(self) -> bool:
        """Tell whether nobody works and nothing waits."""
        return all(task.ended for task in self.queue)

    def spawn(
        self, kind: AgentKind, name: str = "", *, yes: bool = False, program: Program | None = None
    ) -> Agent:
        """Start an agent; raises UsageError."""
        if len(self.agents) >= _MOST_AGENTS:
            raise UsageError(f"there are {_MOST_AGENTS} agents", next_step="stop one first")
        name = name or next(n for i in self._numbers if (n := f"{kind}-{i}") not in self.agents)
        if not _NAME.fullmatch(name) or name == USER:
            raise UsageError(
                f"{name!r} cannot be the name of an agent",
                next_step="small letters, digits and hyphens, a letter first, at most 32",
            )
        self.desk.bus.join(name)
        gate = self._make_gate(Asker(self, name), yes)

        async def ask(question: str) -> str | None:
            return await self.ask(name, question)

        agent = Agent(name, kind, Toolbox(name, self.desk, gate, ask, yes=yes))
        agent.working = asyncio.create_task(self._work(agent, program or PROGRAMS[kind]))
        agent.reading = asyncio.create_task(self._read(agent))
        self.agents[name] = agent
        return agent

    def assign(
        self,
        kind: AgentKind,
        goal: str,
        *,
        priority: int = 0,
        needs: Iterable[int] = (),
        seconds: float = DEFAULT_SECONDS,
        agent: str = "",
    ) -> Task:
        """Give a task to an agent, or to any of a kind; raises UsageError where there is none."""
        if not any(a.kind is kind and agent in ("", a.name) for a in self.agents.values()):
            raise UsageError(
                f"there is no {kind} agent{f' called {agent}' if agent else ''}",
                next_step=f"start one: `cyxmake agent spawn {kind}`",
            )
        task = self.queue.add(
            kind, goal, priority=priority, needs=needs, seconds=seconds, agent=agent
        )
        self._tell()
        return task

    async def ask(self, agent: str, text: str) -> str | None:
        """Ask the user, and wait for the answer; None: nobody gives one."""
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        question = Question(agent, text, answer)
        while agent in self.questions:  # one at a time
            async with self.changed:
                await self.changed.wait()
        self.questions[agent] = question
        self._tell()
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await answer
        except TimeoutError:
            return None
        finally:
            del self.questions[agent]
            self._tell()

    def send(self, to: str, text: str) -> Letter | None:
        """Answer the question that an agent has, else send it a letter: a task of its own.

        Returns the letter. Raises NotDelivered.
        """
        question = self.questions.get(to)
        if question is not None and not question.answer.done():
            question.answer.set_result(text)
            return None
        return self.desk.bus.send(USER, to, text)

    async def stop(self, name: str) -> None:
        """End an agent, with what it does now; raises NotDelivered."""
        if name not in self.agents:
            raise NotDelivered(f"no agent is called {name}", next_step="see `cyxmake agent list`")
        agent = self.agents.pop(name)
        self.desk.bus.leave(name)
        if question := self.questions.get(name):
            question.answer.cancel()
        going = [task for task in (agent.working, agent.reading) if task is not None]
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)
        others = {a.kind for a in self.agents.values()}
        for waiting in list(self.queue):
            orphan = waiting.agent == name or (not waiting.agent and waiting.kind not in others)
            if waiting.state is TaskState.WAITING and waiting.kind is agent.kind and orphan:
                self._end(waiting, TaskState.FAILED, f"{name} was stopped")
        self._tell()

    async def close(self) -> None:
        """End all agents."""
        for name in list(self.agents):
            await self.stop(name)

    async def wait(self, ids: Iterable[int], seconds: float) -> bool:
        """Wait until tasks have ended, or somebody has a question; False: neither in time."""
        tasks = [self.queue.task(id) for id in ids]
        try:
            async with asyncio.timeout(seconds), self.changed:
                await self.changed.wait_for(
                    lambda: bool(self.questions) or all(task.ended for task in tasks)
                )
        except TimeoutError:
            return False
        return True

    # --- at work ----------------------------------------------------------------------------

    async def _work(self, agent: Agent, program: Program) -> None:
        while True:
            task = self.queue.next_for(agent.name, agent.kind)
            if task is None:
                agent.wake.clear()
                await agent.wake.wait()
                continue
            self.queue.start(task.id, agent.name)
            agent.task = task
            self._tell()
            try:
                await self._do(task, program, agent.tools)
            finally:
                agent.task = None

    async def _do(self, task: Task, program: Program, tools: Toolbox) -> None:
        state, facts = TaskState.FAILED, {}
        try:
            async with asyncio.timeout(task.seconds):
                result = await program(task.goal, tools)
            state = TaskState.DONE if result.good else TaskState.FAILED
            summary, facts = result.summary, result.facts
        except TimeoutError:
            summary = f"took longer than {task.seconds:g} s"
        except asyncio.CancelledError:
            self._end(task, TaskState.STOPPED, "its agent was stopped")
            raise
        except CyxError as error:
            summary = str(error)
        except Exception as error:  # a bug in one program is no reason to end the others
            summary = f"a bug in the {task.kind} agent: {type(error).__name__}: {error}"
        self._end(task, state, summary, facts)

    async def _read(self, agent: Agent) -> None:
        """Make a task of each letter: its answer is what came of it."""
        while True:
            letter = await self.desk.bus.receive(agent.name)
            if letter.topic or letter.answers:
                continue
            task = self.queue.add(agent.kind, letter.text, agent=agent.name)
            self._letters[task.id] = letter
            self._tell()

    def _end(
        self, task: Task, state: TaskState, summary: str, facts: dict[str, Any] | None = None
    ) -> None:
        for ended in self.queue.end(task.id, state, summary, facts):
            letter = self._letters.pop(ended.id, None)
            if letter is not None:
                self.desk.bus.answer(ended.agent, letter, ended.summary, state=ended.state.value)
        self._tell()

    def _tell(self) -> None:
        """Wake whoever waits for a change."""
        for agent in self.agents.values():
            agent.wake.set()
        notice = asyncio.create_task(self._notify())
        self._notices.add(notice)
        notice.add_done_callback(self._notices.discard)

    async def _notify(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            async with self.changed:
                self.changed.notify_all()
