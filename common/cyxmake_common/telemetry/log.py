"""Sets up structured logging: JSON for machines or coloured lines for people, without secrets.

Knows nothing of who logs what. Modules use `structlog.get_logger(__name__)`; records of the
standard library (asyncio, third parties) join the same stream.
"""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Final, TextIO

import structlog

from cyxmake_common.errors import ConfigError

HIDDEN: Final = "[hidden]"
"""What stands in place of a secret."""

_SECRET_KEYS: Final = ("token", "secret", "authorization", "password", "api_key", "apikey")
_PUBLIC_KEYS: Final = frozenset({"token_id"})
_JOIN_TOKEN: Final = re.compile(r"cyx1\.[A-Za-z0-9_-]+")
_BEARER: Final = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{8,}")
_DEEPEST: Final = 8


class LogFormat(StrEnum):
    """How a line of the log is written."""

    JSON = "json"
    CONSOLE = "console"


def configure_logging(
    level: str = "info", log_format: LogFormat = LogFormat.CONSOLE, file: Path | None = None
) -> Callable[[], None]:
    """Send all logging to a file, or to standard error; raises ConfigError.

    Returns what ends it: the file is closed, and logging is as it was without this call.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ConfigError(
            f"unknown log level {level!r}", next_step="use debug, info, warning or error"
        )
    stream = _open(file) if file else sys.stderr
    structlog.configure(
        processors=_processors(log_format, stream),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    root, forward = logging.getLogger(), _Forward()
    level_before = root.level
    root.addHandler(forward)
    root.setLevel(max(number, logging.WARNING))

    def end() -> None:
        structlog.reset_defaults()
        root.removeHandler(forward)
        root.setLevel(level_before)
        if file is not None:
            stream.close()

    return end


def redact(
    _logger: object, _method: str, event: MutableMapping[str, object]
) -> MutableMapping[str, object]:
    """Hide secrets: the values of telling keys, and whatever looks like a token in any text."""
    for key in event:
        event[key] = HIDDEN if _is_secret(key) else _clean(event[key], 0)
    return event


def redact_text(text: str) -> str:
    """Hide what looks like a token inside a text."""
    if "cyx1." in text:
        text = _JOIN_TOKEN.sub(f"cyx1.{HIDDEN}", text)
    return _BEARER.sub(rf"\1 {HIDDEN}", text)


def _processors(log_format: LogFormat, stream: TextIO) -> list[structlog.typing.Processor]:
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Before redaction: a traceback's text may repeat a secret.
        structlog.processors.format_exc_info,
        redact,
    ]
    if log_format is LogFormat.JSON:
        return [*shared, structlog.processors.JSONRenderer(default=_printable)]
    renderer = structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    return [*shared, renderer]


def _open(file: Path) -> io.TextIOWrapper:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return file.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
    except OSError as error:
        raise ConfigError(f"cannot write the log {file}: {error}") from error


def _is_secret(key: object) -> bool:
    name = str(key).lower()
    return name not in _PUBLIC_KEYS and any(part in name for part in _SECRET_KEYS)


def _clean(value: object, depth: int) -> object:
    if depth > _DEEPEST:
        return HIDDEN
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes):
        return redact_text(value.decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if _is_secret(key) else _clean(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item, depth + 1) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact_text(_printable(value))


def _printable(value: object) -> str:
    return str(value) if isinstance(value, str | PurePath) else repr(value)


class _Forward(logging.Handler):
    """Hands records of the standard library to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            log = structlog.get_logger(record.name)
            write = log.error if record.levelno >= logging.ERROR else log.warning
            write(record.getMessage(), logger=record.name, exc_info=record.exc_info or None)
        except Exception:
            self.handleError(record)
