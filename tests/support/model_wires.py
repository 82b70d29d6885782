"""The wire formats of model providers, from the server's side: what they refuse, how they answer.

Knows no socket. Each refuses what the real one refuses, in the real one's words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

KEY = "sk-test-0123456789abcdef"


@dataclass
class Said:
    """What a model answers."""

    text: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


class Refused(Exception):
    """A request that the provider does not take."""

    def __init__(self, status: int, document: dict[str, Any]) -> None:
        super().__init__(status)
        self.status = status
        self.document = document


class OpenAiWire:
    """OpenAI's chat completions, or a server that speaks as it does."""

    name = "openai"
    variable = "OPENAI_BASE_URL"
    key_variable = "OPENAI_API_KEY"
    path = "/v1"
    model = "gpt-test"

    def error(self, status: int, message: str) -> dict[str, Any]:
        """Return an error as the provider writes it."""
        return {"error": {"message": message, "type": "invalid_request_error", "param": None,
                          "code": None}}  # fmt: skip

    def check(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> bool:
        """Refuse what is wrong; tells whether the answer is to be streamed."""
        if headers.get("authorization") != f"Bearer {KEY}":
            raise Refused(401, self.error(401, "Incorrect API key provided: sk-wrong."))
        for word in ("max_tokens", "temperature"):
            if word in body:
                raise Refused(400, self.error(400, f"Unsupported parameter: '{word}'"))
        self.check_body(path, body)
        return bool(body.get("stream"))

    def check_body(self, path: str, body: dict[str, Any]) -> None:
        """Refuse what all servers of this wire refuse."""
        if path != "/v1/chat/completions":
            raise Refused(404, self.error(404, f"Invalid URL (POST {path})"))
        if body["model"] != self.model:
            raise Refused(404, self.error(404, f"The model `{body['model']}` does not exist"))
        if form := body.get("response_format"):
            schema = form["json_schema"]["schema"]
            if schema["additionalProperties"] is not False:
                raise Refused(400, self.error(400, "'additionalProperties' must be false"))
            if any("maxLength" in one for one in schema["properties"].values()):
                raise Refused(400, self.error(400, "'maxLength' is not permitted"))
            if sorted(schema["required"]) != sorted(schema["properties"]):
                raise Refused(400, self.error(400, "'required' must include every key"))
        asked: list[str] = []
        for message in body["messages"]:
            asked += [call["id"] for call in message.get("tool_calls", ())]
            if message["role"] == "tool" and message["tool_call_id"] not in asked:
                raise Refused(400, self.error(400, "'tool' must follow 'tool_calls'"))

    def models(self, path: str) -> dict[str, Any]:
        """Return the list of models."""
        if path != "/v1/models":
            raise Refused(404, self.error(404, f"Invalid URL (GET {path})"))
        return {"object": "list", "data": [{"id": self.model, "object": "model"}]}

    def answer(self, body: dict[str, Any], said: Said) -> dict[str, Any]:
        """Return the whole answer."""
        message: dict[str, Any] = {"role": "assistant", "content": said.text or None}
        if said.calls:
            message["tool_calls"] = [
                {"id": f"call_{n}", "type": "function",
                 "function": {"name": name, "arguments": json.dumps(arguments)}}
                for n, (name, arguments) in enumerate(said.calls)
            ]  # fmt: skip
        return {
            "id": "chatcmpl-1", "object": "chat.completion", "model": self.model,
            "choices": [{"index": 0, "message": message, "logprobs": None,
                         "finish_reason": "tool_calls" if said.calls else "stop"}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
        }  # fmt: skip

    def stream(self, body: dict[str, Any], said: Said) -> Iterator[str]:
        """Yield the answer piece by piece."""
        yield ": a comment, as some send while they think\n\n"
        yield self._chunk({"role": "assistant", "content": ""})
        for word in said.text.split(" "):
            yield self._chunk({"content": word + " "})
        for n, (name, arguments) in enumerate(said.calls):
            function = {"name": name, "arguments": ""}
            first = {"index": n, "id": f"call_{n}", "type": "function", "function": function}
            yield self._chunk({"tool_calls": [first]})
            text = json.dumps(arguments)
            for part in (text[:5], text[5:]):
                yield self._chunk({"tool_calls": [{"index": n, "function": {"arguments": part}}]})
        yield self._chunk({}, finish="tool_calls" if said.calls else "stop")
        if body.get("stream_options", {}).get("include_usage"):
            usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
            yield f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n"
        yield "data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {"object": "chat.completion.chunk", "model": self.model, "choices": [choice]}
        return f"data: {json.dumps(chunk)}\n\n"

    def stream_error(self) -> str:
        """Return an error as it comes in the middle of a stream."""
        return f"data: {json.dumps(self.error(500, 'The server had an error'))}\n\n"


class OllamaWire(OpenAiWire):
    """Ollama's address for OpenAI's clients: no key, its own names and errors."""

    name = "ollama"
    variable = "OLLAMA_HOST"
    key_variable = ""
    path = ""
    model = "qwen2.5-coder:1.5b"

    def error(self, status: int, message: str) -> dict[str, Any]:
        """Return an error as Ollama writes it."""
        return {"error": {"message": message, "type": "api_error", "param": None, "code": None}}

    def check(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> bool:
        """Refuse a model that was not pulled; any key or none will do."""
        if body["model"] != self.model:
            said = f'model "{body["model"]}" not found, try pulling it first'
            raise Refused(404, self.error(404, said))
        self.check_body(path, body)
        return bool(body.get("stream"))


class AnthropicWire:
    """Anthropic's messages."""

    name = "anthropic"
    variable = "ANTHROPIC_BASE_URL"
    key_variable = "ANTHROPIC_API_KEY"
    path = ""
    model = "claude-test"

    def error(self, status: int, message: str) -> dict[str, Any]:
        """Return an error as the provider writes it."""
        kind = {429: "rate_limit_error", 529: "overloaded_error", 401: "authentication_error"}
        return {"type": "error",
                "error": {"type": kind.get(status, "api_error"), "message": message}}  # fmt: skip

    def check(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> bool:
        """Refuse what is wrong; tells whether the answer is to be streamed."""
        if headers.get("x-api-key") != KEY:
            raise Refused(401, self.error(401, "invalid x-api-key"))
        if headers.get("anthropic-version") != "2023-06-01":
            raise Refused(400, self.error(400, "anthropic-version: header is required"))
        if path != "/v1/messages" or body["model"] != self.model:
            raise Refused(404, self.error(404, f"model: {body['model']}"))
        if "max_tokens" not in body:
            raise Refused(400, self.error(400, "max_tokens: Field required"))
        messages = body["messages"]
        if not messages or messages[0]["role"] != "user":
            raise Refused(400, self.error(400, "messages: first message must use the user role"))
        if any(m["role"] not in ("user", "assistant") for m in messages):
            raise Refused(400, self.error(400, "messages: Unexpected role"))
        asked: list[str] = []
        for message in messages:
            for block in message["content"] if isinstance(message["content"], list) else ():
                if block["type"] == "tool_use":
                    asked.append(block["id"])
                if block["type"] == "tool_result" and block["tool_use_id"] not in asked:
                    raise Refused(400, self.error(400, "unexpected `tool_use_id`"))
        return bool(body.get("stream"))

    def models(self, path: str) -> dict[str, Any]:
        """Return what is known of a model."""
        if path != f"/v1/models/{self.model}":
            raise Refused(404, self.error(404, "model not found"))
        return {"type": "model", "id": self.model}

    def answer(self, body: dict[str, Any], said: Said) -> dict[str, Any]:
        """Return the whole answer."""
        return {
            "id": "msg_1", "type": "message", "role": "assistant", "model": self.model,
            "content": [{**block, **({"input": given} if given is not None else {"text": text})}
                        for block, text, given in self._blocks(body, said)],
            "stop_reason": "tool_use" if said.calls else "end_turn",
            "usage": {"input_tokens": 11, "output_tokens": 7},
        }  # fmt: skip

    def stream(self, body: dict[str, Any], said: Said) -> Iterator[str]:
        """Yield the answer piece by piece."""
        start = {"id": "msg_1", "type": "message", "role": "assistant", "model": self.model,
                 "content": [], "usage": {"input_tokens": 11, "output_tokens": 1}}  # fmt: skip
        yield self._event("message_start", message=start)
        yield self._event("ping")
        for n, (block, text, given) in enumerate(self._blocks(body, said)):
            empty: dict[str, Any] = {"input": {}} if given is not None else {"text": ""}
            yield self._event("content_block_start", index=n, content_block={**block, **empty})
            whole = text if given is None else json.dumps(given)
            for word in whole.split(" "):
                delta = ({"type": "text_delta", "text": word + " "} if given is None
                         else {"type": "input_json_delta", "partial_json": word + " "})  # fmt: skip
                yield self._event("content_block_delta", index=n, delta=delta)
            yield self._event("content_block_stop", index=n)
        stop = {"stop_reason": "tool_use" if said.calls else "end_turn"}
        yield self._event("message_delta", delta=stop, usage={"output_tokens": 7})
        yield self._event("message_stop")

    def _blocks(
        self, body: dict[str, Any], said: Said
    ) -> Iterator[tuple[dict[str, Any], str, dict[str, Any] | None]]:
        forced = body.get("tool_choice", {}).get("name")
        if forced:  # the model has no other way to say it
            yield {"type": "tool_use", "id": "toolu_0", "name": forced}, "", json.loads(said.text)
            return
        if said.text:
            yield {"type": "text"}, said.text, None
        for n, (name, arguments) in enumerate(said.calls):
            yield {"type": "tool_use", "id": f"toolu_{n}", "name": name}, "", arguments

    def _event(self, kind: str, **more: Any) -> str:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n"

    def stream_error(self) -> str:
        """Return an error as it comes in the middle of a stream."""
        return f"event: error\ndata: {json.dumps(self.error(529, 'Overloaded'))}\n\n"


class GeminiWire:
    """Gemini's generateContent."""

    name = "gemini"
    variable = "GEMINI_BASE_URL"
    key_variable = "GEMINI_API_KEY"
    path = ""
    model = "gemini-test"

    def error(self, status: int, message: str) -> dict[str, Any]:
        """Return an error as the provider writes it; a quota's says when to come back."""
        found: dict[str, Any] = {"code": status, "message": message, "status": "UNAVAILABLE"}
        if status == 429:
            kind = "type.googleapis.com/google.rpc.RetryInfo"
            found["details"] = [{"@type": kind, "retryDelay": "3s"}]
        return {"error": found}

    def check(self, path: str, headers: dict[str, str], body: dict[str, Any]) -> bool:
        """Refuse what is wrong; tells whether the answer is to be streamed."""
        if headers.get("x-goog-api-key") != KEY:
            raise Refused(400, self.error(400, "API key not valid. Please pass a valid API key."))
        place, _, verb = path.partition("?")[0].rpartition(":")
        if place != f"/v1beta/models/{self.model}":
            raise Refused(404, self.error(404, f"{place} is not found for API version v1beta"))
        if any(c["role"] not in ("user", "model") for c in body["contents"]):
            raise Refused(400, self.error(400, "Please use a valid role: user, model."))
        for schema in (body["generationConfig"].get("responseSchema"),
                       *(f["parameters"] for t in body.get("tools", ())
                         for f in t["functionDeclarations"])):  # fmt: skip
            if unknown := set(schema or ()) & {"additionalProperties", "$defs", "title"}:
                said = f'Invalid JSON payload received. Unknown name "{unknown.pop()}"'
                raise Refused(400, self.error(400, said))
        if verb == "streamGenerateContent" and "alt=sse" not in path:
            raise Refused(400, self.error(400, "this test knows server-sent events only"))
        return verb == "streamGenerateContent"

    def models(self, path: str) -> dict[str, Any]:
        """Return what is known of a model."""
        if path != f"/v1beta/models/{self.model}":
            raise Refused(404, self.error(404, "not found"))
        return {"name": f"models/{self.model}"}

    def answer(self, body: dict[str, Any], said: Said) -> dict[str, Any]:
        """Return the whole answer."""
        parts: list[dict[str, Any]] = [{"text": "hm", "thought": True}]
        parts += [{"text": said.text}] if said.text else []
        parts += [{"functionCall": {"name": name, "args": given}} for name, given in said.calls]
        return self._document(parts, "STOP")

    def stream(self, body: dict[str, Any], said: Said) -> Iterator[str]:
        """Yield the answer piece by piece."""
        for word in said.text.split(" ") if said.text else ():
            yield f"data: {json.dumps(self._document([{'text': word + ' '}], None))}\r\n\r\n"
        calls = [{"functionCall": {"name": name, "args": given}} for name, given in said.calls]
        yield f"data: {json.dumps(self._document(calls, 'STOP'))}\r\n\r\n"

    def _document(self, parts: list[dict[str, Any]], finish: str | None) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
        if finish:
            candidate["finishReason"] = finish
        usage = {"promptTokenCount": 11, "candidatesTokenCount": 7, "totalTokenCount": 18}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": self.model}

    def stream_error(self) -> str:
        """Return an error as it comes in the middle of a stream."""
        return f"data: {json.dumps(self.error(503, 'The model is overloaded.'))}\r\n\r\n"


Wire = OpenAiWire | AnthropicWire | GeminiWire
WIRES: tuple[Wire, ...] = (OpenAiWire(), OllamaWire(), AnthropicWire(), GeminiWire())
