"""Decides where each action of a build runs: here, in the cluster, or in both until one is first.

Knows no clock, process or connection: it is told what happens, with the time, and answers with
what to begin. Either result is right, because they are equal; so a wrong decision costs time only.

Theory of operation. An action is looked for in the cache first (LOOKING). Cores of this machine
that are idle begin the most urgent action that nobody has: one that can only run here, one that no
cache has (MISSED), one whose answer takes too long to wait for. An action that no cache has is sent
when the cluster would be ready before this machine, which has to work off what it has first. When
nothing else is left, idle cores begin what is slow elsewhere once more, and the first result wins.

A worker on this machine has the same cores: what it runs counts as running here. Where there is no
other, sending an action wins no time, it only gets its result into the cache; that may cost a
build a small part of its work, and half of what hits have saved it.

While the connection is lost the cluster may come back with what it was doing: that is begun here
only after a while.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import nlargest
from itertools import islice
from typing import Final

from cyxmake_cli.cluster.cost_model import PACKED, CostModel, Queue
from cyxmake_cli.cluster.race_board import Action, Board, by_rank
from cyxmake_cli.cluster.race_events import (
    Away,
    Coming,
    Dropped,
    Effect,
    Ended,
    Event,
    Executing,
    Here,
    Joined,
    Left,
    Missed,
    OnlyHere,
    Rules,
    RunHere,
    Send,
    Ship,
    Stage,
    StopShipping,
    Tick,
    Tools,
    Totals,
    Wanted,
)

_LOOKED_AT: Final = 32
"""Actions of a stage that are looked at for one decision; the most urgent come first."""

_WAIT_SHARE: Final = 0.2
"""An idle core waits so much of an action's time for the answer of the cache."""

_WAIT_FOR_HITS: Final = 1.0
"""The same while most actions are found in the cache."""

_LONGEST_WAIT: Final = 2.0
_WAIT_FOR_OWN: Final = 5.0
"""Seconds that a build waits for its own cluster to start: what it makes is worth keeping."""

_AWAY_SECONDS: Final = 10.0
"""How long a lost cluster may take to come back before what it has is done here as well."""

_PER_SLOT: Final = 2
"""Actions sent for each slot of the cluster: one runs, the inputs of another are on their way."""

_WINS_BY: Final = 0.2
"""Seconds that a second run has to be expected to win."""

_IDLE_FETCH: Final = 3.0
_IDLE_RUN: Final = 2.0
"""How much more than so far a fetch and a run that are overdue are believed to take: nobody knows,
and the core that would begin it here is idle."""

NEAR_COST: Final = 0.15
"""Processor seconds that a worker on this machine costs for an action beside its command."""

_NEAR_GRACE: Final = 1.5
"""Seconds that a build may lose to its own workers in any case, for each core."""

_NEAR_SHARE: Final = 0.05
"""Part of the work done so far that it may lose to them beside."""

_NEAR_CREDIT: Final = 0.5
"""Part of what hits have saved that it may spend on more of them."""

_FORGET: Final = 0.95
"""What an answer of the cache still counts when the next one comes."""


@dataclass(slots=True)
class _Shipping:
    lacking: int
    since: float | None = None
    given_up: bool = False


@dataclass(slots=True)
class _Counts:
    """Seconds of work done here, saved by hits and lost to workers of this machine; answers of the
    cache, and those that were hits.
    """

    work: float = 0.0
    saved: float = 0.0
    lost: float = 0.0
    answers: float = 0.0
    found: float = 0.0


