"""Every rule is proven by its own examples."""

from __future__ import annotations

import pytest

from cyxmake_common.diagnosis.diagnose import diagnose
from cyxmake_common.diagnosis.model import LogInput
from cyxmake_common.diagnosis.rules import Examples, Rule, rules_with_examples

_ALL = rules_with_examples()
_WITH_PATTERN = [pair for pair in _ALL if pair[0].pattern is not None]


@pytest.mark.parametrize(("rule", "examples"), _WITH_PATTERN, ids=lambda v: getattr(v, "id", ""))
def test_a_rule_wins_on_its_positives_and_never_matches_its_negatives(
    rule: Rule, examples: Examples
) -> None:
    """Each positive's first cause is this rule's, with the promised facts; no negative is."""
    assert examples.positive, "a rule without a positive example"
    assert examples.negative, "a rule without a negative example"
    for number, text in enumerate(examples.positive):
        found = diagnose(LogInput(text))
        assert [d.rule for d in found][:1] == [rule.id], text
        assert all(d.category is rule.category for d in found), text
        if number == 0:
            known = found[0].facts.known()
            assert {k: known.get(k) for k in examples.expected} == examples.expected
        assert any(hint in text for hint in rule.hints), f"no hint of {rule.hints} in {text!r}"
    for text in examples.negative:
        assert rule.id not in {d.rule for d in diagnose(LogInput(text), [rule])}, text


@pytest.mark.parametrize(
    ("rule", "examples"),
    [pair for pair in _ALL if pair[0].pattern is None],
    ids=lambda v: getattr(v, "id", ""),
)
def test_a_rule_of_the_exit_status_speaks_of_that_status_alone(
    rule: Rule, examples: Examples
) -> None:
    """Silent output with such a status is this rule's; success and 1 are nobody's."""
    for status in rule.exit_statuses:
        assert [d.rule for d in diagnose(LogInput("", status))] == [rule.id]
    assert diagnose(LogInput("", 1)) == []


def test_there_are_rules_for_many_tools() -> None:
    """The table is wide: strangers' failures are many and each of them is rare."""
    assert len(_ALL) >= 300
