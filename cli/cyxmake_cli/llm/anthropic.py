"""Speaks Anthropic's messages.

Knows no address and no key. An answer of a given form is asked for as the call of a tool that the
model must make: its arguments are the answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from cyxmake_cli.llm.backend import (
    BadAnswer,
    Capabilities,
    Completion,
    Health,
    Message,
    ModelError,
    ModelRefused,
    ModelUnavailable,
    OnText,
    Request,
    Role,
    ToolCall,
    Usage,
)
from cyxmake_cli.llm.http import HttpClient, message_of

VERSION: Final = "2023-06-01"
_ANSWER: Final = "answer"


class Anthropic:
    """A model of Anthropic's."""

    def __init__(self, model: str, client: HttpClient) -> None:
        self._model = model
        self._client = client

    def __repr__(self) -> str:
        return f"<Anthropic {self.name} at {self._client.endpoint.url}>"

    @property
    def name(self) -> str:
        """Return `provider:model`."""
        return f"anthropic:{self._model}"

    @property
    def capabilities(self) -> Capabilities:
        """Return what it can do."""
        return Capabilities(local=self._client.endpoint.local, tools=True, schema=True)

    def complete(self, request: Request, on_text: OnText | None = None) -> Completion:
        """Return the answer."""
        body = request_body(self._model, request)
        if on_text is None:
            return read_answer(self._client.post("/v1/messages", body), self._model)
        stream = self._client.stream("/v1/messages", {**body, "stream": True})
        return read_stream(stream, on_text, self._model)

    def score(self, messages: Sequence[Message], labels: Sequence[str]) -> dict[str, float]:
        """Raise ModelRefused: the service says nothing of probabilities."""
        raise ModelRefused(f"{self.name} cannot score labels")

    def health(self) -> Health:
        """Ask what the service knows of the model."""
        try:
            self._client.get(f"/v1/models/{self._model}")
        except ModelError as error:
            return Health(False, error.message, error.next_step)
        return Health(True, f"Anthropic answers; {self._model}")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def request_body(model: str, request: Request) -> dict[str, Any]:
    """Return the document that asks."""
    system = "\n\n".join(m.text for m in request.messages if m.role is Role.SYSTEM)
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": request.max_tokens,
        "messages": [_message(m) for m in request.messages if m.role is not Role.SYSTEM],
    }
    if system:
        body["system"] = system
    tools = [
        {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
        for tool in request.tools
    ]
    if request.schema is not None:
        tools = [
            {"name": _ANSWER, "description": "Gives the answer.", "input_schema": request.schema}
        ]
        body["tool_choice"] = {"type": "tool", "name": _ANSWER}
    if tools:
        body["tools"] = tools
    return body


def _message(message: Message) -> dict[str, Any]:
    if message.role is Role.TOOL and message.answers is not None:
        result = {"type": "tool_result", "tool_use_id": message.answers.id, "content": message.text}
        return {"role": "user", "content": [result]}
    if message.calls:
        content: list[dict[str, Any]] = (
            [{"type": "text", "text": message.text}] if message.text else []
        )
        content += [
            {"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.arguments)}
            for call in message.calls
        ]
        return {"role": "assistant", "content": content}
    return {"role": message.role.value, "content": message.text}


def read_answer(document: Any, model: str) -> Completion:
    """Return what an answer says; raises BadAnswer."""
    text: list[str] = []
    calls: list[ToolCall] = []
    try:
        for block in document["content"]:
            if block["type"] == "text":
                text.append(block["text"])
            elif block["type"] == "tool_use":
                calls.append(ToolCall(block["id"], block["name"], _arguments(block["input"])))
        usage = document.get("usage") or {}
        return _completion(text, calls, (usage.get("input_tokens"), usage.get("output_tokens")),
                           document.get("stop_reason"), document.get("model") or model)  # fmt: skip
    except (AttributeError, KeyError, TypeError) as error:
        raise BadAnswer("the answer has not the form of a message") from error


def read_stream(stream: Iterable[Any], on_text: OnText, model: str) -> Completion:
    """Return what a stream of events says, told as it comes; raises ModelError."""
    blocks: dict[int, dict[str, Any]] = {}
    read = written = 0
    stop = None
    ended = False
    try:
        for event in stream:
            match event["type"]:
                case "message_start":
                    read = event["message"].get("usage", {}).get("input_tokens", 0)
                    model = event["message"].get("model") or model
                case "content_block_start":
                    blocks[event["index"]] = {**event["content_block"], "said": []}
                case "content_block_delta":
                    delta = event["delta"]
                    piece = delta.get("text") or delta.get("partial_json") or ""
                    blocks[event["index"]]["said"].append(piece)
                    if delta["type"] == "text_delta":
                        on_text(piece)
                case "message_delta":
                    stop = event["delta"].get("stop_reason") or stop
                    written = event.get("usage", {}).get("output_tokens", written)
                case "message_stop":
                    ended = True
                case "error":
                    raise ModelUnavailable(f"Anthropic: {message_of(event)}")
                case _:  # pings, and what is yet to be invented
                    pass
    except (AttributeError, KeyError, TypeError) as error:
        raise BadAnswer("an event has not the form that was promised") from error
    if not ended:
        raise BadAnswer("the stream ended before the answer did")
    text = ["".join(b["said"]) for b in blocks.values() if b.get("type") == "text"]
    calls = [
        ToolCall(b.get("id", ""), b.get("name", ""), _arguments("".join(b["said"]) or "{}"))
        for b in blocks.values()
        if b.get("type") == "tool_use"
    ]
    return _completion(text, calls, (read, written), stop, model)


def _completion(
    text: list[str],
    calls: list[ToolCall],
    usage: tuple[int | None, int | None],
    stop: str | None,
    model: str,
) -> Completion:
    answers = [call for call in calls if call.name == _ANSWER]
    if answers:
        text = [json.dumps(dict(answers[0].arguments))]
        calls = [call for call in calls if call.name != _ANSWER]
    return Completion("".join(text), tuple(calls), Usage(usage[0] or 0, usage[1] or 0),
                      stop == "max_tokens", model)  # fmt: skip


def _arguments(found: object) -> Mapping[str, Any]:
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except ValueError as error:
            raise BadAnswer("the arguments of a tool call are no JSON") from error
    if not isinstance(found, Mapping):
        raise BadAnswer("the arguments of a tool call are no object")
    return found
