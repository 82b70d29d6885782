"""A language model in recovery: it may suggest, a person decides, the build says if it helped."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cyxmake_cli.building.perform import Task
from cyxmake_cli.building.project import open_project
from cyxmake_cli.building.screen import Look, Screen
from cyxmake_cli.commands.local_build import Prepared
from cyxmake_cli.commands.second_opinion import ModelOpinion
from cyxmake_cli.llm.router import Models
from cyxmake_cli.main import cyxmake
from cyxmake_cli.recovery.engine import End
from cyxmake_cli.recovery.memory import Memory
from cyxmake_cli.recovery.run import Outcome, Recovery
from cyxmake_cli.safety.audit import AuditLog
from cyxmake_cli.safety.gate import Answer, Gate, bounds_of
from cyxmake_cli.safety.permissions import Act, Judgement, Risk
from cyxmake_cli.settings import AiSettings
from cyxmake_cli.systems.model import Verb
from cyxmake_common.diagnosis.model import LogInput
from support.fake_models import FakeModel, answering, rebellious
from support.model_server import model_server
from support.model_wires import WIRES, Said
from support.processes import environment, python

SAYS = "frob: unable to open output gen/out.txt, giving up"
MAKEFILE = f"""all:
\t@if [ -d gen ]; then echo ok > gen/out.txt; else echo "{SAYS}"; exit 3; fi
"""
ANSWER: dict[str, Any] = {
    "category": "missing_input", "fact": "gen/out.txt", "line": 1, "fix": "make-directory",
    "confidence": 0.9, "summary": "The directory gen is not there.",
}  # fmt: skip


class Person:
    """Answers everything alike, and remembers what was asked."""

    def __init__(self, answer: Answer | None) -> None:
        self._answer = answer
        self.asked: list[tuple[Act, Judgement]] = []

    def ask(self, act: Act, judgement: Judgement) -> Answer | None:
        """Return the answer."""
        self.asked.append((act, judgement))
        return self._answer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a project whose failure no rule knows."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Makefile").write_text(MAKEFILE)
    return folder


def recover(folder: Path, person: Person, model: FakeModel) -> Outcome:
    """Build until it works, with a model's say, and `--yes`."""
    screen = Screen(Look(quiet=True))
    audit = AuditLog(folder.parent / "audit.jsonl")
    gate = Gate(bounds_of(str(folder)), person, lambda: "now", yes=True, audit=audit)
    task = Task(Verb.BUILD)
    project = open_project(folder)
    prepared = Prepared(project, task, gate, screen, None, AiSettings())
    asked = ModelOpinion(Models([model]), screen)
    memory = Memory(folder.parent)
    return Recovery(
        project, task, gate, screen, prepared.attempt, lambda name: [], memory, asked
    ).run()


def test_a_suggestion_is_done_when_a_person_says_so(folder: Path) -> None:
    """It is asked about as dangerous although --yes was given; that it helped keeps it."""
    person = Person(Answer.YES)
    outcome = recover(folder, person, answering(ANSWER))
    assert outcome.end is End.BUILT
    assert (folder / "gen/out.txt").read_text() == "ok\n"
    ((act, judgement),) = person.asked
    assert judgement.risk is Risk.DANGEROUS
    assert "only a language model" in judgement.reason
    assert "gen" in act.summary


@pytest.mark.parametrize("answer", [None, Answer.NO])
def test_nothing_is_done_unasked(folder: Path, answer: Answer | None) -> None:
    """Nobody there, or a no: the build stays failed, and nothing was changed."""
    model = answering(ANSWER)
    outcome = recover(folder, Person(answer), model)
    assert len(model.asked) == 1
    assert (outcome.end, outcome.fixes) == (End.NOTHING_KNOWN, [])
    assert not (folder / "gen").exists()


def test_what_does_not_help_is_taken_back_however_the_model_turns(folder: Path) -> None:
    """That it says something else after a fix does not make the fix good."""
    (folder / "Makefile").write_text(f'all:\n\t@echo "{SAYS}"; ls; exit 3\n')
    answers = [ANSWER, {**ANSWER, "category": "permission_denied", "fact": ""}]
    model = FakeModel(lambda request: json.dumps(answers.pop(0) if len(answers) > 1 else ANSWER))
    outcome = recover(folder, Person(Answer.YES), model)
    assert outcome.end is not End.BUILT
    assert [t.state.value for t in outcome.fixes] == ["undone"]
    assert not (folder / "gen").exists()


def test_a_model_that_wants_to_run_commands_changes_nothing(folder: Path) -> None:
    """What is not in the typed sets is no answer, whoever would say yes."""
    person = Person(Answer.YES)
    outcome = recover(folder, person, FakeModel(rebellious))
    assert outcome.end is End.NOTHING_KNOWN
    assert person.asked == []


def test_the_command_line_from_build_to_explanation(folder: Path) -> None:
    """`auto` shows what a server's model suggests and leaves it; --no-ai asks nobody."""
    wire = next(wire for wire in WIRES if wire.name == "ollama")
    own = folder.parent / "own"
    with model_server(wire) as server:
        server.think = lambda body: Said(
            json.dumps(ANSWER) if "response_format" in body
            else "Line 1 says it.\nRun `sudo mkdir -p gen` now."
        )  # fmt: skip
        env = environment(
            CYXMAKE_CONFIG_DIR=str(own), CYXMAKE_CACHE_DIR=str(own), CYXMAKE_DATA_DIR=str(own),
            CYXMAKE_STATE_DIR=str(own), CYXMAKE_AI_PROVIDERS="ollama", **server.environ(),
        )  # fmt: skip

        def run(*words: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                python("cyxmake_cli.main", *words), env=env, cwd=folder, capture_output=True,
                text=True, stdin=subprocess.DEVNULL, check=False, timeout=60,
            )  # fmt: skip

        assert run("auto", "--yes", "--no-ai").returncode == 1
        assert server.asked == []
        done = run("auto", "--yes")
        assert done.returncode == 1
        assert "a language model suggests: the file gen/out.txt is missing" in done.stdout
        assert not (folder / "gen").exists()
        said = run("ai", "explain")
        assert said.returncode == 0, said.stderr
        assert "qwen2.5-coder:1.5b suggests" in said.stdout
        assert SAYS in said.stdout
        assert "Line 1 says it." in said.stdout
        assert "sudo" not in said.stdout
        assert len(server.asked) == 3


def test_no_ai_before_the_command_holds_for_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that have no such option, and whatever they start, ask no model either."""
    monkeypatch.setenv("CYXMAKE_AI_ENABLED", "true")
    done = CliRunner().invoke(cyxmake, ["--no-ai", "config", "get", "ai.enabled"])
    assert done.output == "false\n"


def test_the_same_failure_is_asked_about_once() -> None:
    """Another attempt that fails alike costs nothing; one that fails otherwise is asked about."""
    model = answering(ANSWER)
    opinion = ModelOpinion(Models([model]), Screen(Look(quiet=True)))
    for text in (SAYS, SAYS, f"{SAYS}\nand more"):
        causes, fix = opinion(LogInput(text, 3), [])
        assert (len(causes), fix) == (1, "make-directory")
    assert len(model.asked) == 2
