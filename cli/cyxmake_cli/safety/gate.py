"""The gate: judges an act, asks a person where that is needed, and writes down what came of it.

Knows nothing of how acts are done; whoever acts asks `permit` first, and does nothing without its
yes. A dry run permits nothing. An act that cannot be written down is not permitted either, unless
it is safe.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from cyxmake_cli.safety.answers import Answers
from cyxmake_cli.safety.audit import AuditLog, entry
from cyxmake_cli.safety.permissions import Act, Bounds, Judgement, Risk, judge
from cyxmake_common.errors import ConfigError, Denied


class Answer(StrEnum):
    """What a person says to an act."""

    YES = "y"
    NO = "n"
    ALWAYS = "a"
    VIEW = "v"


class Asker(Protocol):
    """Somebody who can be asked."""

    def ask(self, act: Act, judgement: Judgement) -> Answer | None:
        """Return the answer; None: nobody is there to answer."""
        ...


class Gate:
    """What may be done in one project, in one run of a command.

    `yes` answers for the person whatever may be answered; a dangerous act is asked about even so,
    unless `dangerous_too`.
    """

    def __init__(
        self,
        bounds: Bounds,
        asker: Asker,
        now: Callable[[], str],
        *,
        yes: bool = False,
        dry_run: bool = False,
        show: Callable[[str], None] = lambda text: None,
        answers: Answers | None = None,
        audit: AuditLog | None = None,
    ) -> None:
        self._bounds = bounds
        self._asker = asker
        self._now = now
        self._yes = yes
        self._dry_run = dry_run
        self._show = show
        self._answers = answers or Answers()
        self._audit = audit or AuditLog()

    def __repr__(self) -> str:
        return f"<Gate {self._project} yes={self._yes} dry_run={self._dry_run}>"

    @property
    def dry_run(self) -> bool:
        """Tell whether nothing is to be done."""
        return self._dry_run

    @property
    def _project(self) -> str:
        return self._bounds.roots[0] if self._bounds.roots else ""

    def permit(self, act: Act) -> bool:
        """Tell whether an act may be done; False: a dry run, or a person said no.

        Raises Denied for what is blocked, and for what needs an answer where nobody can give one.
        """
        judgement = judge(act, self._bounds)
        if judgement.risk is Risk.BLOCKED:
            self._write(act, judgement, "blocked", "rule")
            raise Denied(
                f"{act.summary}: never done ({judgement.reason})",
                next_step="do it yourself, if it is really meant",
            )
        if self._dry_run:
            self._show(f"would {act.summary}")
            for line in act.detail:
                self._show(f"  {line}")
            self._write(act, judgement, "shown", "--dry-run")
            return False
        allowed, by = self._decide(act, judgement)
        self._write(act, judgement, "allowed" if allowed else "refused", by)
        return allowed

    def require(self, act: Act) -> None:
        """As `permit`, for what cannot go on without; raises Denied."""
        if not self.permit(act) and not self._dry_run:
            raise Denied(f"{act.summary}: not allowed")

    def _decide(self, act: Act, judgement: Judgement) -> tuple[bool, str]:
        if judgement.risk is Risk.SAFE:
            return True, "rule"
        if judgement.risk is Risk.ASK:
            if self._yes:
                return True, "--yes"
            if act.key in self._answers.of(self._project):
                return True, "always"
        while True:
            answer = self._asker.ask(act, judgement)
            match answer:
                case Answer.VIEW:
                    for line in act.detail or (" ".join(act.argv) or "nothing more is known",):
                        self._show(f"  {line}")
                case Answer.ALWAYS if judgement.risk is Risk.ASK:
                    self._answers.add(self._project, act.key)
                    return True, "person, always"
                case Answer.YES | Answer.ALWAYS:
                    return True, "person"
                case Answer.NO:
                    return False, "person"
                case _:
                    self._write(act, judgement, "refused", "nobody to ask")
                    raise Denied(
                        f"{act.summary}: needs a yes, and nobody is there to give it",
                        next_step="repeat it on a terminal"
                        + (", or with --yes" if judgement.risk is Risk.ASK else ""),
                    )

    def _write(self, act: Act, judgement: Judgement, decision: str, by: str) -> None:
        found = entry(
            self._now(), self._project, act, judgement.risk, judgement.reason, decision, by
        )
        harmless = judgement.risk is Risk.SAFE or decision != "allowed"
        with contextlib.suppress(OSError) if harmless else contextlib.nullcontext():
            try:
                self._audit.write(found)
            except OSError as error:
                if harmless:
                    raise
                raise ConfigError(
                    f"the audit log {self._audit.path} cannot be written: {error.strerror}",
                    next_step="make its directory writable",
                ) from error


def bounds_of(*roots: str) -> Bounds:
    """Return the bounds of a project with these directories, its source first."""
    home = os.path.expanduser("~")  # noqa: PTH111 - may not exist
    plain = tuple(dict.fromkeys(os.path.abspath(root) for root in roots))  # noqa: PTH100
    return Bounds(plain, home if home != "/" else "")
