"""A language model's say in recovery: the kinds of fix go out, causes and suggestions come back.

No command itself. Nothing is opened before a failure that the rules are not sure of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cyxmake_common.diagnosis.model import Diagnosis, LogInput

if TYPE_CHECKING:
    from cyxmake_cli.building.screen import Screen
    from cyxmake_cli.llm.causes import Opinion
    from cyxmake_cli.llm.router import Models
    from cyxmake_cli.settings import AiSettings


class ModelOpinion:
    """Asks the configured models about a log; says once why none answers."""

    def __init__(self, models: Models, screen: Screen) -> None:
        self._models = models
        self._screen = screen
        self._told: set[str] = set()
        self._given: dict[str, Opinion] = {}

    def __repr__(self) -> str:
        return f"<ModelOpinion {self._models}>"

    def __call__(self, log: LogInput, causes: list[Diagnosis]) -> tuple[Sequence[Diagnosis], str]:
        """Return the causes with what a model says of them, and the kind of fix it favours."""
        from cyxmake_cli.llm.causes import diagnose_with_model, excerpt_of
        from cyxmake_cli.recovery.fixes import KINDS

        kinds = tuple(kind.name for kind in KINDS.values())
        excerpt = excerpt_of(log, causes)
        opinion = self._given.get(excerpt)
        if opinion is None:  # the same failure is asked about once
            opinion = diagnose_with_model(log, causes, self._models, kinds)
            self._given[excerpt] = opinion
        if not opinion.causes and opinion.why_not not in self._told:
            self._told.add(opinion.why_not)
            self._screen.note(f"cyxmake: no rule knows this failure; {opinion.why_not}")
        return opinion.causes, opinion.fix

    def close(self) -> None:
        """Let go of the models."""
        self._models.close()


def second_opinion(settings: AiSettings, screen: Screen) -> ModelOpinion | None:
    """Return what asks the configured models; None where none is. Raises CyxError."""
    if not settings.enabled:
        return None
    from cyxmake_cli.commands.options import tell_sent
    from cyxmake_cli.llm.open import open_models

    models = open_models(settings, on_sent=tell_sent if settings.show_sent else None)
    return None if models is None else ModelOpinion(models, screen)
