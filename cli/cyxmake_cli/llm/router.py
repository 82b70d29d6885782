"""Asks the models in their order: tries again, goes on to the next, keeps to budget and privacy.

Knows no provider and no prompt. What leaves this machine is anonymous, is shown to whoever wants
to see it, and is counted; with `offline` nothing leaves it.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, create_model

from cyxmake_cli.llm.backend import (
    THINKING,
    Backend,
    BadAnswer,
    BudgetSpent,
    Completion,
    Message,
    ModelError,
    ModelUnavailable,
    OnText,
    Request,
    Usage,
)
from cyxmake_cli.llm.budget import Budget
from cyxmake_cli.llm.redact import Identity, anonymous_request
from cyxmake_cli.llm.structured import Answer, read, schema_of
from cyxmake_common.clock import monotonic

T = TypeVar("T")

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 20.0
_DOWN_SECONDS: Final = 60.0
_BYTES_A_TOKEN: Final = 3
"""Fewer than any text has: what is reserved is not too little."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for every question."""

    retries: int = 2
    offline: bool = False
    identity: Identity = field(default_factory=Identity)
    budget: Budget | None = None
    on_sent: Callable[[str, Request], None] | None = None
    """Is told the provider and the request, as it is sent, before anything leaves the machine."""
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Choice:
    """The label that a model chose, and how likely it found each, where it says."""

    label: str
    scores: dict[str, float] = field(default_factory=dict)
    model: str = ""


