"""Speaks Gemini's generateContent.

Knows no address and no key; that goes into a header, never into the address.
"""

from __future__ import annotations

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

_KNOWN: Final = ("type", "enum", "description", "items", "properties", "required", "nullable",
                 "minimum", "maximum", "minItems", "maxItems")  # fmt: skip
"""What of a JSON schema its own schemas know; others are refused."""


class Gemini:
    """A model of Google's."""

    def __init__(self, model: str, client: HttpClient) -> None:
        self._model = model
        self._client = client

    def __repr__(self) -> str:
        return f"<Gemini {self.name} at {self._client.endpoint.url}>"

    @property
    def name(self) -> str:
        """Return `provider:model`."""
        return f"gemini:{self._model}"

    @property
    def capabilities(self) -> Capabilities:
        """Return what it can do."""
        return Capabilities(local=self._client.endpoint.local, tools=True, schema=True)

    def complete(self, request: Request, on_text: OnText | None = None) -> Completion:
        """Return the answer."""
        path = f"/v1beta/models/{self._model}"
        body = request_body(request)
        if on_text is None:
            documents: Iterable[Any] = (self._client.post(f"{path}:generateContent", body),)
            return read_stream(documents, lambda text: None, self._model)
        stream = self._client.stream(f"{path}:streamGenerateContent?alt=sse", body)
        return read_stream(stream, on_text, self._model)

    def score(self, messages: Sequence[Message], labels: Sequence[str]) -> dict[str, float]:
        """Raise ModelRefused: the service says nothing of labels that were not chosen."""
        raise ModelRefused(f"{self.name} cannot score labels")

    def health(self) -> Health:
        """Ask what the service knows of the model."""
        try:
            self._client.get(f"/v1beta/models/{self._model}")
        except ModelError as error:
            return Health(False, error.message, error.next_step)
        return Health(True, f"Gemini answers; {self._model}")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def request_body(request: Request) -> dict[str, Any]:
    """Return the document that asks."""
    settings: dict[str, Any] = {"maxOutputTokens": request.max_tokens + THINKING, "temperature": 0}
    if request.schema is not None:
        settings["responseMimeType"] = "application/json"
        settings["responseSchema"] = own_schema(request.schema)
    body: dict[str, Any] = {
        "contents": [_content(m) for m in request.messages if m.role is not Role.SYSTEM],
        "generationConfig": settings,
    }
    if system := [{"text": m.text} for m in request.messages if m.role is Role.SYSTEM]:
        body["systemInstruction"] = {"parts": system}
    if request.tools:
        body["tools"] = [
            {
                "functionDeclarations": [
                    {
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": own_schema(tool.parameters),
                    }
                    for tool in request.tools
                ]
            }
        ]
    return body


def own_schema(schema: Schema) -> dict[str, Any]:
    """Return a JSON schema in the part of OpenAPI's that the service takes."""
    kept: dict[str, Any] = {key: schema[key] for key in _KNOWN if key in schema}
    if isinstance(kept.get("items"), Mapping):
        kept["items"] = own_schema(kept["items"])
    if isinstance(kept.get("properties"), Mapping):
        kept["properties"] = {name: own_schema(one) for name, one in kept["properties"].items()}
    return kept


def _content(message: Message) -> dict[str, Any]:
    if message.role is Role.TOOL and message.answers is not None:
        result = {"name": message.answers.name, "response": {"result": message.text}}
        return {"role": "user", "parts": [{"functionResponse": result}]}
    parts: list[dict[str, Any]] = [{"text": message.text}] if message.text else []
    parts += [{"functionCall": {"name": c.name, "args": dict(c.arguments)}} for c in message.calls]
    return {"role": "model" if message.role is Role.ASSISTANT else "user", "parts": parts}


def read_stream(documents: Iterable[Any], on_text: OnText, model: str) -> Completion:
    """Return what one document or a stream of them says; raises ModelError."""
    text: list[str] = []
    calls: list[ToolCall] = []
    usage, finish = Usage(), None
    try:
        for document in documents:
            if blocked := (document.get("promptFeedback") or {}).get("blockReason"):
                raise ModelRefused(f"Gemini does not answer this: {blocked}")
            counted = document.get("usageMetadata") or {}
            usage = Usage(
                counted.get("promptTokenCount") or usage.read,
                counted.get("candidatesTokenCount") or usage.written,
            )
            model = document.get("modelVersion") or model
            for candidate in (document.get("candidates") or ())[:1]:
                finish = candidate.get("finishReason") or finish
                for part in (candidate.get("content") or {}).get("parts") or ():
                    if call := part.get("functionCall"):
                        arguments = dict(call.get("args") or {})
                        calls.append(ToolCall(f"call-{len(calls)}", call["name"], arguments))
                    elif (piece := part.get("text")) and not part.get("thought"):
                        text.append(piece)
                        on_text(piece)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadAnswer("the answer has not the form of generated content") from error
    if finish is None:
        raise BadAnswer("the answer ended before its end")
    if finish not in ("STOP", "MAX_TOKENS") and not text and not calls:
        raise ModelRefused(f"Gemini does not answer this: {finish}")
    return Completion("".join(text), tuple(calls), usage, finish == "MAX_TOKENS", model)
