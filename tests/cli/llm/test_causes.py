"""What becomes of a model's word on a failure: rules win, and it must hold against the log."""

from __future__ import annotations

from typing import Any

import pytest

from cyxmake_cli.llm.backend import ModelUnavailable, Request
from cyxmake_cli.llm.causes import diagnose_with_model, excerpt_of
from cyxmake_cli.llm.prompts import MEANINGS
from cyxmake_cli.llm.router import Models, Policy
from cyxmake_common.diagnosis.diagnose import diagnose
from cyxmake_common.diagnosis.model import Category, LogInput
from support.fake_models import FakeModel, answering

SILENT = LogInput("configuring\nthe frobnicator was unable to find libwidget, giving up\nbye\n", 1)
UNSURE = LogInput("configure: error: flex is required to build this\n", 1)
KNOWN = LogInput("a.c:3:10: fatal error: pcap.h: No such file or directory\n", 1)


def says(**more: Any) -> Models:
    """Return a model with one answer."""
    answer = {"category": "missing_library", "fact": "libwidget", "line": 2, "fix": "none",
              "confidence": 0.9, "summary": "libwidget is not here."}  # fmt: skip
    return Models([answering(answer | more)])


def test_every_category_has_a_meaning_for_models() -> None:
    """What a model may name is what the rules may find."""
    assert set(MEANINGS) == set(Category)


def test_where_rules_are_silent_a_model_suggests() -> None:
    """The suggestion is a diagnosis like any other, marked, with its evidence and half as sure."""
    assert diagnose(SILENT) == []
    opinion = diagnose_with_model(SILENT, [], says(fix="layer"), ("layer", "retry"))
    (cause,) = opinion.causes
    assert (cause.category, cause.facts.library) == (Category.MISSING_LIBRARY, "libwidget")
    assert cause.suggested
    assert cause.rule == "model:fake"
    assert (cause.lines, cause.confidence) == ((2,), 0.45)
    assert cause.evidence == "the frobnicator was unable to find libwidget, giving up"
    assert (opinion.fix, opinion.summary) == ("layer", "libwidget is not here.")


@pytest.mark.parametrize(
    "lie",
    [
        {"fact": "libgadget"},  # stands nowhere
        {"fact": "widget"},  # stands there only as a part of a word
        {"fact": ""},  # nothing is named
        {"fact": "-lwidget"},  # an option where a name is asked for
        {"fact": "../../libwidget"},
        {"fact": "libwidget, giving up"},
        {"category": "disk_full"},  # no line speaks of that
        {"category": "run_command"},  # no such category
        {"fix": "shell"},  # no such fix
        {"line": "2; rm -rf /"},
    ],
)
def test_what_does_not_hold_against_the_log_is_dropped(lie: dict[str, Any]) -> None:
    """Nothing is said rather than something that the log does not show."""
    opinion = diagnose_with_model(SILENT, [], says(**lie), ("layer",))
    assert opinion.causes == ()
    assert opinion.why_not


def test_a_rule_that_is_sure_is_not_questioned() -> None:
    """The model is not even asked."""
    model = answering({})
    causes = diagnose(KNOWN)
    assert diagnose_with_model(KNOWN, causes, Models([model])).causes == tuple(causes)
    assert model.asked == []


def test_agreement_makes_surer_and_contradiction_changes_nothing() -> None:
    """Category, facts, order and number of the rules' causes stay as they are."""
    causes = diagnose(UNSURE)
    assert causes[0].confidence < 0.9
    same = says(category=causes[0].category.value, fact="flex", line=1)
    surer = diagnose_with_model(UNSURE, causes, same).causes
    assert causes[0].confidence < surer[0].confidence <= 0.99
    assert [c.fingerprint for c in surer] == [c.fingerprint for c in causes]
    assert not surer[0].suggested
    other = diagnose_with_model(UNSURE, causes, says(category="code_error", fact="", line=1))
    assert other.causes == tuple(causes)


def test_a_model_that_does_not_answer_changes_nothing() -> None:
    """Whatever happens to it, the rules' result is returned, and why there is no more."""

    def away(request: Request) -> str:
        raise ModelUnavailable("it is away")

    hasty = Policy(sleep=lambda seconds: None)
    for fake in (None, FakeModel(away), FakeModel(lambda request: "no JSON")):
        models = Models([fake], hasty) if fake else None
        opinion = diagnose_with_model(SILENT, [], models)
        assert opinion.causes == ()
        assert opinion.why_not


def test_a_model_reads_four_kilobytes_without_secrets() -> None:
    """However long the log is, and whatever stands in it."""
    noise = "\n".join(f"cc -c file{n}.c" for n in range(2_000))
    text = f"{noise}\nTOKEN=ghp_{'a' * 36} /home/ann/x\nerror: could not do {'x' * 300}\n" * 3
    model = answering({})
    diagnose_with_model(LogInput(text, 1), [], Models([model]))
    said = model.asked[0].messages[-1].text
    assert len(excerpt_of(LogInput(text), [])) <= 4000
    assert len(said) <= 4500
    assert "ghp_" not in said
    assert "/home/ann" not in said
    assert "could not do" in said
