"""The one door to the network for models: sends JSON, reads JSON or a stream, tells faults apart.

Knows no provider. A key goes into a header, never into an address, and never over a connection
that others can read. Redirects are not followed: a key belongs to one host.
"""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from cyxmake_cli.llm.backend import BadAnswer, ModelError, ModelRefused, ModelUnavailable
from cyxmake_cli.llm.services import is_loopback
from cyxmake_cli.llm.sse import events
from cyxmake_common.clock import wall

if TYPE_CHECKING:
    import httpx

_BUSY: Final = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))
_MOST_BYTES: Final = 8 << 20
_SHOWN: Final = 300


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a provider is, and how it is addressed; the key shows in no repr."""

    title: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 60.0
    has_key: bool = False

    @property
    def local(self) -> bool:
        """Tell whether it is on this machine."""
        return is_loopback(self.url)


class HttpClient:
    """A connection to one provider."""

    def __init__(self, endpoint: Endpoint) -> None:
        if endpoint.has_key and not endpoint.url.startswith("https://") and not endpoint.local:
            raise ModelRefused(
                f"{endpoint.title}: the key is not sent to {endpoint.url}: others could read it",
                next_step="use an https:// address",
            )
        self.endpoint = endpoint
        self._client: httpx.Client | None = None

    def __repr__(self) -> str:
        return f"<HttpClient {self.endpoint.title} {self.endpoint.url}>"

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def get(self, path: str) -> Any:
        """Return a document."""
        with self._answer("GET", path, None) as response:
            return self._document(response)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send a document and return the one that answers it."""
        with self._answer("POST", path, body) as response:
            return self._document(response)

    def stream(self, path: str, body: Mapping[str, Any]) -> Iterator[Any]:
        """Send a document and yield those that come back one by one."""
        with self._answer("POST", path, body) as response:
            for data in events(_bounded(response.iter_lines())):
                if data != "[DONE]":
                    yield self._parsed(data)

    @contextlib.contextmanager
    def _answer(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> Iterator[httpx.Response]:
        import httpx

        title = self.endpoint.title
        try:
            with self._opened().stream(
                method, self.endpoint.url + path, json=body, headers=dict(self.endpoint.headers)
            ) as response:
                if response.status_code != httpx.codes.OK:
                    response.read()
                    raise _refusal(title, response)
                yield response
        except httpx.TimeoutException as error:
            raise ModelUnavailable(
                f"{title} did not answer within {self.endpoint.timeout:g} s",
                next_step="try again, or set ai.timeout",
            ) from error
        except httpx.ConnectError as error:
            raise ModelUnavailable(
                f"{title} cannot be reached at {self.endpoint.url}",
                next_step="start it, or see that the address is right",
            ) from error
        except httpx.TransportError as error:
            raise ModelUnavailable(f"{title} broke off: {error}") from error

    def _opened(self) -> httpx.Client:
        if self._client is None:
            try:
                import httpx
            except ImportError as error:
                raise ModelError(
                    f"{self.endpoint.title} needs a part that is not installed: httpx",
                    next_step='pip install "cyxmake[ai]"',
                ) from error
            self._client = httpx.Client(
                timeout=httpx.Timeout(self.endpoint.timeout, connect=10.0),
                follow_redirects=False,
                verify=_certificates(self.endpoint.url),
                trust_env=not self.endpoint.local,  # a proxy is no way to one's own machine
            )
        return self._client

    def _document(self, response: httpx.Response) -> Any:
        size = 0
        parts = []
        for part in response.iter_bytes():
            size += len(part)
            if size > _MOST_BYTES:
                raise BadAnswer(f"{self.endpoint.title} sent more than {_MOST_BYTES >> 20} MB")
            parts.append(part)
        return self._parsed(b"".join(parts))

    def _parsed(self, data: str | bytes) -> Any:
        try:
            found = json.loads(data)
        except ValueError as error:
            raise BadAnswer(f"{self.endpoint.title} sent no JSON") from error
        if isinstance(found, dict) and found.get("error"):
            raise ModelUnavailable(f"{self.endpoint.title}: {message_of(found)}")
        return found


def _certificates(url: str) -> ssl.SSLContext | bool:
    """Return what certificates are held against: those that this machine trusts.

    Where there is no TLS, and redirects lead nowhere else, reading them would only take time.
    """
    return ssl.create_default_context() if url.startswith("https://") else False


def _bounded(lines: Iterator[str]) -> Iterator[str]:
    size = 0
    for line in lines:
        size += len(line)
        if size > _MOST_BYTES:
            raise BadAnswer(f"a stream of more than {_MOST_BYTES >> 20} MB")
        yield line


def message_of(document: object) -> str:
    """Return what an error document says, in a few words of printable text."""
    error = document.get("error") if isinstance(document, dict) else None
    said = error.get("message") if isinstance(error, dict) else error
    return "".join(c if c.isprintable() else " " for c in str(said or "no reason given"))[:_SHOWN]


def _refusal(title: str, response: httpx.Response) -> ModelError:
    try:
        document = json.loads(response.content[:_MOST_BYTES])
    except ValueError:
        document = None
    status = response.status_code
    said = f"{title}: {message_of(document)} (status {status})"
    if status in _BUSY:
        return ModelUnavailable(said, after=_wanted_pause(response.headers, document, wall))
    steps = {
        401: "see that the key is right: `cyxmake ai key` keeps one",
        403: "see that the key may use this model",
        404: "see `cyxmake ai list` for the name of the model",
    }
    return ModelRefused(said, next_step=steps.get(status, ""))


def _wanted_pause(
    headers: Mapping[str, str], document: object, time: Callable[[], float]
) -> float | None:
    """Return the seconds that a provider asks to wait: Retry-After, or Gemini's RetryInfo."""
    if wanted := headers.get("retry-after", ""):
        with contextlib.suppress(ValueError):
            return max(0.0, float(wanted))
        with contextlib.suppress(ValueError, TypeError):
            return max(0.0, parsedate_to_datetime(wanted).timestamp() - time())
    with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError):
        for detail in document["error"]["details"]:  # type: ignore[index]
            if "retryDelay" in detail:
                return float(detail["retryDelay"].rstrip("s"))
    return None
