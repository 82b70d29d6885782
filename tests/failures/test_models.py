"""A language model beside the rules, on other people's failures: never worse than rules alone."""

from __future__ import annotations

from cyxmake_common.diagnosis.diagnose import diagnose
from cyxmake_common.diagnosis.model import LogInput
from failures.score_models import Counts, count, fits
from support.diagnosis_score import SETS, strangers


def test_the_worst_model_changes_nothing_that_is_acted_upon() -> None:
    """It knows the truth, and says what misleads most of all that passes the checks."""
    told, alone = Counts(), Counts()
    for name in SETS:
        for case in strangers(name) if name != "nothing told" else ():
            count(told, case, None, worst=True)
            rules = diagnose(LogInput(case.log, case.exit_status))
            alone.right += bool(rules) and fits(case, rules[0])
            alone.wrong += bool(rules) and not fits(case, rules[0])
            alone.silent += not rules
    assert told.cases >= 200
    assert (told.right, told.silent, told.wrong) == (alone.right, alone.silent, alone.wrong)
    assert told.surer_right > 20  # it was asked, and could agree
    assert told.suggested_wrong  # and could mislead a reader
