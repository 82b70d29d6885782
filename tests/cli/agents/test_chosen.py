"""An agent whose steps a model chooses: only calls of its kind, checked like any other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cyxmake_cli.agents.chosen import by_model
from cyxmake_cli.agents.runtime import Asker, Runtime
from cyxmake_cli.agents.tasks import AgentKind, Task, TaskState
from cyxmake_cli.llm.backend import Request
from cyxmake_cli.llm.router import Models, Policy
from cyxmake_cli.safety.answers import Answers
from cyxmake_cli.safety.audit import AuditLog
from cyxmake_cli.safety.gate import Gate, bounds_of
from support.fake_models import FakeModel


async def _done(
    tmp_path: Path, kind: AgentKind, think: Callable[[Request], str]
) -> tuple[Task, Path]:
    """Have an agent do one task as a model says, and return it with the project."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "a.c").write_text("int x = 1;\nint y = 1;\n")
    (tmp_path / "secret").write_text("secret")

    def gate(asker: Asker, yes: bool) -> Gate:
        return Gate(
            bounds_of(str(root)), asker, lambda: "now", yes=yes,
            answers=Answers(tmp_path / "answers"), audit=AuditLog(tmp_path / "audit"),
        )  # fmt: skip

    crew = Runtime(root, gate)
    models = Models([FakeModel(think)], Policy(retries=0))
    crew.spawn(kind, "chooser", yes=True, program=by_model(kind, models))
    task = crew.assign(kind, "make x two")
    assert await crew.wait([task.id], 20)
    await crew.close()
    return task, root


def step(tool: str, **given: Any) -> str:
    """Return a step as a model answers it."""
    return json.dumps({"tool": tool, "path": "", "text": "", "new": "", "words": [], **given})


async def test_a_model_chooses_typed_calls_until_it_is_done(tmp_path: Path) -> None:
    """What a tool returns is shown to it; an edit has to be certain; no path leads outside."""
    results: list[str] = []
    steps = iter((
        step("read", path="../secret"),
        step("read", path="a.c"),
        step("edit", path="a.c", text=" = 1;", new=" = 2;"),
        step("edit", path="a.c", text="x = 1;", new="x = 2;"),
        step("finish", text="x is two"),
    ))  # fmt: skip

    def think(request: Request) -> str:
        results.append(request.messages[-1].text)
        return next(steps)

    task, root = await _done(tmp_path, AgentKind.FIX, think)
    assert (task.state, task.summary) == (TaskState.DONE, "x is two")
    assert (root / "a.c").read_text() == "int x = 2;\nint y = 1;\n"
    assert results[0] == "make x two"
    assert "refused: ../secret is outside of" in results[1]
    assert "int x = 1;" in results[2]
    assert "refused: that stands 2 times in a.c" in results[3]
    assert results[4].endswith("done")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (step("edit", path="a.c", text="x = 1;", new="x = 2;"), "tool"),
        (step("run", words=["rm", "a.c"]), "tool"),
        ("rm -rf /", "no JSON"),
        (step("read", path="a.c"), "repeats itself"),
    ],
)
async def test_what_the_kind_may_not_do_is_no_step(tmp_path: Path, answer: str, why: str) -> None:
    """An explorer that is told to write, or anything that is no step, ends without a change."""
    task, root = await _done(tmp_path, AgentKind.EXPLORE, lambda request: answer)
    assert task.state is TaskState.FAILED
    assert why in task.summary
    assert (root / "a.c").read_text() == "int x = 1;\nint y = 1;\n"