class Models:
    """The models that a user has, as one."""

    def __init__(self, backends: Sequence[Backend], policy: Policy | None = None) -> None:
        self._backends = tuple(backends)
        self._policy = policy or Policy()
        self._down: dict[str, float] = {}
        self._liked: dict[tuple[str, tuple[str, ...]], dict[str, float]] = {}

    def __repr__(self) -> str:
        return f"<Models {', '.join(b.name for b in self._backends)} down={sorted(self._down)}>"

    @property
    def policy(self) -> Policy:
        """Return what holds for every question."""
        return self._policy

    @property
    def backends(self) -> tuple[Backend, ...]:
        """Return the models in the order in which they are asked."""
        return self._backends

    def complete(self, request: Request, on_text: OnText | None = None) -> Completion:
        """Return the first answer that one of the models gives; raises ModelError.

        Once a piece of text was told, no other model begins anew: the error is raised.
        """
        return self._first(request, lambda completion: completion, on_text)

    def structured(self, messages: Sequence[Message], form: type[Answer],
                   max_tokens: int = 512) -> tuple[Answer, str]:  # fmt: skip
        """Return an answer in its form, and the model's name; raises ModelError."""
        request = Request(tuple(messages), schema_of(form), max_tokens=max_tokens)
        return self._first(request, lambda c: (read(form, c), c.model))

    def choose(self, messages: Sequence[Message], labels: Sequence[str]) -> Choice:
        """Return the label that answers best: by probability where the model tells it."""
        if any(b.capabilities.scores and not self._is_down(b) for b in self._backends[:1]):
            backend = self._backends[0]
            try:
                scores = backend.score(messages, labels)
            except ModelError:
                pass  # asked again below, in words
            else:
                best = max(labels, key=lambda label: scores.get(label, -math.inf))
                return Choice(best, scores, backend.name)
        answer, model = self.structured(messages, _choice(tuple(labels)), max_tokens=64)
        return Choice(str(getattr(answer, "choice")), {}, model)  # noqa: B009 - made at run time

    @property
    def tiny(self) -> bool:
        """Tell whether the model that is asked first is too small to choose in words."""
        usable = (b for b in self._backends if not self._is_down(b))
        first = next(usable, None)
        return first is not None and first.capabilities.tiny and first.capabilities.scores

    def choose_calibrated(
        self, messages: Sequence[Message], empty: Sequence[Message], labels: Sequence[str]
    ) -> str:
        """Return the label that gains most over the same question without content.

        A small model likes some labels whatever it is asked; raises ModelError.
        """
        backend = next(b for b in self._backends if not self._is_down(b))
        content_free = (backend.name, tuple(labels))
        if content_free not in self._liked:
            self._liked[content_free] = backend.score(empty, labels)
        asked, liked = backend.score(messages, labels), self._liked[content_free]
        return max(labels, key=lambda label: asked[label] - liked[label])

    def close(self) -> None:
        """Let go of all of them."""
        for backend in self._backends:
            backend.close()

    def _first(
        self, request: Request, accept: Callable[[Completion], T], on_text: OnText | None = None
    ) -> T:
        failures: list[tuple[str, ModelError]] = []
        for backend in self._backends:
            if self._is_down(backend):
                failures.append((backend.name, ModelUnavailable("failed a moment ago")))
                continue
            try:
                return self._ask(backend, request, accept, on_text)
            except _Told as told:
                raise told.error from told.error.__cause__
            except ModelError as error:
                if error.retryable:
                    self._down[backend.name] = monotonic() + _DOWN_SECONDS
                failures.append((backend.name, error))
        raise _none_answered(failures)

    def _ask(
        self,
        backend: Backend,
        request: Request,
        accept: Callable[[Completion], T],
        on_text: OnText | None,
    ) -> T:
        """Ask one model, again where that may help."""
        told = False

        def tell(text: str) -> None:
            nonlocal told
            told = True
            if on_text is not None:
                on_text(text)

        tries = 0
        while True:
            try:
                return accept(self._once(backend, request, tell if on_text else None))
            except (ModelUnavailable, BadAnswer) as error:
                if told:
                    raise _Told(error) from error
                most = self._policy.retries if error.retryable else min(1, self._policy.retries)
                pause = self._pause(tries, error)
                if tries >= most or pause is None:
                    raise
                self._policy.sleep(pause)
            tries += 1

    def _once(self, backend: Backend, request: Request, on_text: OnText | None) -> Completion:
        if backend.capabilities.local:
            return backend.complete(request, on_text)
        policy = self._policy
        if policy.offline:
            raise ModelError(f"{backend.name} is not on this machine", next_step="unset ai.offline")
        request = anonymous_request(request, policy.identity)
        if policy.on_sent is not None:
            policy.on_sent(backend.name, request)
        if policy.budget is None:
            return backend.complete(request, on_text)
        most = _most(request)
        policy.budget.reserve(most)
        used: Usage | None = most  # what broke off may have been paid for
        try:
            completion = backend.complete(request, on_text)
            used = completion.usage if completion.usage.read else most
            return completion
        except ModelError as error:
            if not isinstance(error, BadAnswer):
                used = None
            raise
        finally:
            policy.budget.settle(most, used)

    def _pause(self, tries: int, error: ModelError) -> float | None:
        """Return how long to wait before the next try; None: longer than anyone waits."""
        wanted = getattr(error, "after", None)
        if wanted is not None:
            return None if wanted > _LONGEST_PAUSE else float(wanted)
        if not error.retryable:
            return 0.0
        pause: float = _FIRST_PAUSE * 2**tries * (0.5 + self._policy.jitter())
        return min(pause, _LONGEST_PAUSE)

    def _is_down(self, backend: Backend) -> bool:
        return monotonic() < self._down.get(backend.name, 0.0)


class _Told(Exception):
    """The answer broke off after its reader had seen a part of it."""

    def __init__(self, error: ModelError) -> None:
        super().__init__(error.message)
        self.error = error


def _most(request: Request) -> Usage:
    size = sum(len(m.text.encode()) for m in request.messages)
    size += len(str(request.schema or "")) + sum(len(str(t.parameters)) for t in request.tools)
    return Usage(size // _BYTES_A_TOKEN + 32, request.max_tokens + THINKING)


def _none_answered(failures: list[tuple[str, ModelError]]) -> ModelError:
    if len(failures) == 1:
        return failures[0][1]
    if not failures:
        return ModelError("no model is configured", next_step="see `cyxmake ai list`")
    kind = BudgetSpent if all(isinstance(e, BudgetSpent) for _, e in failures) else ModelUnavailable
    said = "; ".join(f"{name}: {error.message}" for name, error in failures)
    return kind(f"no model answered: {said}", next_step=failures[-1][1].next_step)


def _choice(labels: tuple[str, ...]) -> type[BaseModel]:
    allowed: Any = Literal[labels]
    return create_model("Choice", __config__=ConfigDict(extra="forbid"), choice=(allowed, ...))
