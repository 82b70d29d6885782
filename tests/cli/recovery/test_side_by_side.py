"""Fixes of independent causes: tools run at the same time, each in its own transaction."""

from __future__ import annotations

from pathlib import Path

from cyxmake_cli.building.perform import Report, Task
from cyxmake_cli.building.project import open_project
from cyxmake_cli.building.screen import Look, Screen
from cyxmake_cli.recovery.engine import Applied, Apply, Cause, Choice, NotApplied
from cyxmake_cli.recovery.fixes import RunTool
from cyxmake_cli.recovery.journal import Journal, State
from cyxmake_cli.recovery.memory import Memory
from cyxmake_cli.recovery.resolving import Resolving
from cyxmake_cli.recovery.run import Recovery
from cyxmake_cli.recovery.side_by_side import ToolRun, run_tools
from cyxmake_cli.safety.answers import Answers
from cyxmake_cli.safety.audit import AuditLog
from cyxmake_cli.safety.gate import Answer, Gate, bounds_of
from cyxmake_cli.safety.permissions import Act, Judgement
from cyxmake_cli.systems.model import Verb
from cyxmake_common.diagnosis.model import Category, Diagnosis, Facts
from cyxmake_common.execution.process import ProcessRequest

_MEET = """\
import pathlib, sys, time
own, other = map(pathlib.Path, sys.argv[1:])
own.mkdir()
for _ in range(2000):
    if other.exists():
        break
    time.sleep(0.01)
else:
    sys.exit("nobody came")
(own / "done").write_text("done")
"""
_ALONE = """\
import pathlib, sys, time
lock = pathlib.Path(sys.argv[1])
lock.mkdir()
time.sleep(0.2)
lock.rmdir()
"""


class _Yes:
    """Somebody who allows everything."""

    def ask(self, act: Act, judgement: Judgement) -> Answer | None:
        """Say yes."""
        return Answer.YES


def test_tools_with_a_place_in_common_take_turns(tmp_path: Path) -> None:
    """Three of them, each of which breaks when another is at work there."""
    request = ProcessRequest(("python3", "-c", _ALONE, str(tmp_path / "lock")), merge=True)
    runs = [ToolRun(request, frozenset(("here", f"there {number}"))) for number in range(3)]
    assert run_tools(runs) == ["", "", ""]


def test_independent_fixes_are_made_at_the_same_time(tmp_path: Path) -> None:
    """Two tools that wait for each other both end; one that fails is undone alone."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "Makefile").write_text("all:\n\t@true\n")
    project = open_project(root)
    gate = Gate(
        bounds_of(str(root)), _Yes(), lambda: "now",
        answers=Answers(tmp_path / "answers"), audit=AuditLog(tmp_path / "audit"),
    )  # fmt: skip

    def attempt(task: Task) -> Report:
        raise AssertionError("nothing is built here")

    resolving = Resolving(tmp_path / "cache", root, lambda text: None)
    recovery = Recovery(
        project, Task(Verb.BUILD), gate, Screen(Look(quiet=True)), attempt, resolving,
        Memory(tmp_path / "cache"),
    )  # fmt: skip
    fixes = [
        RunTool(("python3", "-c", _MEET, "one", "two"), ("one",)),
        RunTool(("python3", "-c", _MEET, "two", "one"), ("two",)),
        RunTool(("python3", "-c", "import os; os.mkdir('three'); raise SystemExit('no')"),
                ("three",)),
    ]  # fmt: skip
    batch = [
        Apply(Choice(fix), Cause(Diagnosis(Category.MISSING_MODULE, Facts(), 1.0, "r", str(n))))
        for n, fix in enumerate(fixes)
    ]
    events = recovery.apply_all(batch)
    resolving.close()
    assert [type(event) for event in events] == [Applied, Applied, NotApplied]
    assert isinstance(events[2], NotApplied)
    assert events[2].why.endswith(": no")
    states = [found.state for found in Journal(project.own).all()]
    assert states == [State.APPLIED, State.APPLIED, State.UNDONE]
    assert [(root / name / "done").exists() for name in ("one", "two")] == [True, True]
    assert not (root / "three").exists()