class Racing:
    """The decisions of one build."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.model = CostModel()
        self.totals = Totals()
        self._board = Board()
        self._joined = self._left = False
        self._away_since: float | None = None
        self._near_slots = 0
        self._near: frozenset[str] = frozenset()
        self._tools: dict[str, _Shipping] = {}
        self._counts = _Counts()
        self._now = 0.0
        self._effects: list[Effect] = []

    def __repr__(self) -> str:
        return f"<Racing {self._board!r}, {self.model!r}>"

    def handle(self, event: Event, now: float) -> list[Effect]:
        """Take what happened at `now`; return what to begin."""
        self._now, self._effects = now, []
        match event:
            case Wanted():
                self._want(event)
            case Ended():
                self._end(event)
            case Dropped(name):
                self._board.remove(name)
            case Joined():
                self._join(event)
            case Away():
                self._away_since = now
            case Left():
                self._joined, self._away_since, self._left = False, None, True
                self.rules = self.rules.alone()
            case Tools(tools, lacking):
                self._told_of_tools(tools, lacking)
            case Tick():
                pass
            case _:
                if (action := self._board.get(event.name)) is not None:
                    self._follow(action, event)
        self._decide()
        return self._effects

    def under_way(self) -> bool:
        """Tell whether time may change a decision."""
        return len(self._board) > 0

    @property
    def ships(self) -> bool:
        """Tell whether it decides when toolchains are sent; else that is done when one is asked."""
        return not self.rules.eager and self.model.slots > 0

    # ── events ──────────────────────────────────────────────────────────────────────────────────

    def _want(self, event: Wanted) -> None:
        seconds = self.model.mean if event.seconds is None else event.seconds
        known = event.seconds is not None
        self._board.add(
            Action(event.name, event.rank, seconds, known, event.raced, since=self._now)
        )

    def _follow(self, action: Action, event: OnlyHere | Missed | Executing | Coming) -> None:
        match event:
            case OnlyHere():
                action.sent_at = None
                self._board.move(action, Stage.ONLY_HERE, self._now)
            case Executing():
                action.worker = event.worker
            case Missed():
                self._answered(action, found=False)
                self._learn(action, event.told)
                action.tools = event.tools
                self._board.move(action, Stage.MISSED, self._now)
            case Coming():
                self._answered(action, found=True)
                self._learn(action, event.told)
                if action.stage is Stage.SENT and action.sent_at is not None:
                    self.model.was(action.predicted, self._now - action.sent_at)
                self.model.fetched(event.size)
                action.hit = event.hit
                self._board.move(action, Stage.COMING, self._now, event.size)

    def _answered(self, action: Action, *, found: bool) -> None:
        if action.stage is Stage.LOOKING:
            counts = self._counts
            counts.answers = counts.answers * _FORGET + 1
            counts.found = counts.found * _FORGET + found

    def _learn(self, action: Action, told: float | None) -> None:
        if told is not None and not action.known:
            self._board.correct(action, told)

    def _end(self, event: Ended) -> None:
        action = self._board.remove(event.name)
        if action is None:
            return
        if action.here_at is not None:
            self._judge(action, action.here_at, event)
        self.model.took(event.seconds)
        counts, totals = self._counts, self.totals
        if event.here:
            totals.here += 1
            counts.work += event.seconds
            return
        if action.hit:
            totals.hits += 1
            counts.saved += event.seconds
            return
        totals.there += 1
        if self._is_near(action):
            counts.work += event.seconds
            if action.cost and action.sent_at is not None:
                counts.lost += self._now - action.sent_at - event.seconds - action.cost

    def _judge(self, action: Action, here_at: float, event: Ended) -> None:
        """Count what came of a run here, and what was for nothing."""
        if action.stage in (Stage.SENT, Stage.COMING):
            self.totals.won_here += event.here
            self.totals.won_there += not event.here
        lost_since = action.sent_at if event.here else here_at
        if lost_since is not None:
            self.totals.regret += self._now - lost_since

    def _join(self, event: Joined) -> None:
        if not self._joined:
            mean = self.model.mean if self._counts.work else None
            self.model = CostModel(event.link, event.slots)
            if mean is not None:
                self.model.took(mean)
        for action in self._board.stage(Stage.SENT).values():
            action.sent_at = self._now  # asked for anew, when this is no first time
        self.model.slots = event.slots
        self._near_slots, self._near = event.near_slots, event.near
        self._joined, self._away_since = True, None

    def _told_of_tools(self, tools: str, lacking: int) -> None:
        known = self._tools.setdefault(tools, _Shipping(lacking))
        known.lacking = lacking
        if not lacking:
            known.since, known.given_up = None, False

    # ── decisions ───────────────────────────────────────────────────────────────────────────────

    @property
    def _there(self) -> bool:
        return self._joined and self._away_since is None

    @property
    def _only_near(self) -> bool:
        """Tell whether the cluster has no cores but this machine's."""
        return self._there and not self.model.slots

    def _decide(self) -> None:
        if self._there and (self.rules.eager or self._only_near):
            self._send()
            self._fill_here()
            return
        if self._there:
            self._ship()
        self._fill_here()
        if self._there:
            self._send()

    # here

    def _free_here(self) -> int:
        near = 0
        if self._near_slots and self._there and not self.rules.eager:
            near = sum(map(self._is_near, self._board.stage(Stage.SENT).values()))
        return self.rules.cores - len(self._board.running) - near

    def _is_near(self, action: Action) -> bool:
        """Tell whether an action runs on a worker of this machine."""
        return action.worker in self._near if action.worker else self._only_near

    def _fill_here(self) -> None:
        free = self._free_here()
        while free > 0 and (found := self._next_here()) is not None:
            action, why, detail = found
            self._board.begin_here(action, self._now)
            self._effects.append(RunHere(action.name, why, detail))
            free -= 1

    def _next_here(self) -> tuple[Action, Here, str] | None:
        if (action := self._board.most_urgent(Stage.ONLY_HERE)) is not None:
            return action, Here.MUST, ""
        if self._away_since is not None:
            return self._next_while_away(self._now - self._away_since)
        if self.rules.eager:
            return None
        if (action := self._board.most_urgent(Stage.MISSED)) is not None:
            return action, Here.SOONER, self._compare(action)
        if self._left:
            return None  # everything hears of that, and says why it runs here
        for action in islice(self._board.idle(Stage.LOOKING), _LOOKED_AT):
            waited = self._now - action.since
            if action.raced and waited >= self._patience(action):
                return action, Here.UNANSWERED, f"no answer in {waited:.2f} s"
        if (found := self._slow_fetch()) is not None:
            return found
        # What a worker here does would only be done twice by the same cores.
        return None if self._only_near else self._slow_run()

    def _next_while_away(self, seconds: float) -> tuple[Action, Here, str] | None:
        if (action := self._board.most_urgent(Stage.MISSED)) is not None:
            return action, Here.AWAY, ""
        stages = [Stage.LOOKING, Stage.COMING]
        if seconds > _AWAY_SECONDS:
            stages.append(Stage.SENT)  # its end may have been near
        for stage in stages:
            for action in self._board.idle(stage):
                if action.may_race:
                    return action, Here.AWAY, ""
        return None

    def _patience(self, action: Action) -> float:
        if self.rules.await_own:
            return _WAIT_FOR_OWN
        counts = self._counts
        hopeful = counts.found > counts.answers / 2 or (
            not counts.answers and self.rules.expect_hits
        )
        share = _WAIT_FOR_HITS if hopeful else _WAIT_SHARE
        return min(_LONGEST_WAIT, share * action.seconds)

    def _slow_fetch(self) -> tuple[Action, Here, str] | None:
        coming = self._board.stage(Stage.COMING)
        takes = self.model.fetching(self._board.coming)
        for name in islice(reversed(coming), _LOOKED_AT):  # the last waits for all others
            action = coming[name]
            if not (action.may_race and action.known):
                continue
            overdue = self._now - action.since - takes
            if max(takes, _IDLE_FETCH * overdue) > action.seconds + _WINS_BY:
                detail = f"{max(takes, overdue):.1f} s to fetch it, {action.seconds:.1f} s here"
                return action, Here.FETCH, detail
        return None

    def _slow_run(self) -> tuple[Action, Here, str] | None:
        best: tuple[float, float, Action] | None = None
        for action in islice(self._board.stage(Stage.SENT).values(), _LOOKED_AT):
            if not action.may_race or self._is_near(action) or action.sent_at is None:
                continue
            seconds = action.seconds if action.known else self.model.mean
            predicted = action.predicted + seconds - action.seconds
            elapsed = self._now - action.sent_at
            left = _left(predicted, elapsed)
            soon = max(left, _IDLE_RUN * (elapsed - predicted))
            if soon > seconds + _WINS_BY and (best is None or left > best[0]):
                best = left, seconds, action
        if best is None:
            return None
        left, seconds, action = best
        return action, Here.SLOW, f"{left:.1f} s left there, {seconds:.1f} s here"

    def _compare(self, action: Action) -> str:
        here = f"{action.seconds:.1f} s here"
        if not self._joined:
            return f"{here}, and the cluster is not there yet"
        shipping = self._tools.get(action.tools)
        if self._only_near:
            return f"{here}, and the cluster has only the same cores"
        if shipping is not None and shipping.lacking:
            takes = self.model.shipping(shipping.lacking)
            return f"{here}, and the cluster lacks its compiler: {takes:.1f} s to send"
        return f"{here}, {self.model.there(action.seconds, self._queue()):.1f} s in the cluster"

    # there

    def _queue(self) -> Queue:
        sent = self._board.stage(Stage.SENT)
        waiting = sum(not action.worker for action in sent.values())
        return Queue(len(sent), waiting, self._board.coming)

    def _send(self) -> None:
        if not self._board.stage(Stage.MISSED):
            return
        slots = self.model.slots + self._near_slots
        room = slots * _PER_SLOT - len(self._board.stage(Stage.SENT))
        if self.rules.eager:
            fitting = nlargest(room, self._board.idle(Stage.MISSED), key=by_rank)
        elif self._only_near:
            fitting = self._worth_caching()
        else:
            fitting = self._faster_there(room)
        for action in fitting:
            action.predicted = self.model.there(action.seconds, self._queue())
            self._board.move(action, Stage.SENT, self._now)
            action.sent_at = self._now
            self._effects.append(Send(action.name))

    def _has_tools(self, action: Action) -> bool:
        shipping = self._tools.get(action.tools)
        return not action.tools or (shipping is not None and not shipping.lacking)

    def _faster_there(self, room: int) -> list[Action]:
        """Return what the cluster would have done before this machine, the most urgent first."""
        fitting: list[Action] = []
        if room <= 0:
            return fitting
        kept: list[Action] = []
        queue, cores = self._queue(), self.rules.cores

        def there(action: Action) -> float:
            more = len(fitting)
            queued = Queue(queue.sent + more, queue.waiting + more, queue.coming_bytes)
            return self.model.there(action.seconds, queued)

        before = sum(map(self._still_needs, self._board.running.values())) / cores
        for action in nlargest(_LOOKED_AT, self._board.idle(Stage.MISSED), key=by_rank):
            if len(fitting) >= room:
                return fitting
            if not self._has_tools(action):
                continue
            if there(action) < before + action.seconds:
                fitting.append(action)
            else:
                before += action.seconds / cores
                kept.append(action)
        # What is done last here has the longest to wait: all that is left, over all cores.
        while kept and len(fitting) < room:
            action = kept.pop()
            left = self._board.waiting - sum(other.seconds for other in fitting)
            if there(action) >= left / cores:
                break
            fitting.append(action)
        return fitting

    def _still_needs(self, action: Action) -> float:
        since = self._now if action.here_at is None else action.here_at
        return max(0.0, action.seconds - (self._now - since))

    def _worth_caching(self) -> list[Action]:
        """Return what this machine's own workers may do, so that the cache has it."""
        counts, fitting = self._counts, list[Action]()
        room = min(self._free_here(), self._near_slots - len(self._board.stage(Stage.SENT)))
        allowed = _NEAR_GRACE * self.rules.cores
        allowed += _NEAR_SHARE * counts.work + _NEAR_CREDIT * counts.saved
        for action in nlargest(max(0, room), self._board.idle(Stage.MISSED), key=by_rank):
            there = self.model.there(action.seconds, Queue(coming_bytes=self._board.coming))
            cost = max(NEAR_COST, there - action.seconds)
            if counts.lost + cost > allowed:
                break
            counts.lost += cost
            action.cost = cost
            fitting.append(action)
        return fitting

    # toolchains

    def _ship(self) -> None:
        for tools, shipping in self._tools.items():
            if not shipping.lacking or shipping.given_up:
                continue
            size, work, cores = shipping.lacking, self._board.waiting, self.rules.cores
            if shipping.since is None:
                if self.model.shipping_pays(size, work, cores):
                    shipping.since = self._now
                    self._effects.append(Ship(tools))
                continue
            arrived = (self._now - shipping.since) * self.model.link.up.value / PACKED
            if self.model.shipping(max(0, int(size - arrived))) * cores > work:
                shipping.given_up = True
                self._effects.append(StopShipping(tools))


def _left(predicted: float, elapsed: float) -> float:
    """Return what is left of a time; what is overdue is likely to take as long again."""
    return predicted - elapsed if elapsed < predicted else elapsed - predicted
