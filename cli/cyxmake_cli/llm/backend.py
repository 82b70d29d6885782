"""What every language model is to the rest: messages in, text or tool calls out.

Knows no provider and no network. What a model says is foreign text: whoever asks checks it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from cyxmake_common.errors import CyxError, ExitStatus

Schema = Mapping[str, Any]
"""A JSON schema: flat, every property required, no references, so that every provider takes it."""

THINKING: Final = 2048
"""Tokens that a model may take beside its answer: those that think aloud count it as written."""

OnText = Callable[[str], None]
"""Is told each piece of text as it comes."""


class Role(StrEnum):
    """Who says a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What a model wants to be called; nobody calls it but whoever offered the tool."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One thing said."""

    role: Role
    text: str
    calls: tuple[ToolCall, ...] = ()
    """Of the assistant."""
    answers: ToolCall | None = None
    """Of a tool: the call that this is the result of."""


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that a model may ask to be called."""

    name: str
    description: str
    parameters: Schema


@dataclass(frozen=True, slots=True)
class Request:
    """What a model is asked."""

    messages: tuple[Message, ...]
    schema: Schema | None = None
    """The answer is JSON of this form, and nothing else."""
    tools: tuple[Tool, ...] = ()
    max_tokens: int = 512


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer took, in tokens."""

    read: int = 0
    written: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered."""

    text: str
    calls: tuple[ToolCall, ...] = ()
    usage: Usage = field(default_factory=Usage)
    truncated: bool = False
    """The answer was cut off at `max_tokens`."""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do beyond plain text."""

    local: bool
    """Nothing leaves this machine."""
    tools: bool = False
    schema: bool = False
    """The provider itself holds answers to a schema; they are checked here all the same."""
    scores: bool = False
    """Can say how likely each of several answers is."""
    tiny: bool = False
    """Too small to choose in words; its scores of labels say more."""
    context: int = 0
    """Most tokens of question and answer; 0 is unknown."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a backend can be asked now, and what it says of itself."""

    good: bool
    detail: str
    fix: str = ""


class Backend(Protocol):
    """One model of one provider."""

    @property
    def name(self) -> str:
        """Return `provider:model`, as in `ai.providers`."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """Return what it can do."""
        ...

    def complete(self, request: Request, on_text: OnText | None = None) -> Completion:
        """Return the answer; with `on_text` it is told as it comes. Raises ModelError."""
        ...

    def score(self, messages: Sequence[Message], labels: Sequence[str]) -> dict[str, float]:
        """Return the log-probability of each label as the answer, where `scores` says it can."""
        ...

    def health(self) -> Health:
        """Ask the provider whether it works, without spending anything."""
        ...

    def close(self) -> None:
        """Let go of connections and memory."""
        ...


class ModelError(CyxError):
    """No model could answer; everything that does not need one goes on."""

    code = "model"
    exit_status = ExitStatus.CONFIG


class ModelUnavailable(ModelError):
    """The provider does not answer, is overloaded, or broke off; another one may do."""

    code = "model-unavailable"
    exit_status = ExitStatus.CLUSTER_UNREACHABLE
    retryable = True

    def __init__(self, message: str, *, next_step: str = "", after: float | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.after = after
        """Seconds after which the provider wants to be asked again, where it says."""


class ModelRefused(ModelError):
    """The provider does not accept the key, the model's name or the request."""

    code = "model-refused"


class BadAnswer(ModelError):
    """The answer is not what was asked for."""

    code = "model-answer"


class BudgetSpent(ModelError):
    """The day's limit on tokens or money is reached."""

    code = "model-budget"


def text_messages(system: str, user: str) -> tuple[Message, ...]:
    """Return the messages of the plainest question."""
    return (Message(Role.SYSTEM, system), Message(Role.USER, user))
