"""Carries out a plan: shows it with its exact commands, asks, runs it, offers to take it back.

Knows nothing of what commands do. The gate decides and writes down; here is only who is asked how.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from cyxmake_cli.repl.intents.model import Argv, Plan, Step, reads_only
from cyxmake_cli.repl.running import Run
from cyxmake_cli.safety.gate import Answer, Asker, Gate
from cyxmake_cli.safety.permissions import Act, ActKind, Judgement
from cyxmake_common.errors import Denied, ExitStatus


class Mode(StrEnum):
    """How a plan is gone through."""

    ALL = "all"
    STEP = "step"


@dataclass(frozen=True, slots=True)
class Done:
    """How a plan ended: its status, what ran, and what would take that back."""

    status: int
    ran: tuple[tuple[Argv, int], ...] = ()
    undo: tuple[Argv, ...] = ()


class PlanAsker:
    """Asks about a plan, and in step mode about each of its steps, on the terminal."""

    def __init__(self) -> None:
        self.mode = Mode.ALL
        self.steps = 1

    def ask(self, act: Act, judgement: Judgement) -> Answer | None:
        """Return the answer; None when stdin is no terminal. Without a word it is no."""
        if not sys.stdin.isatty():
            return None
        several = self.steps > 1 and act.kind is ActKind.PLAN
        choices = ("all", "step", "no") if several else ("yes", "no")
        shown = "all/step/N" if several else "y/N"
        while True:
            line = read_answer(f"{act.summary}? [{shown}] ")
            word = line.strip().lower() or "no"
            found = next((c for c in choices if c.startswith(word)), None)
            if several and word in ("y", "yes"):
                found = "all"
            if found is None:
                continue
            self.mode = Mode.STEP if found == "step" else Mode.ALL
            return Answer.NO if found == "no" else Answer.YES


class Plans:
    """Carries out plans of one conversation."""

    def __init__(
        self,
        gate: Callable[[Asker], Gate],
        run: Run,
        say: Callable[[str], None],
        undo_of: Callable[[Argv], Argv],
        takes_yes: Callable[[Argv], bool],
        *,
        yes: bool = False,
    ) -> None:
        """`undo_of` says before a command runs what would take it back, where the plan cannot.

        `takes_yes` tells whether a command asks by itself, and has an option against that.
        """
        self._gate = gate
        self._run = run
        self._say = say
        self._undo_of = undo_of
        self._takes_yes = takes_yes
        self._yes = yes

    def __repr__(self) -> str:
        return f"<Plans yes={self._yes}>"

    def carry_out(self, plan: Plan) -> Done:
        """Show a plan, ask, and run what is permitted; stops where a step fails. Raises Denied."""
        asker = PlanAsker()
        asker.steps = len(plan.steps)
        gate = self._gate(asker)
        shown = [f"cyxmake {shlex.join(step.argv)}" for step in plan.steps]
        for number, line in enumerate(shown, 1):
            self._say(f"  {number}. {line}" if len(shown) > 1 else f"  {line}")
        act = Act(ActKind.PLAN, "run this", detail=tuple(shown))
        if not gate.permit(act):
            self._say("nothing is done" if not gate.dry_run else "nothing was done: a dry run")
            return Done(int(ExitStatus.OK if gate.dry_run else ExitStatus.DENIED))
        return self._steps(plan.steps, gate, asker)

    def _steps(self, steps: tuple[Step, ...], gate: Gate, asker: PlanAsker) -> Done:
        ran: list[tuple[Argv, int]] = []
        undo: list[Argv] = []
        for step in steps:
            text = f"cyxmake {shlex.join(step.argv)}"
            if asker.mode is Mode.STEP:
                permitted = gate.permit(Act(ActKind.PLAN_STEP, f"run {text}"))
                asker.mode = Mode.STEP
                if not permitted:
                    self._say(f"left out: {text}")
                    continue
            back = step.undo or self._undo_of(step.argv)
            if len(steps) > 1:
                self._say(f"> {text}")
            status = self._run(self._with_yes(step.argv))
            ran.append((step.argv, status))
            if status:
                self._say(f"stopped: {text} ended with status {status}")
                return self._take_back(status, ran, undo, gate)
            if back:
                undo.insert(0, back)
        return Done(0, tuple(ran), tuple(undo))

    def _take_back(
        self, status: int, ran: list[tuple[Argv, int]], undo: list[Argv], gate: Gate
    ) -> Done:
        """Offer to take back the steps before one that failed."""
        if not undo:
            return Done(status, tuple(ran))
        texts = [f"cyxmake {shlex.join(argv)}" for argv in undo]
        self._say("what was done before it can be taken back:")
        for text in texts:
            self._say(f"  {text}")
        act = Act(ActKind.PLAN_STEP, "take it back", detail=tuple(texts))
        try:
            wanted = not self._yes and gate.permit(act)
        except Denied:  # nobody is there to ask: what was done stays, and is named
            wanted = False
        if not wanted:
            return Done(status, tuple(ran), tuple(undo))
        for argv in undo:
            ran.append((argv, self._run(argv)))
        return Done(status, tuple(ran))

    def _with_yes(self, argv: Argv) -> Argv:
        asks = self._yes and not reads_only(argv) and self._takes_yes(argv)
        return (*argv, "--yes") if asks else argv


def read_answer(question: str) -> str:
    """Ask on stderr and return the line; the end of input is an empty one."""
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline()
