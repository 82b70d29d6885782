"""What agents are to do: tasks with priorities, needs and time limits. Decides who does which next.

Knows no clock and runs nothing. A task needs only tasks that were there before it: no circles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from cyxmake_common.errors import UsageError

DEFAULT_SECONDS: Final = 3600.0


class AgentKind(StrEnum):
    """What an agent can do."""

    BUILD = "build"
    FIX = "fix"
    EXPLORE = "explore"


class TaskState(StrEnum):
    """How far a task is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(slots=True)
class Task:
    """One task; `agent` is who is to do it or does it, empty: any of its kind."""

    id: int
    kind: AgentKind
    goal: str
    priority: int = 0
    needs: tuple[int, ...] = ()
    seconds: float = DEFAULT_SECONDS
    agent: str = ""
    state: TaskState = TaskState.WAITING
    summary: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Tell whether nothing more becomes of it."""
        return self.state not in (TaskState.WAITING, TaskState.RUNNING)

    def as_json(self) -> dict[str, Any]:
        """Return it as `cyxmake agent status --json` shows it."""
        return {
            "id": self.id, "kind": self.kind.value, "goal": self.goal, "priority": self.priority,
            "needs": list(self.needs), "seconds": self.seconds, "agent": self.agent,
            "state": self.state.value, "summary": self.summary, "facts": dict(self.facts),
        }  # fmt: skip


class TaskQueue:
    """All tasks of one project."""

    def __init__(self) -> None:
        self._tasks: dict[int, Task] = {}

    def __repr__(self) -> str:
        return f"<TaskQueue {' '.join(f'{t.id}:{t.state}' for t in self)}>"

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks.values())

    def task(self, id: int) -> Task:
        """Return a task; raises UsageError."""
        if id not in self._tasks:
            raise UsageError(f"there is no task {id}", next_step="see `cyxmake agent status`")
        return self._tasks[id]

    def add(
        self,
        kind: AgentKind,
        goal: str,
        *,
        priority: int = 0,
        needs: Iterable[int] = (),
        seconds: float = DEFAULT_SECONDS,
        agent: str = "",
    ) -> Task:
        """Take up a task; raises UsageError when it needs what is not there."""
        needed = tuple(dict.fromkeys(needs))
        wanted = [self.task(id) for id in needed]
        task = Task(len(self._tasks) + 1, kind, goal, priority, needed, seconds, agent)
        self._tasks[task.id] = task
        if broken := next((t for t in wanted if t.ended and t.state is not TaskState.DONE), None):
            self.end(task.id, TaskState.FAILED, f"task {broken.id}, which it needs, {broken.state}")
        return task

    def next_for(self, agent: str, kind: AgentKind) -> Task | None:
        """Return what an agent is to do now: the most urgent, of equals the oldest."""
        ready = [
            t
            for t in self
            if t.state is TaskState.WAITING
            and t.kind is kind
            and t.agent in ("", agent)
            and all(self._tasks[id].state is TaskState.DONE for id in t.needs)
        ]
        return min(ready, key=lambda t: (-t.priority, t.id), default=None)

    def start(self, id: int, agent: str) -> None:
        """Say that an agent does a task."""
        task = self._tasks[id]
        assert task.state is TaskState.WAITING, task
        task.state, task.agent = TaskState.RUNNING, agent

    def end(
        self, id: int, state: TaskState, summary: str, facts: Mapping[str, Any] | None = None
    ) -> list[Task]:
        """Say how a task ended; returns it and those that failed with it."""
        task = self._tasks[id]
        assert not task.ended, task
        task.state, task.summary, task.facts = state, summary, facts or {}
        ended = [task]
        if state is not TaskState.DONE:
            for other in self:
                if not other.ended and id in other.needs:
                    why = f"task {id}, which it needs, {state}"
                    ended.extend(self.end(other.id, TaskState.FAILED, why))
        return ended
