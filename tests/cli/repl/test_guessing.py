"""What a model makes of a line: closed lists, and nothing that the line does not say."""

from __future__ import annotations

from typing import Any

import pytest

from cyxmake_cli.commands.guessing import Guess, guess, meaning_of
from cyxmake_cli.llm.router import Models
from cyxmake_cli.repl.intents.model import Known, Look, Plan
from support.fake_models import FakeModel, answering

KNOWN = Known(frozenset(("build", "dbuild", "test", "clean", "workers")))
NOTHING: dict[str, Any] = {
    "do": "none", "show": "none", "type": "", "place": "", "jobs": 0, "target": "",
    "clean_first": False,
}  # fmt: skip


def said(line: str, **answer: Any) -> Plan | Look | None:
    """Return what an answer to a line stands for."""
    return meaning_of(Guess(**(NOTHING | answer)), line, KNOWN)


def argv(meaning: Plan | Look | None) -> tuple[str, ...]:
    """Return the one command of a meaning."""
    if isinstance(meaning, Plan):
        return meaning.steps[0].argv
    return meaning.commands[0] if meaning else ()


def test_an_answer_becomes_a_command_of_the_rules() -> None:
    """What a model may say is what the rules could have said."""
    line = "crank out parser, pronto, four at once"
    meaning = said(line, do="build", target="parser", jobs=4, type="release")
    assert argv(meaning) == ("build", "--type", "release", "--jobs", "4", "parser")
    assert argv(said("crank it out over there", do="build", place="cluster")) == ("dbuild",)
    assert argv(said("who toils", show="the workers")) == ("workers",)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("crank it out", {"do": "build", "target": "--option"}),
        ("crank it out", {"do": "build", "target": "/etc/passwd"}),
        ("crank it out", {"do": "build", "jobs": 9000}),
        ("could one crank it out?", {"do": "build"}),
        ("how about cranking it out?", {"do": "clean"}),
        ("analyse it", {"do": "init"}),  # there is no such command here
        ("show it", {"show": "the settings; rm -rf /"}),
        ("sing", {}),
    ],
)
def test_what_does_not_fit_the_line_is_nothing(line: str, answer: dict[str, Any]) -> None:
    """No name or number that the person did not say, no act for a question, no other command."""
    assert said(line, **answer) is None


def test_a_model_that_obeys_the_line_can_name_nothing_else() -> None:
    """Whatever an answer holds beside the form, it is refused whole."""
    evil = Models([answering(NOTHING | {"do": "rm -rf /"}), answering({"argv": ["sh", "-c", "x"]}),
                   FakeModel(lambda request: "cyxmake clean --yes")])  # fmt: skip
    assert guess("wreak havoc", KNOWN, evil) is None
    good = Models([answering(NOTHING | {"do": "test"})])
    assert argv(guess("let her rip through the checks", KNOWN, good)) == ("test",)
