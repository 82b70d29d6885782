"""Recovery at work: runs builds, hands what happened to the engine, does what that says.

Decides nothing itself: which fix, whether it stays and when it ends is the engine's, what may be
done is the gate's. Every fix is in the journal before it is made.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from cyxmake_cli.building.perform import Report, Task, configure_again, cpus
from cyxmake_cli.building.project import LocalProject
from cyxmake_cli.building.runner import CannotRun
from cyxmake_cli.building.screen import Screen
from cyxmake_cli.plugins.rules import known_rules
from cyxmake_cli.recovery.apply import Applier, Made
from cyxmake_cli.recovery.candidates import candidates
from cyxmake_cli.recovery.engine import (
    Applied,
    Apply,
    Attempt,
    Attempted,
    Cause,
    Choice,
    Effect,
    End,
    Engine,
    Event,
    Finish,
    Keep,
    NotApplied,
    Undo,
    Undone,
)
from cyxmake_cli.recovery.fixes import (
    AddFlags,
    Fix,
    Retry,
    RunTool,
    SystemInstall,
    after_undo,
    as_json,
    detail_of,
    key_of,
    kind_of,
    summary_of,
)
from cyxmake_cli.recovery.half_made import remove_half_made
from cyxmake_cli.recovery.journal import Journal, State, Transaction
from cyxmake_cli.recovery.memory import Memory
from cyxmake_cli.recovery.recipe import read_recipe
from cyxmake_cli.recovery.sentences import left_to_decide, said_of
from cyxmake_cli.recovery.side_by_side import run_tools
from cyxmake_cli.recovery.start import fixes_in_force
from cyxmake_cli.recovery.undoing import CONFIGURES, keep_recipe, take_back
from cyxmake_cli.recovery.view import Resolver, View
from cyxmake_cli.safety.gate import Gate
from cyxmake_cli.safety.permissions import Act
from cyxmake_cli.systems.model import Verb
from cyxmake_common.diagnosis.diagnose import diagnose
from cyxmake_common.diagnosis.fingerprint import fingerprint
from cyxmake_common.diagnosis.model import Category, Diagnosis, Facts, LogInput
from cyxmake_common.errors import ConfigError, CyxError, Denied, ExitStatus, ProjectError

_STAGES: Final = {Verb.CONFIGURE: 1, Verb.BUILD: 2, Verb.TEST: 3, Verb.INSTALL: 4}
Attempter = Callable[[Task], Report]
SecondOpinion = Callable[[LogInput, list[Diagnosis]], tuple[Sequence[Diagnosis], str]]
"""Says more of a log than the rules do: their causes and suggestions, and a kind of fix."""


@dataclass(slots=True)
class Outcome:
    """How it ended; `report` None: it could not even be started."""

    report: Report | None
    end: End
    status: ExitStatus
    fixes: list[Transaction] = field(default_factory=list)

    def as_json(self) -> list[dict[str, object]]:
        """Return the fixes for the JSON document of `auto`."""
        return [
            {"id": t.id, "cause": t.cause, "category": t.category, "state": t.state.value,
             "fix": as_json(t.fix), "why": t.why}
            for t in self.fixes
        ]  # fmt: skip


@dataclass(slots=True)
class Recovery:
    """One run of recovery for one task."""

    project: LocalProject
    task: Task
    gate: Gate
    screen: Screen
    attempt: Attempter
    resolver: Resolver
    memory: Memory
    second_opinion: SecondOpinion | None = None
    run_id: str = ""
    _journal: Journal = field(init=False)
    _applier: Applier = field(init=False)
    _open: dict[int, Transaction] = field(default_factory=dict)
    _report: Report | None = None
    _favoured: str = ""
    _frozen: str = ""
    """Why nothing may be changed here."""

    def __post_init__(self) -> None:
        self._journal = Journal(self.project.own)
        self._applier = Applier(self.project)
        now = datetime.now(UTC)
        self.run_id = self.run_id or now.strftime("%Y%m%d-%H%M%S-%f")[:-3]

    def run(self) -> Outcome:
        """Build until it works or nothing more helps; raises CyxError for what is no failure."""
        with ExitStack() as held:
            try:
                held.enter_context(self._journal.at_work())
            except ConfigError as error:
                self._frozen = error.message  # it may still build; what fails can be explained
                return self._until_done()
            self.take_back_interrupted()
            self.follow_recipe()
            return self._until_done()

    def _until_done(self) -> Outcome:
        engine = Engine(time.monotonic())
        waiting: deque[Effect] = deque([Attempt()])
        while True:
            effect = waiting.popleft()
            match effect:
                case Attempt():
                    event: Event | None = self._attempt()
                    if event is None:
                        return self._outcome(End.NOTHING_KNOWN, ExitStatus.CANCELLED)
                case Apply():
                    batch = [effect]
                    while waiting and isinstance(following := waiting[0], Apply):
                        batch.append(following)
                        waiting.popleft()
                    for applied in self.apply_all(batch):
                        waiting.extend(engine.handle(applied))
                    event = None
                case Undo():
                    event = self._undo(effect)
                case Keep():
                    self._keep(effect.id)
                    event = None
                case Finish():
                    return self._finish(effect)
            if event is not None:
                waiting.extend(engine.handle(event))

    # --- attempts ---------------------------------------------------------------------------

    def _attempt(self) -> Attempted | None:
        """Build, and read the causes of what failed; None: a person interrupted it."""
        with fixes_in_force(self.project, self.task, self.gate, self._open) as task:
            missing = self.project.missing()
            if missing:
                found = [_missing_tool(group[0]) for group in missing]
                return self._failed(found, 0)
            try:
                report = self._report = self.attempt(replace(task, keep_going=True))
            except CannotRun as error:
                tool = error.command.argv[0].rsplit("/", 1)[-1]
                found = self._read(LogInput(error.said, 127, tool))
                return self._failed(found, _STAGES.get(error.command.verb, 2))
            if report.status is ExitStatus.OK:
                return Attempted(time.monotonic(), True)
            if report.status is not ExitStatus.BUILD_FAILED:
                return None
            failed = report.failed
            if failed is None:
                return self._failed([], _STAGES[Verb.BUILD])
            text = (failed.stdout + b"\n" + failed.stderr).decode("utf-8", "replace")
            remove_half_made(self.project, text)
            found = _without_echoes(self._read(LogInput(text, failed.exit_code)))
            return self._failed(found, _STAGES.get(failed.verb, 2), text)

    def _failed(self, found: Sequence[Diagnosis], stage: int, log: str = "") -> Attempted:
        jobs = self.task.jobs or cpus()
        view = View(self.project, jobs, self.resolver, log)
        causes = tuple(Cause(d, self._choices(d, view)) for d in found)
        return Attempted(time.monotonic(), False, causes, stage)

    def _read(self, log: LogInput) -> list[Diagnosis]:
        """Return the causes; whatever is only suggested counts as one cause, however it is put.

        A model may say another thing of the same failure: that does not make a fix good.
        """
        found: Sequence[Diagnosis] = diagnose(log, known_rules())
        if self.second_opinion is not None:
            found, self._favoured = self.second_opinion(log, list(found))
        name = f"suggested in {self.run_id}"
        return [replace(cause, fingerprint=name) if cause.suggested else cause for cause in found]

    def _choices(self, cause: Diagnosis, view: View) -> tuple[Choice, ...]:
        found: list[Choice] = []
        if self._frozen:
            return ()
        if cause.suggested:
            return self._careful_choices(cause, view)
        for fix in candidates(cause, view, self.memory.score):
            with suppress(ProjectError):
                places = frozenset(path for path, _ in self._applier.touches(fix))
                found.append(Choice(fix, places))
        return tuple(found)

    def _careful_choices(self, cause: Diagnosis, view: View) -> tuple[Choice, ...]:
        """Return what may be offered for a cause that only a model suggests: nothing by its name.

        Packages of a language are installed by the name that was read, so they are left out.
        """
        fixes = [f for f in candidates(cause, view) if not isinstance(f, RunTool | SystemInstall)]
        fixes.sort(key=lambda fix: kind_of(fix).name != self._favoured)
        found = []
        for fix in fixes:
            with suppress(ProjectError):
                places = frozenset(path for path, _ in self._applier.touches(fix))
                found.append(Choice(fix, places))
        return tuple(found)

    # --- fixes ------------------------------------------------------------------------------

    def apply_all(self, batch: Sequence[Apply]) -> list[Event]:
        """Make fixes of causes that have nothing to do with each other; tools run side by side."""
        events: list[Event] = []
        tools: list[tuple[RunTool, Transaction]] = []
        for effect in batch:
            fix, cause = effect.choice.fix, effect.cause.diagnosis
            refused = self._refused(fix, said_of(cause), suggested=cause.suggested)
            if refused is not None:
                events.append(refused)
                continue
            try:
                begun = self._begin(fix, said_of(cause), cause.fingerprint, cause.category)
                if isinstance(fix, RunTool):
                    tools.append((fix, begun))
                else:
                    events.append(Applied(key_of(fix), self._complete(begun).id))
            except (CyxError, OSError) as error:
                events.append(self._impossible(fix, error))
        problems = run_tools([self._applier.tool(fix) for fix, _ in tools]) if tools else []
        for (fix, begun), problem in zip(tools, problems, strict=True):
            try:
                events.append(Applied(key_of(fix), self._complete(begun, problem).id))
            except (CyxError, OSError) as error:
                events.append(self._impossible(fix, error))
        return events

    def _refused(self, fix: Fix, words: str, *, suggested: bool) -> NotApplied | None:
        self.screen.say(f"cyxmake: {words}; to {summary_of(fix)}")
        try:
            allowed = self.gate.permit(self._act(fix, suggested=suggested))
            why = "not allowed"
        except Denied as error:
            self.screen.say(f"cyxmake: {error.message}")
            allowed, why = False, error.message
        return None if allowed else NotApplied(key_of(fix), why, denied=not suggested)

    def _impossible(self, fix: Fix, error: Exception) -> NotApplied:
        self.screen.say(f"cyxmake: that cannot be done: {error}")
        return NotApplied(key_of(fix), str(error))

    def make(self, fix: Fix, words: str, fingerprint: str, category: str) -> Transaction:
        """Make a fix that was allowed, as a transaction; raises CyxError, OSError: then undone."""
        return self._complete(self._begin(fix, words, fingerprint, category))

    def _begin(self, fix: Fix, words: str, fingerprint: str, category: str) -> Transaction:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        transaction = Transaction(
            0, self.run_id, now, fix, words, fingerprint, category, str(self.project.build)
        )
        return self._journal.begin(transaction, self._touches(fix))

    def _complete(self, begun: Transaction, ran: str | None = None) -> Transaction:
        """Make a fix that is in the journal; `ran`: its tool ran already, and what went wrong."""
        fix = begun.fix
        try:
            if ran:
                raise ProjectError(ran)
            made = self._applier.make(fix) if ran is None else Made()
            if isinstance(fix, AddFlags) and fix.compile:
                configure_again(self.project.own, str(self.project.build))
            if self._forgets(fix):
                (self.project.build / "CMakeCache.txt").unlink(missing_ok=True)
            applied = self._journal.applied(begun, made.variables, made.layer)
        except (CyxError, OSError) as error:
            take_back(self._journal, self.project.source, begun, f"could not be made: {error}")
            raise
        if made.pause:
            time.sleep(made.pause)
        self._open[applied.id] = applied
        return applied

    def _touches(self, fix: Fix) -> list[tuple[str, bool]]:
        found = list(self._applier.touches(fix))
        if self._forgets(fix):
            found.append((str(self.project.build / "CMakeCache.txt"), True))
        return found

    def _forgets(self, fix: Fix) -> bool:
        """Tell whether CMake is to look again for what it did not find: it remembers that.

        Only where the first configuration never came to its end, and our builds made what is there.
        """
        from cyxmake_cli.building.journal import Journal as BuildJournal

        cache = self.project.build / "CMakeCache.txt"
        done = (self.project.build / "build.ninja", self.project.build / "Makefile")
        if not isinstance(fix, CONFIGURES) or any(p.exists() for p in done) or not cache.exists():
            return False
        return str(cache) in BuildJournal.load(self.project.own).files

    def _undo(self, effect: Undo) -> Undone:
        found = self._open.pop(effect.id, None) or self._one(effect.id)
        said = after_undo(found.fix) or f"fix {found.id} is taken back"
        self.screen.say(f"cyxmake: {effect.why}: {said}")
        left = take_back(self._journal, self.project.source, found, effect.why)
        self.memory.learn(found.fingerprint, found.category, found.fix, helped=False)
        return Undone(effect.id, tuple(left))

    def _one(self, id: int) -> Transaction:
        return next(t for t in self._journal.all() if t.id == id)

    def _keep(self, id: int) -> None:
        found = self._open.pop(id)
        self._journal.kept(found)
        self.memory.learn(found.fingerprint, found.category, found.fix, helped=True)

    def _act(self, fix: Fix, *, suggested: bool = False) -> Act:
        places = tuple(p for p, _ in self._applier.touches(fix) if "/.git/" not in f"{p}/")
        removes = places if kind_of(fix).name == "set-aside" else ()
        argv = fix.argv if isinstance(fix, RunTool) else ()
        writes = () if removes else places
        summary, detail = summary_of(fix), detail_of(fix)
        return Act(kind_of(fix).act, summary, argv, writes, removes, detail, suggested)

    # --- before and after -------------------------------------------------------------------

    def take_back_interrupted(self) -> None:
        """Undo what was begun by a run that was killed; raises CyxError."""
        for found in reversed(self._journal.all()):
            if found.state in (State.BEGUN, State.APPLIED):
                take_back(self._journal, self.project.source, found, "its run was interrupted")
                self.screen.say(f"cyxmake: fix {found.id} was interrupted; it is taken back")

    def follow_recipe(self) -> None:
        """Make what the project's recipe says and is not in force here, each after asking."""
        have = {key_of(t.fix) for t in self._journal.active()}
        for fix, cause in read_recipe(self.project.own):
            if key_of(fix) in have:
                continue
            try:
                if not self.gate.permit(self._act(fix)):
                    continue
                made = self.make(fix, cause or "named in the recipe", "recipe", "recipe")
                self._journal.kept(self._open.pop(made.id))
                self.screen.note(f"cyxmake: the recipe has it: {summary_of(fix)}")
            except (CyxError, OSError) as error:
                self.screen.say(f"cyxmake: the recipe wants to {summary_of(fix)}: {error}")

    def _finish(self, effect: Finish) -> Outcome:
        status = ExitStatus.OK if effect.end is End.BUILT else ExitStatus.BUILD_FAILED
        outcome = self._outcome(effect.end, status)
        if effect.end is not End.BUILT:
            self.screen.release()
            if any(not isinstance(fix, SystemInstall) for fix in effect.refused):
                outcome.status = ExitStatus.DENIED
            tried = sum(1 for t in outcome.fixes if not t.active)
            said = left_to_decide(effect, tried)
            frozen = f"; nothing was tried: {self._frozen}" if self._frozen else ""
            self.screen.say(f"cyxmake: {said}{frozen}")
        return outcome

    def _outcome(self, end: End, status: ExitStatus) -> Outcome:
        fixes = [t for t in self._journal.all() if t.run == self.run_id]
        kept = [t for t in fixes if t.state is State.KEPT]
        if kept:
            with suppress(ConfigError):
                keep_recipe(self._journal, self.project.source)
        if kept := [t for t in kept if not isinstance(t.fix, Retry)]:
            self.screen.say(
                f"cyxmake: {len(kept)} fix{'es' if len(kept) > 1 else ''} in force:"
                f" {'; '.join(summary_of(t.fix) for t in kept)} (`cyxmake undo` takes back)"
            )
        return Outcome(self._report, end, status, fixes)


def _without_echoes(found: list[Diagnosis]) -> list[Diagnosis]:
    """Leave out "warnings are errors" where a warning that is one was named."""
    named = any(c.category is Category.WARNING_AS_ERROR and c.facts.option for c in found)
    return [
        c for c in found
        if not (named and c.category is Category.WARNING_AS_ERROR and not c.facts.option)
    ]  # fmt: skip


def _missing_tool(command: str) -> Diagnosis:
    facts = Facts(command=command)
    name = fingerprint(Category.MISSING_TOOL, facts, command)
    said = f"{command}: not found"
    return Diagnosis(Category.MISSING_TOOL, facts, 1.0, "build-tool", name, evidence=said)
