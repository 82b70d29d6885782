"""Speaks OpenAI's chat completions, which most servers of models speak as well.

Knows no address and no key. Only what all of them understand is said, and what a row of the
table of services says of one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from cyxmake_cli.llm.backend import (
    THINKING,
    BadAnswer,
    Capabilities,
    Completion,
    Health,
    Message,
    ModelError,
    ModelRefused,
    OnText,
    Request,
    Role,
    Schema,
    ToolCall,
    Usage,
)
from cyxmake_cli.llm.http import HttpClient
from cyxmake_cli.llm.services import Service

_NOT_STRICT: Final = ("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems")


class OpenAi:
    """A model behind an address that speaks as OpenAI does."""

    def __init__(self, service: Service, model: str, client: HttpClient) -> None:
        self._service = service
        self._model = model
        self._client = client

    def __repr__(self) -> str:
        return f"<OpenAi {self.name} at {self._client.endpoint.url}>"

    @property
    def name(self) -> str:
        """Return `provider:model`."""
        return f"{self._service.name}:{self._model}" if self._model else self._service.name

    @property
    def capabilities(self) -> Capabilities:
        """Return what it can do."""
        return Capabilities(local=self._client.endpoint.local, tools=True, schema=True)

    def complete(self, request: Request, on_text: OnText | None = None) -> Completion:
        """Return the answer."""
        body = request_body(self._service, self._chosen(), request)
        if on_text is None:
            return read_answer(self._client.post("/chat/completions", body), self._model)
        streamed = {**body, "stream": True, "stream_options": {"include_usage": True}}
        return read_stream(self._client.stream("/chat/completions", streamed), on_text, self._model)

    def score(self, messages: Sequence[Message], labels: Sequence[str]) -> dict[str, float]:
        """Raise ModelRefused: chat completions say nothing of labels that were not chosen."""
        raise ModelRefused(f"{self.name} cannot score labels")

    def health(self) -> Health:
        """Ask for the list of models."""
        try:
            models = self.models()
        except ModelError as error:
            return Health(False, error.message, error.next_step)
        if self._model and models and self._model not in models:
            near = ", ".join(models[:5])
            return Health(False, f"{self._service.title} has no model {self._model}",
                          f"it has {near}")  # fmt: skip
        if not self._model and not models:
            return Health(False, f"{self._service.title} has no model", "give it one")
        return Health(True, f"{self._service.title} answers; {self._model or models[0]}")

    def models(self) -> list[str]:
        """Return the names of the models that it serves; raises ModelError."""
        document = self._client.get("/models")
        try:
            return [str(entry["id"]) for entry in document.get("data") or ()]
        except (AttributeError, KeyError, TypeError) as error:
            raise BadAnswer(f"{self._service.title} lists its models in no known form") from error

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _chosen(self) -> str:
        if not self._model:
            models = self.models()
            if not models:
                raise ModelRefused(f"{self._service.title} has no model", next_step="give it one")
            self._model = models[0]
        return self._model


def request_body(service: Service, model: str, request: Request) -> dict[str, Any]:
    """Return the document that asks."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [_message(message) for message in request.messages],
        service.limit: request.max_tokens + THINKING,
    }
    if service.temperature:
        body["temperature"] = 0
    if request.schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": strict(request.schema)},
        }
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                },
            }
            for tool in request.tools
        ]
    return body


def strict(schema: Schema) -> dict[str, Any]:
    """Return a schema without what strict answers do not know: lengths and bounds."""
    kept = {key: value for key, value in schema.items() if key not in _NOT_STRICT}
    if isinstance(kept.get("properties"), Mapping):
        kept["properties"] = {name: strict(one) for name, one in kept["properties"].items()}
    if isinstance(kept.get("items"), Mapping):
        kept["items"] = strict(kept["items"])
    return kept


def _message(message: Message) -> dict[str, Any]:
    said: dict[str, Any] = {"role": message.role.value, "content": message.text}
    if message.role is Role.TOOL and message.answers is not None:
        said["tool_call_id"] = message.answers.id
    if message.calls:
        said["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments))},
            }
            for call in message.calls
        ]
    return said


def read_answer(document: Any, model: str) -> Completion:
    """Return what an answer says; raises BadAnswer."""
    try:
        choice = document["choices"][0]
        message = choice["message"]
        calls = [
            _call(call["id"], call["function"]["name"], call["function"]["arguments"])
            for call in message.get("tool_calls") or ()
        ]
        return Completion(
            message.get("content") or "",
            tuple(calls),
            _usage(document.get("usage")),
            choice.get("finish_reason") == "length",
            document.get("model") or model,
        )
    except (AttributeError, KeyError, IndexError, TypeError) as error:
        raise BadAnswer("the answer has not the form of a chat completion") from error


def read_stream(chunks: Iterable[Any], on_text: OnText, model: str) -> Completion:
    """Return what a stream of chunks says, told as it comes; raises BadAnswer."""
    text: list[str] = []
    calls: dict[int, dict[str, str]] = {}
    usage, finish = Usage(), None
    try:
        for chunk in chunks:
            usage = _usage(chunk["usage"]) if chunk.get("usage") else usage
            model = chunk.get("model") or model
            for choice in chunk.get("choices") or ():
                delta = choice.get("delta") or {}
                finish = choice.get("finish_reason") or finish
                if piece := delta.get("content"):
                    text.append(piece)
                    on_text(piece)
                for part in delta.get("tool_calls") or ():
                    _add(calls.setdefault(part.get("index", 0), {}), part)
    except (AttributeError, KeyError, TypeError) as error:
        raise BadAnswer("a chunk has not the form of a chat completion") from error
    if finish is None:
        raise BadAnswer("the stream ended before the answer did")
    return Completion(
        "".join(text),
        tuple(_call(c.get("id", ""), c.get("name", ""), c.get("arguments", ""))
              for _, c in sorted(calls.items())),
        usage,
        finish == "length",
        model,
    )  # fmt: skip


def _add(call: dict[str, str], part: Mapping[str, Any]) -> None:
    function = part.get("function") or {}
    call["id"] = call.get("id", "") or part.get("id") or ""
    call["name"] = call.get("name", "") or function.get("name") or ""
    call["arguments"] = call.get("arguments", "") + (function.get("arguments") or "")


def _call(id: str, name: str, arguments: str | Mapping[str, Any]) -> ToolCall:
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError as error:
            raise BadAnswer(f"the arguments of the tool call {name} are no JSON") from error
    if not isinstance(arguments, Mapping):
        raise BadAnswer(f"the arguments of the tool call {name} are no object")
    return ToolCall(id, name, arguments)


def _usage(found: Any) -> Usage:
    if not isinstance(found, dict):
        return Usage()
    return Usage(int(found.get("prompt_tokens") or 0), int(found.get("completion_tokens") or 0))
