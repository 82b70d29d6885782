"""Loggers for modules that a short-lived client imports too: structlog loads with the first line.

Knows nothing of where logs go; see `log`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger


class _Logger:
    """Stands for a logger; each use asks structlog, whose settings may have changed."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        import structlog  # its console renderer imports much, and most clients log nothing

        return getattr(structlog.get_logger(self._name), attribute)


def get_logger(name: str) -> BoundLogger:
    """Return the logger of a module."""
    return cast("BoundLogger", _Logger(name))
