"""Stands for a model that is configured and cannot be asked: says why whenever it is.

Knows no provider.
"""

from __future__ import annotations

from collections.abc import Sequence

from cyxmake_cli.llm.backend import (
    Capabilities,
    Completion,
    Health,
    Message,
    ModelError,
    OnText,
    Request,
)


class Unusable:
    """A model without its key, or named wrongly."""

    def __init__(self, name: str, error: ModelError) -> None:
        self.name = name
        self._error = error
        self.capabilities = Capabilities(local=True)  # nothing leaves the machine

    def __repr__(self) -> str:
        return f"<Unusable {self.name}: {self._error.message}>"

    def complete(self, request: Request, on_text: OnText | None = None) -> Completion:
        """Raise what is wrong."""
        raise self._error

    def score(self, messages: Sequence[Message], labels: Sequence[str]) -> dict[str, float]:
        """Raise what is wrong."""
        raise self._error

    def health(self) -> Health:
        """Say what is wrong."""
        return Health(False, self._error.message, self._error.next_step)

    def close(self) -> None:
        """Hold nothing, let go of nothing."""
