"""The gate: who is asked, what is remembered, what is written down."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from cyxmake_cli.safety.answers import Answers
from cyxmake_cli.safety.audit import AuditLog, export, redacted
from cyxmake_cli.safety.gate import Answer, Gate
from cyxmake_cli.safety.permissions import Act, ActKind, Bounds, Judgement
from cyxmake_common.errors import ConfigError, Denied

_CLEAN = Act(ActKind.CLEAN, "clean", removes=("/p/a",), detail=("a",))
_BUILD = Act(ActKind.BUILD, "build", argv=("make", "TOKEN=abc"))
_RISKY = Act(ActKind.WRITE, "write elsewhere", writes=("/q/x",))


class _Person:
    """Gives prepared answers, and None when there are no more."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def ask(self, act: Act, judgement: Judgement) -> Answer | None:
        self.asked.append(act.summary)
        return self.answers.pop(0) if self.answers else None


class _House:
    """A gate, what it shows, and its files."""

    def __init__(self, folder: Path, *answers: Answer) -> None:
        self.person = _Person(*answers)
        self.shown: list[str] = []
        self.answers = Answers(folder / "permissions.json")
        self.audit = AuditLog(folder / "audit.jsonl")

    def gate(self, *, yes: bool = False, dry_run: bool = False) -> Gate:
        return Gate(
            Bounds(("/p",), "/home/x"), self.person, lambda: "now", yes=yes, dry_run=dry_run,
            show=self.shown.append, answers=self.answers, audit=self.audit,
        )  # fmt: skip

    def decisions(self) -> list[tuple[str, str]]:
        return [(e.decision, e.by) for e in self.audit.entries()]


def test_what_is_safe_asks_nobody(tmp_path: Path) -> None:
    """A build goes ahead, is written down, and its secrets are not."""
    house = _House(tmp_path)
    assert house.gate().permit(_BUILD)
    assert house.person.asked == []
    assert house.decisions() == [("allowed", "rule")]
    assert "abc" not in house.audit.path.read_text()
    assert house.audit.path.stat().st_mode & 0o077 == 0


def test_always_is_remembered_for_the_project_and_can_be_taken_back(tmp_path: Path) -> None:
    """One "always" answers later questions of its kind in the project, until forgotten."""
    house = _House(tmp_path, Answer.VIEW, Answer.ALWAYS)
    assert house.gate().permit(_CLEAN)
    assert house.shown == ["  a"]
    assert house.gate().permit(_CLEAN)
    assert house.person.asked == ["clean", "clean"]
    assert house.answers.of("/p") == {"clean"}
    assert house.answers.of("/other") == frozenset()
    assert house.answers.forget("/p")
    with pytest.raises(Denied):
        house.gate().permit(_CLEAN)


def test_a_dangerous_act_is_asked_about_whatever_was_said_before(tmp_path: Path) -> None:
    """Neither --yes nor "always" answers for a dangerous act; a yes counts once."""
    house = _House(tmp_path, Answer.ALWAYS, Answer.NO)
    gate = house.gate(yes=True)
    assert gate.permit(_RISKY)
    assert not gate.permit(_RISKY)
    with pytest.raises(Denied, match="nobody"):
        gate.permit(_RISKY)
    assert house.answers.all() == {}
    assert [d for d, _ in house.decisions()] == ["allowed", "refused", "refused"]


def test_what_is_blocked_is_never_asked_about(tmp_path: Path) -> None:
    """A blocked act raises, even in a dry run and with --yes, and is written down."""
    house = _House(tmp_path, Answer.YES)
    blocked = Act(ActKind.WRITE, "write", writes=("/etc/passwd",))
    for gate in (house.gate(yes=True), house.gate(dry_run=True)):
        with pytest.raises(Denied, match="never done"):
            gate.permit(blocked)
    assert house.person.asked == []
    assert house.decisions() == [("blocked", "rule")] * 2


def test_a_dry_run_permits_nothing(tmp_path: Path) -> None:
    """Everything is shown, nobody is asked, nothing is allowed."""
    house = _House(tmp_path, Answer.YES)
    gate = house.gate(dry_run=True, yes=True)
    assert not gate.permit(_BUILD)
    assert not gate.permit(_CLEAN)
    assert house.shown == ["would build", "would clean", "  a"]


def test_what_cannot_be_written_down_is_not_done(tmp_path: Path) -> None:
    """Without an audit log a build still runs, but nothing that needs a permission."""
    house = _House(tmp_path, Answer.YES)
    house.audit.path.mkdir()
    assert house.gate().permit(_BUILD)
    with pytest.raises(ConfigError, match="audit log"):
        house.gate().permit(_CLEAN)


def test_damaged_answers_are_an_error_and_no_permission(tmp_path: Path) -> None:
    """A file of answers that cannot be read allows nothing."""
    house = _House(tmp_path)
    (tmp_path / "permissions.json").write_text("{")
    with pytest.raises(ConfigError, match="permissions"):
        house.gate().permit(_CLEAN)


def test_exports_hold_every_entry(tmp_path: Path) -> None:
    """JSON, CSV and text agree; a damaged line is left out; cells are no formulas."""
    house = _House(tmp_path)
    house.gate().permit(Act(ActKind.BUILD, '=cmd|"x"', argv=("make", "-j2")))
    with house.audit.path.open("a") as file:
        file.write("{damaged\n")
    house.gate().permit(_BUILD)
    entries = list(house.audit.entries())
    assert [e["summary"] for e in json.loads(export(entries, "json"))] == ['=cmd|"x"', "build"]
    rows = list(csv.DictReader(io.StringIO(export(entries, "csv"))))
    assert [row["summary"] for row in rows] == ['\'=cmd|"x"', "build"]
    assert len(export(entries, "text").splitlines()) == 2


def test_secrets_are_left_out_of_words() -> None:
    """Tokens, passwords in addresses and the word after a secret option are not written."""
    secrets = ("--api-key=k1", "--token", "t2", "https://u:p3@host/", "cyx1.abc", "PASSWORD=p4")
    assert list(redacted((*secrets, "-O2"))) == [
        "--api-key=***", "--token", "***", "https://u:***@host/", "cyx1.***", "PASSWORD=***", "-O2",
    ]  # fmt: skip
