"""What the port answers to a plain HTTPS GET: whether the coordinator lives, and its figures.

Knows nothing of peers. The authority's certificate is answered by the server itself. Whatever tells
about builds or workers is answered only to callers that show the secret made for it.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cyxmake_common.errors import ConfigError
from cyxmake_common.net.gate import HttpAnswer
from cyxmake_coordinator.data_dir import write_private

_TEXT: Final = "text/plain; charset=utf-8"
_SHORTEST: Final = 16
_REFUSED: Final = b"show the text of the metrics token file: Authorization: Bearer ...\n"


class Pages:
    """Answers GETs; without a secret there are no figures at all."""

    def __init__(self, secret: str, figures: Callable[[], tuple[str, bytes]]) -> None:
        self._expected = f"Bearer {secret}".encode() if secret else b""
        self._figures = figures

    def __repr__(self) -> str:
        return f"<Pages metrics={'guarded' if self._expected else 'off'}>"

    def answer(self, target: str, authorization: str) -> HttpAnswer | None:
        """Return status, content type and body for a request target; None is a 404."""
        path = target.partition("?")[0]
        if path == "/healthz":
            return 200, _TEXT, b"ok\n"
        if path == "/metrics" and self._expected:
            shown = authorization.encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(shown, self._expected):
                return 401, _TEXT, _REFUSED
            return 200, *self._figures()
        return None


def metrics_secret(file: Path | None) -> str:
    """Return what a caller has to show, made when the file does not exist; raises ConfigError."""
    if file is None:
        return ""
    try:
        if not file.exists():
            write_private(file, secrets.token_urlsafe(32) + "\n")
        text = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the metrics token file cannot be used: {error}",
            next_step="make it readable for the coordinator, or unset metrics_token_file",
        ) from error
    if len(text) < _SHORTEST or not text.isprintable() or not text.isascii():
        raise ConfigError(
            f"{file}: a metrics token is {_SHORTEST} or more printable characters",
            next_step="remove the file: a new one is made at the start",
        )
    return text
