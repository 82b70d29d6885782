"""What the port answers to a plain HTTPS GET: whether the coordinator lives.

Knows nothing of peers. The authority's certificate is answered by the server itself; whatever
tells about builds or workers needs a token and is not answered here.
"""

from __future__ import annotations

from typing import Final

_TEXT: Final = "text/plain; charset=utf-8"


def answer(target: str) -> tuple[int, str, bytes] | None:
    """Return status, content type and body for a request target; None is a 404."""
    path = target.partition("?")[0]
    if path == "/healthz":
        return 200, _TEXT, b"ok\n"
    return None
